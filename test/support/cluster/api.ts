// Why: the ways a test speaks to a running cluster (kubectl, raw requests, kubeconfigs of other users, the audit log) are
// the same with and without a node. It must never start or stop anything.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CommandResult, run } from "../../../scripts/host/command.ts";
import { type AuditEvent, readAuditLog } from "./audit.ts";
import type { Credentials, Proof } from "./credentials.ts";

export type KubectlOptions = {
  readonly stdin?: string;
  /** Runs as this user (client certificate, no groups) instead of as administrator. */
  readonly asUser?: string;
};

/** What a test does with a cluster's API server. */
export type ClusterApi = {
  /** `https://address:port` */
  readonly server: string;
  readonly caPem: string;
  /** Path of the administrator's kubeconfig. */
  readonly adminKubeconfig: string;
  /** Everything of this cluster is in here; removed on dispose. */
  readonly directory: string;
  /** Runs kubectl; a failure is an exit code, not an error. */
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<CommandResult>;
  /**
   * `kubectl apply` of YAML text or of objects; answers kubectl's output.
   * @throws Error with kubectl's words when anything was refused
   */
  apply(manifests: string | object | readonly object[], options?: { readonly asUser?: string }): Promise<string>;
  /**
   * A kubeconfig for any user, as a path. `certificate` (default) makes a client certificate. `token` needs a
   * ServiceAccount user (`system:serviceaccount:<namespace>:<name>`, created when missing) and asks for a token of 1 h;
   * its groups are what the API server gives it.
   */
  kubeconfigFor(user: string, groups?: readonly string[], style?: "token" | "certificate"): Promise<string>;
  /** Every request answered so far, in log order. @throws Error when the cluster was started with `audit: false` */
  auditEvents(): Promise<AuditEvent[]>;
  /** A raw request as administrator; `path` starts with a slash. */
  request(path: string, init?: RequestInit): Promise<Response>;
};

/** Builds the API of a cluster whose credentials exist; the server may come up later. */
export function createApi(options: {
  readonly directory: string;
  readonly credentials: Credentials;
  readonly kubectlBinary: string;
  readonly auditLog?: string;
}): ClusterApi {
  const { directory, credentials, auditLog } = options;
  const { server, authority, adminToken } = credentials;
  const adminKubeconfig = credentials.componentKubeconfig("admin");
  const certificates = new Map<string, Promise<string>>();
  let written = 0;
  const write = (proof: Proof) => credentials.writeKubeconfig(`user-${++written}`, proof);

  const request = (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${adminToken}`);
    if (typeof init.body === "string" && !headers.has("content-type")) headers.set("content-type", "application/json");
    return fetch(server + path, { ...init, headers, tls: { ca: authority.certPem } });
  };

  const certificateKubeconfig = (user: string, groups: readonly string[]) => {
    const known = certificates.get(JSON.stringify([user, groups]));
    const made = known ?? authority.issue({ commonName: user, organizations: groups }).then(write);
    certificates.set(JSON.stringify([user, groups]), made);
    return made;
  };

  const kubectl = async (args: readonly string[], { stdin, asUser }: KubectlOptions = {}) => {
    const kubeconfig = asUser === undefined ? adminKubeconfig : await certificateKubeconfig(asUser, []);
    const common = ["--kubeconfig", kubeconfig, "--cache-dir", join(directory, "kubectl-cache")];
    return await run([options.kubectlBinary, ...common, ...args], stdin);
  };

  return {
    server,
    caPem: authority.certPem,
    adminKubeconfig,
    directory,
    kubectl,
    request,
    async apply(manifests, { asUser } = {}) {
      const stdin =
        typeof manifests === "string" ? manifests : JSON.stringify({ apiVersion: "v1", kind: "List", items: [manifests].flat() });
      const result = await kubectl(["apply", "-f", "-"], { stdin, ...(asUser === undefined ? {} : { asUser }) });
      if (result.code !== 0) throw new Error(`kubectl apply: ${result.stderr.trim()}`);
      return result.stdout;
    },
    async kubeconfigFor(user, groups = [], style = "certificate") {
      if (style === "certificate") return await certificateKubeconfig(user, groups);
      return write({ token: await serviceAccountToken(request, user) });
    },
    async auditEvents() {
      if (!auditLog) throw new Error("this cluster was started with audit: false");
      return readAuditLog(auditLog);
    },
  };
}

async function serviceAccountToken(request: ClusterApi["request"], user: string): Promise<string> {
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user) ?? [];
  if (!namespace || !name) throw new Error(`tokens are for ServiceAccounts only, and "${user}" is none: use style "certificate"`);
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  const created = await request(accounts, { method: "POST", body: JSON.stringify({ metadata: { name } }) });
  if (!created.ok && created.status !== 409)
    throw new Error(`ServiceAccount ${namespace}/${name}: ${created.status} ${await created.text()}`);
  const answer = await request(`${accounts}/${name}/token`, {
    method: "POST",
    body: JSON.stringify({ spec: { expirationSeconds: 3600 } }),
  });
  if (!answer.ok) throw new Error(`token for ${user}: ${answer.status} ${await answer.text()}`);
  // authentication.k8s.io/v1 TokenRequest: the token is there whenever the request succeeded.
  return ((await answer.json()) as { status: { token: string } }).status.token;
}

/** Writes the audit policy the API server is told to read. */
export const writeJson = (path: string, value: unknown): void => writeFileSync(path, JSON.stringify(value, undefined, 2), { mode: 0o600 });

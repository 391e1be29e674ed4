// Why: where the API server is and how we prove who we are, read again whenever asked, because service account tokens,
// client certificates and exec plugins all rotate under a running process. It must never keep a credential itself (the
// transport decides for how long) and never log one.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";

/** TLS options of Bun's `fetch`. No `ca` = the system's authorities. All PEM. */
export type TlsOptions = {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
  readonly rejectUnauthorized?: boolean;
};

export type Credentials = { readonly tls: TlsOptions; readonly headers: Readonly<Record<string, string>> };

export interface KubeAccess {
  /** `https://host:port`, without a trailing slash. */
  readonly server: string;
  /** The namespace of the pod or of the kubeconfig's context. */
  readonly namespace: string | undefined;
  /** Reads everything anew; rejects when a file or plugin does not answer. */
  credentials(): Promise<Credentials>;
}

/** Where a pod finds its service account. */
export const SERVICE_ACCOUNT_ROOT = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Access from inside a pod. Deliberately without client-node: its KubeConfig costs 50 MiB of memory and 150 ms at start,
 * and all it would do here is read three files.
 */
export async function inClusterAccess(at: { host: string; port: string; root?: string }): Promise<KubeAccess> {
  const root = at.root ?? SERVICE_ACCOUNT_ROOT;
  const host = at.host.includes(":") ? `[${at.host}]` : at.host;
  return {
    server: `https://${host}:${at.port}`,
    namespace: await optionalText(join(root, "namespace")),
    async credentials() {
      const [ca, token] = await Promise.all([readFile(join(root, "ca.crt"), "utf8"), readFile(join(root, "token"), "utf8")]);
      return { tls: { ca }, headers: { Authorization: `Bearer ${token.trim()}` } };
    },
  };
}

/**
 * Access by a kubeconfig file (of its current context, or of `context`): CA data or file, tokens and token files, client
 * certificates, basic auth, exec plugins, impersonation, `tls-server-name`, `insecure-skip-tls-verify`.
 * @throws Error when the file cannot be read or names no cluster. A `proxy-url` is refused: we would bypass it.
 */
export async function kubeconfigAccess(path: string, context?: string): Promise<KubeAccess> {
  const load = () => loadKubeConfig((config) => config.loadFromFile(path), context);
  return configAccess(await load(), load, path);
}

/**
 * Finds the API server as kubectl and controllers do: `KUBECONFIG`, then the pod's service account, then
 * `~/.kube/config`. `env` is the process environment, handed in by main.
 */
export async function defaultAccess(env: Readonly<Record<string, string | undefined>>, context?: string): Promise<KubeAccess> {
  const { KUBECONFIG, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (!KUBECONFIG && host && port && (await optionalText(join(SERVICE_ACCOUNT_ROOT, "token"))) !== undefined) {
    return await inClusterAccess({ host, port });
  }
  if (KUBECONFIG && !KUBECONFIG.includes(":")) return await kubeconfigAccess(KUBECONFIG, context);
  // Several files are merged by client-node, which reads the process environment itself.
  const load = () => loadKubeConfig((config) => config.loadFromDefault(), context);
  return configAccess(await load(), load, undefined);
}

async function loadKubeConfig(read: (config: KubeConfig) => void, context: string | undefined): Promise<KubeConfig> {
  // Only this module of client-node, and only when there is a kubeconfig: see inClusterAccess.
  const { KubeConfig: Config } = await import("@kubernetes/client-node/dist/config.js");
  const config = new Config();
  read(config);
  if (context !== undefined) config.setCurrentContext(context);
  return config;
}

function configAccess(first: KubeConfig, load: () => Promise<KubeConfig>, path: string | undefined): KubeAccess {
  const cluster = first.getCurrentCluster();
  if (!cluster) throw new Error("the kubeconfig has no cluster for its current context");
  if (cluster.proxyUrl) throw new Error("the kubeconfig asks for a proxy (proxy-url), which is not supported");
  return {
    server: cluster.server.replace(/\/+$/, ""),
    namespace: first.getContextObject(first.getCurrentContext())?.namespace,
    credentials: async () => await configCredentials(await load(), path),
  };
}

/** The options client-node would hand to Node's https, read field by field because their values are of any type. */
type HttpsOptions = {
  ca?: unknown;
  cert?: unknown;
  key?: unknown;
  servername?: unknown;
  rejectUnauthorized?: unknown;
  auth?: unknown;
  headers?: unknown;
};

async function configCredentials(config: KubeConfig, path: string | undefined): Promise<Credentials> {
  const options: HttpsOptions = {};
  // Fills in credentials, runs exec plugins; the agent it also makes is not used.
  await config.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = String(value);
  if (typeof options.auth === "string") headers.Authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  const tokenFile = path === undefined || headers.Authorization ? undefined : await tokenFileOf(path, config.getCurrentUser()?.name);
  if (tokenFile) headers.Authorization = `Bearer ${(await readFile(tokenFile, "utf8")).trim()}`;
  return {
    headers,
    tls: {
      ...text("ca", options.ca),
      ...text("cert", options.cert),
      ...text("key", options.key),
      ...text("serverName", options.servername),
      ...(options.rejectUnauthorized === false ? { rejectUnauthorized: false } : {}),
    },
  };
}

const text = (name: string, value: unknown): Readonly<Record<string, string>> =>
  value === undefined || value === null ? {} : { [name]: String(value) };

/** kubectl's `tokenFile`, which client-node 1.4 does not know. Relative to the kubeconfig, as for kubectl. */
async function tokenFileOf(path: string, user: string | undefined): Promise<string | undefined> {
  const { parse } = await import("yaml");
  const config: unknown = parse(await readFile(path, "utf8"));
  const users = field(config, "users");
  const entry = Array.isArray(users) ? users.find((candidate) => field(candidate, "name") === user) : undefined;
  const file = field(field(entry, "user"), "tokenFile");
  if (typeof file !== "string" || file === "") return undefined;
  return file.startsWith("/") ? file : join(path, "..", file);
}

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && name in value ? (value as Readonly<Record<string, unknown>>)[name] : undefined;

async function optionalText(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

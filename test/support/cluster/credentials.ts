// Why: who may speak to a test cluster, and as whom. Components get a static token with the user name they have in
// production, so RBAC and Node authorization judge them as there; people get client certificates or ServiceAccount
// tokens. It must never hand a component the administrator's rights for convenience.
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Authority, createAuthority, createSigningKey } from "./pki.ts";

/** A user of the API server, as it sees them. */
export type Identity = { readonly user: string; readonly groups: readonly string[] };

/** How a kubeconfig proves who it is. */
export type Proof = { readonly token: string } | { readonly certPem: string; readonly keyPem: string };

const MASTERS = "system:masters";

const COMPONENTS = {
  admin: { user: "admin", groups: [MASTERS] },
  "controller-manager": { user: "system:kube-controller-manager", groups: [] },
  scheduler: { user: "system:kube-scheduler", groups: [] },
  proxy: { user: "system:kube-proxy", groups: [] },
  dns: { user: "system:coredns", groups: [] },
} as const satisfies Record<string, Identity>;

export type ComponentUser = keyof typeof COMPONENTS | "kubelet";

/** What a cluster's folder `pki/` holds; values are paths unless they say otherwise. */
export type Credentials = {
  readonly authority: Authority;
  readonly server: string;
  readonly adminToken: string;
  /** A file of `pki/`, e.g. `ca.crt`. */
  pki(name: string): string;
  /** The kubeconfig of a component. */
  componentKubeconfig(name: ComponentUser): string;
  /** Writes a kubeconfig (mode 0600, everything inline) and returns its path. */
  writeKubeconfig(name: string, proof: Proof): string;
};

/** Creates the authority, the certificates the API server needs, the token file and the components' kubeconfigs. */
export async function createCredentials(options: {
  readonly directory: string;
  readonly server: string;
  readonly apiHosts: readonly string[];
  readonly nodeName?: string;
}): Promise<Credentials> {
  const { directory, server } = options;
  const pki = (name: string) => join(directory, "pki", name);
  const authority = await createAuthority("nexus-test-ca");
  mkdirSync(join(directory, "pki"), { mode: 0o700 });
  const write = (name: string, text: string) => writeFileSync(pki(name), text, { mode: 0o600 });
  write("ca.crt", authority.certPem);
  const { privatePem, publicPem } = await createSigningKey();
  write("service-account.key", privatePem);
  write("service-account.pub", publicPem);
  const pairs = {
    apiserver: { commonName: "kube-apiserver", hosts: options.apiHosts },
    "kubelet-client": { commonName: "kube-apiserver-kubelet-client", organizations: [MASTERS] },
    "front-proxy": { commonName: "front-proxy-client" },
  };
  for (const [name, subject] of Object.entries(pairs)) {
    const pair = await authority.issue(subject);
    write(`${name}.crt`, pair.certPem);
    write(`${name}.key`, pair.keyPem);
  }
  const writeKubeconfig = (name: string, proof: Proof) => {
    const path = join(directory, `${name}.kubeconfig`);
    writeFileSync(path, kubeconfig({ server, caPem: authority.certPem, proof }), { mode: 0o600 });
    return path;
  };
  const kubelet: Identity = { user: `system:node:${options.nodeName ?? "none"}`, groups: ["system:nodes"] };
  const tokens = Object.entries<Identity>({ ...COMPONENTS, kubelet }).map(([name, identity]) => {
    const token = randomBytes(16).toString("hex");
    writeKubeconfig(name, { token });
    return { name, identity, token };
  });
  write("tokens.csv", tokens.map(({ identity: { user, groups }, token }) => `${token},${user},${user},"${groups.join(",")}"\n`).join(""));
  const adminToken = tokens.find(({ name }) => name === "admin")?.token;
  if (!adminToken) throw new Error("the administrator got no token");
  return { authority, server, adminToken, pki, componentKubeconfig: (name) => join(directory, `${name}.kubeconfig`), writeKubeconfig };
}

/** A kubeconfig document. JSON is YAML, and needs no quoting rules. */
function kubeconfig(options: { server: string; caPem: string; proof: Proof }): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const { proof } = options;
  const user = "token" in proof ? proof : { "client-certificate-data": base64(proof.certPem), "client-key-data": base64(proof.keyPem) };
  return JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster: { server: options.server, "certificate-authority-data": base64(options.caPem) } }],
      users: [{ name: "user", user }],
      contexts: [{ name: "test", context: { cluster: "test", user: "user" } }],
      "current-context": "test",
    },
    undefined,
    2,
  );
}

// Why: the smallest objects that become Ready, for tests that vary one thing about them.

type Manifest = { readonly apiVersion: string; readonly kind: string; readonly metadata: object; readonly spec: object };
const object = (kind: string, namespace: string, name: string, spec: object): Manifest => ({
  apiVersion: "nexus.dev/v1alpha1",
  kind,
  metadata: { name, namespace },
  spec,
});

/** One pod, in memory, with short drains. */
export const cluster = (namespace: string, name = "live", spec: object = {}): Manifest =>
  object("NexusCluster", namespace, name, { redis: { mode: "None" }, delivery: { drainSeconds: 5 }, ...spec });

/** With one generated API key, `backend`. */
export const tenant = (namespace: string, name = "acme", spec: object = {}): Manifest =>
  object("Tenant", namespace, name, {
    clusterRef: { name: "live" },
    auth: { apiKeys: [{ name: "backend", scopes: ["publish"] }] },
    ...spec,
  });

export const template = (namespace: string, name = "hello", spec: object = {}): Manifest =>
  object("Template", namespace, name, { tenantRef: { name: "acme" }, eventType: "greeting", payload: { text: "hello" }, ...spec });

// Why: the Tenants and Templates of the measurement, made the fastest way there is, and the floors beside the operator's figures:
// what the same API server does for a client that only reads or writes.
import type { Stage } from "../../support/operator.ts";
import { cluster } from "../../support/resources.ts";
import { many } from "./many.ts";
import { CLUSTER, NAMESPACE } from "./names.ts";
import { seed, seedKeys } from "./seed.ts";

const API = `/apis/nexus.dev/v1alpha1/namespaces/${NAMESPACE}`;

export type Size = { readonly tenants: number; readonly templates: number };

export const tenantName = (at: number): string => `tenant-${at}`;
export const templateName = (at: number): string => `template-${at}`;
/** The tenant of a template. */
export const ownerOf = (at: number, { tenants }: Size): string => tenantName(at % tenants);

/** A payload of the kind people write: two languages, three variables, about 1 KiB of JSON. */
const templateSpec = (at: number, size: Size) => ({
  tenantRef: { name: ownerOf(at, size) },
  eventType: "order.shipped",
  variables: [{ name: "name", required: true }, { name: "order" }, { name: "count", type: "integer" }],
  payload: { title: "Hello {{name}}", body: `Your order {{order}} of ${at} is on its way. `.repeat(4), count: "{{count}}" },
  locales: [{ locale: "de", payload: { title: "Hallo {{name}}", body: `Bestellung {{order}} von ${at} ist unterwegs. `.repeat(4) } }],
});

/** Each has one generated API key, so one Secret. */
const tenantSpec = { clusterRef: { name: CLUSTER }, auth: { apiKeys: [{ name: "backend", scopes: ["publish"] }] } };

/** Creates everything; answers seconds. `isSettled`: with the statuses of an operator that ran before. */
export async function createObjects(stage: Stage, size: Size, isSettled: boolean): Promise<number> {
  const { plane } = stage;
  await plane.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } }]);
  const head = { apiVersion: "nexus.dev/v1alpha1" };
  await plane.apply([
    cluster(NAMESPACE, CLUSTER),
    { ...head, kind: "Tenant", metadata: { name: tenantName(0), namespace: NAMESPACE }, spec: tenantSpec },
    { ...head, kind: "Template", metadata: { name: templateName(0), namespace: NAMESPACE }, spec: templateSpec(0, size) },
  ]);
  const tenants = await seed(stage, { resource: "tenants", count: size.tenants, name: tenantName, spec: () => ({}), isSettled });
  if (isSettled) await seedKeys(stage, size.tenants, tenantName);
  const spec = (at: number) => templateSpec(at, size);
  return tenants + (await seed(stage, { resource: "templates", count: size.templates, name: templateName, spec, isSettled }));
}

/** Edits one Template; answers its new generation. */
export async function editTemplate({ plane }: Stage, at: number, text: string): Promise<number> {
  const headers = { "content-type": "application/merge-patch+json" };
  const init = { method: "PATCH", headers, body: JSON.stringify({ spec: { eventType: text } }) };
  const answer = await plane.request(`${API}/templates/${templateName(at)}`, init);
  if (!answer.ok) throw new Error(`edit: ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { metadata: { generation: number } }).metadata.generation; // an object
}

/** Floor: reads every Template in pages of 500 and throws it away; seconds. */
export async function readAll({ plane }: Stage): Promise<number> {
  const startedMs = performance.now();
  for (let token: string | undefined = ""; token !== undefined; ) {
    const answer = await plane.request(`${API}/templates?limit=500${token ? `&continue=${encodeURIComponent(token)}` : ""}`);
    const next = ((await answer.json()) as { metadata: { continue?: string } }).metadata.continue; // a list
    token = next ? next : undefined;
  }
  return (performance.now() - startedMs) / 1000;
}

/** How many Templates and Tenants say Ready=True now. */
export async function countReady({ plane }: Stage, resource: "templates" | "tenants"): Promise<number> {
  let ready = 0;
  for (let token: string | undefined = ""; token !== undefined; ) {
    const answer = await plane.request(`${API}/${resource}?limit=500${token ? `&continue=${encodeURIComponent(token)}` : ""}`);
    const list = (await answer.json()) as {
      metadata: { continue?: string };
      items: { status?: { conditions?: { type: string; status: string }[] } }[];
    };
    for (const { status } of list.items) if (status?.conditions?.some((one) => one.type === "Ready" && one.status === "True")) ready++;
    token = list.metadata.continue ? list.metadata.continue : undefined;
  }
  return ready;
}

/** Floor: applies a status to objects nobody watches, by a client that does nothing else; writes per second. */
export async function rawStatusRate({ plane }: Stage, count: number): Promise<number> {
  await plane.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: "floor" } }]);
  const path = "/apis/nexus.dev/v1alpha1/namespaces/floor/templates";
  const head = { apiVersion: "nexus.dev/v1alpha1", kind: "Template" };
  await many(count, async (at) => {
    const spec = { tenantRef: { name: "nobody" }, eventType: "x", payload: {} };
    const object = { ...head, metadata: { name: `floor-${at}` }, spec };
    await (await plane.request(path, { method: "POST", body: JSON.stringify(object) })).text();
  });
  const now = new Date().toISOString();
  const conditions = ["Ready", "Accepted", "Synced"].map((type) => ({
    ...{
      type,
      status: "True",
      reason: "Reconciled",
      message: "as the operator would say it",
      observedGeneration: 1,
      lastTransitionTime: now,
    },
  }));
  const seconds = await many(count, async (at) => {
    const body = JSON.stringify({
      ...head,
      metadata: { name: `floor-${at}`, namespace: "floor" },
      status: { observedGeneration: 1, conditions },
    });
    const headers = { "content-type": "application/apply-patch+yaml" };
    const query = "fieldManager=floor&force=true";
    const answer = await plane.request(`${path}/floor-${at}/status?${query}`, { method: "PATCH", headers, body });
    if (!answer.ok) throw new Error(`floor: ${answer.status} ${await answer.text()}`);
    await answer.text();
  });
  await (await plane.request(path, { method: "DELETE" })).text();
  return count / seconds;
}

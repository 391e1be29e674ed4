// Why: the API server takes minutes to take in 110,000 objects, and that is not what is measured. One object of each kind is made
// through it; the rest are copies laid into etcd as the API server would store them, which it then serves and checks as its own.
import { readFileSync } from "node:fs";
import { apiKeySecretName, ownedBy, ROTATION_ANNOTATION, tenantLabels } from "@nexus/operator/desired/names.ts";
import { templateStatus, tenantStatus } from "@nexus/operator/status/attached.ts";
import { timestamp } from "@nexus/operator/status/conditions.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { Stage } from "../../support/operator.ts";
import { many } from "./many.ts";
import { NAMESPACE } from "./names.ts";

/** etcd's limit of operations in one transaction. */
const OPERATIONS = 128;

type Stored = { metadata: Record<string, unknown>; spec: object; status?: object };
export type Seeding = {
  readonly resource: "tenants" | "templates";
  readonly count: number;
  readonly name: (at: number) => string;
  readonly spec: (at: number) => object;
  /** With the status an operator would have written. */
  readonly isSettled: boolean;
};

/** Copies the object that exists under `name(0)`; answers seconds. */
export async function seed({ plane }: Stage, { resource, count, name, spec, isSettled }: Seeding): Promise<number> {
  const url = etcdOf(plane.pids().etcd ?? 0);
  const key = (of: string) => keyText(`nexus.dev/${resource}`, of);
  const found = await call<{ kvs: { value: string }[] }>(`${url}/v3/kv/range`, { key: key(name(0)) });
  const model = JSON.parse(Buffer.from(found.kvs[0]?.value ?? "", "base64").toString()) as Stored; // custom resources are JSON
  const copy = (at: number): Stored => ({
    ...model,
    metadata: { ...model.metadata, name: name(at), uid: uidOf(resource, at) },
    spec: { ...model.spec, ...spec(at) },
    ...(isSettled ? { status: statusOf(resource, name(at)) } : {}),
  });
  const first = isSettled ? 0 : 1;
  return await putAll(url, { first, count, at: (at) => [key(name(at)), copy(at)] });
}

/** The generated keys of all tenants, as an operator that ran before left them; answers seconds. */
export async function seedKeys({ plane }: Stage, count: number, tenant: (at: number) => string): Promise<number> {
  const secret = (at: number) => {
    const owner = { apiVersion: "nexus.dev/v1alpha1", kind: "Tenant", metadata: { name: tenant(at), uid: uidOf("tenants", at) } };
    const metadata = {
      ...{ name: apiKeySecretName(tenant(at), "backend"), namespace: NAMESPACE, uid: uidOf("secrets", at) },
      ...{ creationTimestamp: timestamp(Date.now()), labels: tenantLabels(tenant(at), "default"), ownerReferences: ownedBy(owner) },
      annotations: { [ROTATION_ANNOTATION]: "0" },
    };
    const key = Buffer.from(`bench-key-${at}`).toString("base64");
    return { apiVersion: "v1", kind: "Secret", metadata, type: "Opaque", data: { key } };
  };
  const url = etcdOf(plane.pids().etcd ?? 0);
  return await putAll(url, { first: 0, count, at: (at) => [keyText("secrets", apiKeySecretName(tenant(at), "backend")), secret(at)] });
}

type Puts = { readonly first: number; readonly count: number; readonly at: (at: number) => readonly [key: string, object: object] };

const putAll = (url: string, { first, count, at }: Puts): Promise<number> =>
  many(Math.ceil((count - first) / OPERATIONS), async (batch) => {
    const from = first + batch * OPERATIONS;
    const success = Array.from({ length: Math.min(OPERATIONS, count - from) }, (_, offset) => {
      const [key, object] = at(from + offset);
      return { request_put: { key, value: Buffer.from(JSON.stringify(object)).toString("base64") } };
    });
    await call(`${url}/v3/kv/txn`, { success });
  });

const keyText = (resource: string, name: string): string => Buffer.from(`/registry/${resource}/${NAMESPACE}/${name}`).toString("base64");

/** The same for the same object, so that one can name another as its owner. */
function uidOf(resource: string, at: number): string {
  const digits = sha256(`${resource} ${at}`);
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-4${digits.slice(13, 16)}-8${digits.slice(17, 20)}-${digits.slice(20, 32)}`;
}

function statusOf(resource: Seeding["resource"], id: string): object {
  const state = { kind: "accepted", id, acknowledgement: { kind: "all" }, missing: [], unusable: [], suspended: false } as const;
  const context = { previous: undefined, generation: 1, now: timestamp(Date.now()), nowMs: 0 };
  return resource === "tenants" ? tenantStatus(state, context, undefined) : templateStatus(state, context, undefined);
}

function etcdOf(pid: number): string {
  const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  return argv[argv.indexOf("--listen-client-urls") + 1] ?? "";
}

async function call<T>(url: string, body: object): Promise<T> {
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`etcd: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T; // etcd's gateway answers what the path names
}

// Why: what a scenario needs: a namespace of its own on a shared API server, an administrator's hands, and what our operator
// wrote there. Everything goes over HTTP in this process: some thirty scenarios run at once on two cores.
import { join } from "node:path";
import { kubeconfigAccess } from "@nexus/operator/kube/access.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { KINDS, type Kind } from "@nexus/operator/loop/kinds.ts";
import { isConflict } from "@nexus/operator/loop/kube-error.ts";
import type { KubeApi } from "@nexus/operator/loop/ports.ts";
import type { RunningOperator } from "@nexus/operator/main.ts";
import type { Manifest } from "@nexus/operator/plan/object.ts";
import type { AuditEvent } from "../../../support/cluster/audit.ts";
import { AuditTail } from "../../../support/cluster/audit-tail.ts";
import { denyOnPurpose } from "../../../support/cluster/rights-log.ts";
import { eventually } from "../../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../../support/fake-kubelet.ts";
import type { Condition, OperatorProcess, Stage } from "../../../support/operator.ts";
import { cluster } from "../../../support/resources.ts";

/** A machine that builds and tests at once is slow; an operator that does not do it at all is found out all the same. */
export const PATIENCE = { timeoutMs: 90_000, intervalMs: 100 } as const;
const OPERATOR_ACCOUNT = { name: "nexus-operator", namespace: "nexus-system" };
const USER = "system:serviceaccount:nexus-system:nexus-operator";

/** An object as the API server answers it, with the parts scenarios look at. */
export type Live = Manifest & {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
  readonly status?: { readonly conditions?: readonly Condition[] } & Readonly<Record<string, unknown>>;
};
export type Event = { readonly reason: string; readonly note: string; readonly regarding: { readonly name: string } };

export type OwnOperator = RunningOperator & AsyncDisposable;

export type Place = AsyncDisposable & {
  readonly ns: string;
  readonly stage: Stage;
  /** As administrator. */
  readonly api: KubeApi;
  /** Another namespace, with labels. */
  namespace(suffix: string, labels?: Readonly<Record<string, string>>): Promise<string>;
  /** As `kubectl apply --server-side --force-conflicts`. */
  apply(...objects: readonly object[]): Promise<void>;
  get(kind: Kind, name: string, namespace?: string): Promise<Live | undefined>;
  /** A JSON merge patch as `manager` (default `kubectl-edit`). */
  patch(kind: Kind, name: string, patch: object, manager?: string): Promise<Live>;
  /** Deletes; true when there was something. */
  remove(kind: Kind, name: string): Promise<boolean>;
  condition(kind: Kind, name: string, type: string, namespace?: string): Promise<Condition | undefined>;
  /** Waits for a condition of the newest generation. */
  until(kind: Kind, name: string, want: Partial<Condition> & { readonly type: string }, namespace?: string): Promise<Condition>;
  /** Waits until something is true. */
  eventually<T>(what: string, probe: () => T | Promise<T>): Promise<Exclude<T, undefined | null | false | 0 | "">>;
  /** A cluster `live` (or `name`) with one running pod, Ready. */
  fleet(spec?: object, name?: string): Promise<FakeKubelet>;
  /** Pods of a cluster that somebody else makes, run by nobody yet. */
  kubelet(name?: string): FakeKubelet;
  /** An operator for this namespace alone, in this process; ended with the place. `server` leads to the API server by a detour. */
  operator(flags?: Readonly<Record<string, string>>, server?: string): Promise<OwnOperator>;
  /** The same as a process of its own. */
  process(flags?: Readonly<Record<string, string>>): Promise<OperatorProcess>;
  /** What our operators asked to write in this namespace so far. */
  writes(): readonly AuditEvent[];
  /** Waits until nothing was written here for `ms`; answers all writes so far. */
  quiet(ms?: number): Promise<readonly AuditEvent[]>;
  /** Events about an object of this name. */
  events(name?: string): Promise<readonly Event[]>;
  /** Disposed with the place, last first. */
  keep<T extends AsyncDisposable>(resource: T): T;
};

/** What all scenarios of a file share. */
export type Ground = { readonly stage: Stage; readonly api: KubeApi; readonly tail: AuditTail };

export async function ground(stage: Stage): Promise<Ground> {
  const access = await kubeconfigAccess(stage.plane.adminKubeconfig);
  const api = createKubeApi({ transport: createTransport({ access, userAgent: "nexus-scenario" }) });
  const ours = ({ user, objectRef }: AuditEvent) => user.username === USER && objectRef?.resource !== "leases";
  return { stage, api, tail: new AuditTail(join(stage.plane.directory, "audit.log"), ours) };
}

let places = 0;

/** A namespace named after the scenario, made and empty. */
export async function openPlace({ stage, api, tail }: Ground, source: string): Promise<Place> {
  const slug = source
    .replace(/^.*\//, "")
    .replace(/[^a-z0-9]+/gi, "-")
    .toLowerCase();
  const ns = `${slug}-${++places}`;
  const kept: AsyncDisposable[] = [];
  const keep = <T extends AsyncDisposable>(resource: T): T => {
    kept.push(resource);
    return resource;
  };
  let mayElect: Promise<void> | undefined;
  /** Flags of an operator of this namespace alone, with a Lease in it that it may use. */
  const own = async (flags: Readonly<Record<string, string>> = {}) => {
    mayElect ??= allowLeases(stage, ns);
    await mayElect;
    return { "--namespace": ns, "--lease-namespace": ns, ...flags };
  };
  const makeNamespace = async (name: string, labels: Readonly<Record<string, string>> = {}) => {
    await api.create(KINDS.Namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
    return name;
  };
  await makeNamespace(ns);
  const place: Place = {
    ns,
    stage,
    api,
    keep,
    namespace: (suffix, labels) => makeNamespace(`${ns}-${suffix}`, labels),
    async apply(...objects) {
      for (const object of objects as readonly Manifest[]) await api.apply(kindOf(object), object, { manager: "kubectl", force: true });
    },
    get: async (kind, name, namespace = ns) => await api.get<Live>({ kind, name, ...(kind.namespaced ? { namespace } : {}) }),
    patch: async (kind, name, patch, manager = "kubectl-edit") =>
      await api.mergePatch<Live>({ kind, name, ...(kind.namespaced ? { namespace: ns } : {}) }, patch, { manager }),
    remove: async (kind, name) => await api.delete({ kind, name, ...(kind.namespaced ? { namespace: ns } : {}) }),
    condition: async (kind, name, type, namespace = ns) =>
      (await place.get(kind, name, namespace))?.status?.conditions?.find((one) => one.type === type),
    until: async (kind, name, want, namespace = ns) =>
      await eventually(
        `${kind.kind} ${name} has ${JSON.stringify(want)}`,
        async () => {
          const found = await place.get(kind, name, namespace);
          const one = found?.status?.conditions?.find(({ type }) => type === want.type);
          const isCurrent = one?.observedGeneration === found?.metadata.generation;
          const fits = one && isCurrent && Object.entries(want).every(([member, value]) => Reflect.get(one, member) === value);
          if (!fits) throw new Error(JSON.stringify(found?.status?.conditions ?? "no status", undefined, 1));
          return one;
        },
        PATIENCE,
      ),
    eventually: async (what, probe) => await eventually(what, probe, PATIENCE),
    kubelet: (name = "live") => keep(fakeKubelet(stage, ns, name)),
    async fleet(spec = {}, name = "live") {
      await place.apply(cluster(ns, name, spec));
      const kubelet = place.kubelet(name);
      await kubelet.runPods(1);
      await place.until(KINDS.NexusCluster, name, { type: "Ready", status: "True" });
      return kubelet;
    },
    operator: async (flags, server) => keep(await stage.operator(await own(flags), server)),
    process: async (flags) => keep(await stage.process(await own(flags))),
    writes: () => tail.writes().filter(({ objectRef }) => objectRef?.namespace === ns),
    async quiet(ms = 2_000) {
      let count = -1;
      let sinceMs = 0;
      return await eventually(
        `no write in ${ns} for ${ms} ms`,
        () => {
          const writes = place.writes();
          if (writes.length !== count) {
            count = writes.length;
            sinceMs = performance.now();
          }
          return performance.now() - sinceMs >= ms && writes;
        },
        PATIENCE,
      );
    },
    async events(name) {
      const { items } = await api.list<Manifest & Event>(KINDS.Event, { namespace: ns });
      return items.filter(({ regarding }) => name === undefined || regarding.name === name);
    },
    async [Symbol.asyncDispose]() {
      for (const resource of kept.reverse()) await resource[Symbol.asyncDispose]();
    },
  };
  return place;
}

/** The chart allows one Lease, in the operator's namespace. Here each namespace has operators of its own. */
export async function allowLeases({ plane }: Stage, namespace: string, account = OPERATOR_ACCOUNT): Promise<void> {
  const api = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  const metadata = { name: "leases", namespace };
  const rules = [{ apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"] }];
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "leases" };
  const subjects = [{ kind: "ServiceAccount", ...account }];
  denyOnPurpose(plane, { resource: "leases", namespace }); // the right goes with the namespace
  denyOnPurpose(plane, { verb: "get", resource: "namespaces" }); // a scope of namespaces under the rights of all of them
  for (const [path, body] of [
    ["roles", { metadata, rules }],
    ["rolebindings", { metadata, roleRef, subjects }],
  ] as const) {
    const answer = await plane.request(`${api}/${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }
}

function kindOf({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): Kind {
  const found = Object.values<Kind>(KINDS).find((one) => one.kind === kind);
  if (found) return found;
  const [group = "", version = ""] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const clusterWide = kind.startsWith("Validating") || kind.startsWith("Mutating") || kind === "APIService";
  const plural = kind.endsWith("y") ? `${kind.slice(0, -1)}ies` : `${kind}s`;
  return { group, version, kind, resource: plural.toLowerCase(), namespaced: !clusterWide };
}

/** Repeats what somebody else's write in between refused. */
export async function insist<T>(work: () => Promise<T>): Promise<T> {
  return (
    await eventually(
      "nobody writes in between",
      async () => {
        try {
          return { answer: await work() };
        } catch (error) {
          if (isConflict(error)) return undefined;
          throw error;
        }
      },
      PATIENCE,
    )
  ).answer;
}

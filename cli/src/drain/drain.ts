// Why: one pod after another: evict, wait until it is gone, wait until its fleet is whole, next. What an eviction answers decides;
// a budget that is used up is waited for, anything else is told.
import { objectPath, withQuery } from "@nexus/operator/kube/paths.ts";
import { sleep, systemClock } from "@nexus/operator/loop/clock.ts";
import { KINDS, type Kind } from "@nexus/operator/loop/kinds.ts";
import { isForbidden, isNotFound, KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import { isPodReady, type SeenPod } from "../explain/pods.ts";
import type { Connection } from "../kube/connect.ts";

export type DrainOptions = {
  readonly timeoutMs: number;
  readonly isDryRun: boolean;
  /** Progress. */
  readonly say: (text: string) => void;
  /** Results. */
  readonly done: (text: string) => void;
};

const SERVERS = "app.kubernetes.io/name=nexus,app.kubernetes.io/component=server";
const NODE: Kind = { group: "", version: "v1", kind: "Node", resource: "nodes", namespaced: false };
const LOOK_MS = 1_000;
/** A budget is freed when another pod is ready: looked at about as often as kubectl does. */
const BUDGET_MS = 5_000;
const EVICTION_MS = 10_000;

type Found = { readonly pods: readonly SeenPod[]; readonly problems: readonly string[] };
const textOf = ({ metadata }: KubeObject): string => `Pod ${metadata.namespace}/${metadata.name}`;

/** The pods to drain, or why not. Rejects with `KubeError`. */
export async function serverPods(
  connection: Connection,
  which: { readonly names: readonly string[] } | { readonly node: string },
): Promise<Found> {
  return "node" in which ? await podsOfNode(connection, which.node) : await podsNamed(connection, which.names);
}

async function podsNamed({ api, namespace }: Connection, names: readonly string[]): Promise<Found> {
  const { items } = await api.list<SeenPod>(KINDS.Pod, { namespace, labelSelector: SERVERS });
  const pods: SeenPod[] = [];
  const problems: string[] = [];
  for (const name of new Set(names.map((one) => one.replace(/^pods?\//, "")))) {
    const pod = items.find(({ metadata }) => metadata.name === name);
    if (pod) pods.push(pod);
    else
      problems.push(
        `Pod ${namespace}/${name} is no server pod of a NexusCluster${items.length > 0 ? ` (there are ${items.map(({ metadata }) => metadata.name).join(", ")})` : ""}`,
      );
  }
  return { pods, problems };
}

async function podsOfNode({ api }: Connection, node: string): Promise<Found> {
  const problems: string[] = [];
  try {
    const found = await api.get<KubeObject & { readonly spec?: { readonly unschedulable?: boolean } }>({ kind: NODE, name: node });
    if (!found) problems.push(`Node ${node} does not exist`);
    else if (!found.spec?.unschedulable)
      problems.push(`Node ${node} takes new pods: cordon it first (kubectl cordon ${node}), or the pods come back to it`);
  } catch (error) {
    if (!isForbidden(error)) throw error; // whoever may evict pods may not always see nodes
  }
  const { items } = await api.list<SeenPod>(KINDS.Pod, { labelSelector: SERVERS, fieldSelector: `spec.nodeName=${node}` });
  return { pods: items.filter(({ metadata }) => metadata.deletionTimestamp === undefined), problems };
}

/** Exit code: 0 all drained, 1 not. Rejects with `KubeError` when the cluster cannot be asked. */
export async function drainPods(connection: Connection, pods: readonly SeenPod[], options: DrainOptions): Promise<number> {
  const stop = new AbortController();
  const onSignal = () => {
    options.say("stopping after this pod");
    stop.abort();
  };
  process.once("SIGINT", onSignal);
  try {
    let drained = 0;
    for (const pod of pods) {
      if (stop.signal.aborted) break;
      if (!(await drainOne(connection, pod, options))) break;
      drained++;
    }
    options.done(`${drained} of ${pods.length} pods ${options.isDryRun ? "may be drained now" : "drained"}.`);
    return drained === pods.length ? 0 : 1;
  } finally {
    process.off("SIGINT", onSignal);
  }
}

async function drainOne(connection: Connection, pod: SeenPod, options: DrainOptions): Promise<boolean> {
  const deadlineMs = systemClock.monotonicMs() + options.timeoutMs;
  const inTime = () => systemClock.monotonicMs() < deadlineMs;
  let waitsSince: string | undefined;
  for (;;) {
    const answer = await evict(connection, pod, options.isDryRun);
    if (answer.kind === "accepted") break;
    if (answer.kind === "refused" || options.isDryRun) {
      options.say(`${textOf(pod)}: ${answer.message}`);
      return false;
    }
    if (waitsSince !== answer.message) options.say(`${textOf(pod)}: waits for the PodDisruptionBudget: ${answer.message}`);
    waitsSince = answer.message;
    if (!inTime()) return outOfTime(pod, "the PodDisruptionBudget did not allow it", options);
    await sleep(systemClock, BUDGET_MS);
  }
  if (options.isDryRun) return true;
  options.say(`${textOf(pod)}: evicted, its sessions are sent away`);
  while (await isThere(connection, pod)) {
    if (!inTime()) return outOfTime(pod, "it is still there", options);
    await sleep(systemClock, LOOK_MS);
  }
  options.say(`${textOf(pod)}: gone, waiting until the fleet is whole`);
  while (!(await isWhole(connection, pod))) {
    if (!inTime()) return outOfTime(pod, "it is gone, but the fleet is not whole", options);
    await sleep(systemClock, LOOK_MS);
  }
  options.done(`${textOf(pod)} drained`);
  return true;
}

function outOfTime(pod: SeenPod, why: string, { say, timeoutMs }: DrainOptions): false {
  say(`${textOf(pod)}: not drained within ${timeoutMs / 1000} s: ${why}`);
  return false;
}

type Evicted = { readonly kind: "accepted" } | { readonly kind: "budget" | "refused"; readonly message: string };

/** policy/v1 Eviction; 429 is the budget, 404 and 409 say that this very pod is gone. */
async function evict({ transport }: Connection, { metadata }: SeenPod, isDryRun: boolean): Promise<Evicted> {
  const { name, namespace = "", uid } = metadata;
  const path = withQuery(objectPath({ kind: KINDS.Pod, namespace, name }, "eviction"), { dryRun: isDryRun ? "All" : undefined });
  const preconditions = uid === undefined ? {} : { preconditions: { uid } };
  const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace }, deleteOptions: preconditions };
  try {
    await transport.request({ method: "POST", path, body, timeoutMs: EVICTION_MS });
    return { kind: "accepted" };
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    if (error.status === 429)
      return { kind: "budget", message: error.causes.find(({ reason }) => reason === "DisruptionBudget")?.message ?? error.message };
    if (isNotFound(error) || error.status === 409) return { kind: "accepted" };
    if (error.status === 0 || error.status >= 500) throw error;
    return { kind: "refused", message: error.message };
  }
}

async function isThere({ api }: Connection, { metadata }: SeenPod): Promise<boolean> {
  const { name, namespace = "", uid } = metadata;
  const live = await api.get({ kind: KINDS.Pod, namespace, name });
  return live !== undefined && live.metadata.uid === uid;
}

type Deployment = KubeObject & { readonly spec?: { readonly replicas?: number } };

/** As many pods are ready as the fleet's Deployment asks for. A fleet that is gone is whole. */
async function isWhole({ api }: Connection, { metadata }: SeenPod): Promise<boolean> {
  const { namespace = "" } = metadata;
  const instance = metadata.labels?.["app.kubernetes.io/instance"] ?? "";
  const labelSelector = `${SERVERS},app.kubernetes.io/instance=${instance}`;
  const [deployments, pods] = await Promise.all([
    api.list<Deployment>(KINDS.Deployment, { namespace, labelSelector }),
    api.list<SeenPod>(KINDS.Pod, { namespace, labelSelector }),
  ]);
  const [deployment] = deployments.items;
  if (!deployment) return true;
  const ready = pods.items.filter((pod) => pod.metadata.deletionTimestamp === undefined && isPodReady(pod)).length;
  return ready >= (deployment.spec?.replicas ?? 1);
}

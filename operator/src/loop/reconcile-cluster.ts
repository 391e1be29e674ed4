// Why: one pass over a NexusCluster: its Secrets, its entry of the bundle, its pods' addresses, its objects, its size, its
// status. It must never undo what a user pauses, never touch foreign objects, never write what is as it should be.
import type { NexusCluster, NexusClusterStatus } from "@nexus/protocol/resources/nexus-cluster.ts";
import { clusterEntry, isRefused } from "../desired/bundle.ts";
import { disruptionBudget, notSupported, service, serviceAccount } from "../desired/children.ts";
import { childLabels, childNames, clusterKey, MANAGER, ownedBy, selectorLabels } from "../desired/names.ts";
import { PORTS } from "../desired/pod-template.ts";
import type { KubeObject } from "../plan/object.ts";
import { type ClusterSeen, clusterStatus, rounded } from "../status/cluster.ts";
import { timestamp } from "../status/conditions.ts";
import { type CertificateMaker, ensureAdminSecrets } from "./admin-secrets.ts";
import { BootCopy } from "./boot.ts";
import { type ChildReport, emptyReport, identityOf } from "./children.ts";
import { type Context, isPaused } from "./context.ts";
import { platformKeySecrets, secretsOf } from "./credentials.ts";
import { clusterKeyText } from "./keys.ts";
import { KINDS } from "./kinds.ts";
import { KubeError } from "./kube-error.ts";
import { SECRET_MS } from "./secrets.ts";
import type { Outcome } from "./workers.ts";
import { applyFleet, fleetOf } from "./workload.ts";

export type ClusterTools = {
  readonly certificates: CertificateMaker;
  /** When the published number of sessions moved last, monotonic, by uid. */
  readonly movedMs: Map<string, number>;
};

/** A new leader does not know yet what pods have: it keeps what the status says for so long. */
const SETTLING_MS = 15_000;
/** The number of sessions in the status moves at most so often. */
export const CONNECTIONS_MS = 60_000;

type Pass = {
  readonly report: ChildReport;
  readonly missing: readonly string[];
  readonly refused: string | undefined;
  readonly pending: NexusClusterStatus["pendingRollout"];
  readonly error: unknown;
};

export async function reconcileCluster(context: Context, tools: ClusterTools, key: string): Promise<Outcome> {
  const cluster = context.stores.NexusCluster.get(key);
  if (!cluster) {
    context.bundles.drop(key);
    context.secrets.forget(clusterKeyText(key));
    return { kind: "done" };
  }
  if (cluster.metadata.deletionTimestamp !== undefined) return { kind: "done" };
  context.pusher.setPods(
    key,
    context.stores.Pod.byIndex("cluster", key).filter((pod) => pod.address !== ""),
  );
  const pass = isPaused(cluster) ? await pausedPass(context, tools, cluster) : await workPass(context, tools, cluster);
  if (pass.error !== undefined && !isWorthTelling(pass.error)) return failure(pass.error);
  const againMs = await writeStatus(context, tools, { cluster, pass });
  if (pass.error !== undefined) return failure(pass.error);
  const waits = [
    againMs,
    pass.report.againMs,
    pass.missing.length > 0 ? SECRET_MS / 30 : undefined,
    SECRET_MS * (0.9 + 0.2 * context.random()),
  ];
  return { kind: "again", afterMs: Math.min(...waits.filter((ms) => ms !== undefined)) };
}

const failure = (error: unknown): Outcome => ({
  kind: "failed",
  error,
  retry: true,
  ...(error instanceof KubeError && error.retryAfterSeconds ? { afterMs: error.retryAfterSeconds * 1000 } : {}),
});

/** What the API server refuses is for the user's eyes; what time mends is not, nor what a dying namespace refuses. */
const isWorthTelling = (error: unknown): boolean =>
  error instanceof KubeError &&
  (error.status === 403 || error.status === 422 || error.status === 400) &&
  !error.causes.some(({ reason }) => reason === "NamespaceTerminating");

/** Nothing of the cluster is changed; its pods are still told what they had. */
async function pausedPass(context: Context, tools: ClusterTools, cluster: NexusCluster): Promise<Pass> {
  const report = emptyReport();
  try {
    // Without Secrets there is nobody to talk to; making them would be a change.
    const admin = childNames(cluster.metadata.name);
    const namespace = cluster.metadata.namespace ?? "default";
    const all = await Promise.all([admin.adminCa, admin.adminTls, admin.adminToken].map((name) => context.secrets.read(namespace, name)));
    if (all.every((secret) => secret !== undefined)) await connect(context, tools, { cluster, report });
    return { report, missing: [], refused: undefined, pending: context.statuses.current(cluster)?.pendingRollout, error: undefined };
  } catch (error) {
    return { report, missing: [], refused: undefined, pending: undefined, error };
  }
}

async function workPass(context: Context, tools: ClusterTools, cluster: NexusCluster): Promise<Pass> {
  const report = emptyReport();
  let configured: Configured = { missing: [], refused: undefined };
  let pending: Pass["pending"];
  let error: unknown;
  try {
    configured = await connect(context, tools, { cluster, report });
    await applyChildren(context, cluster, report);
    // Several pods without a broker would be several services behind one address: no pods rather than wrong ones.
    if (report.conflict === undefined && cluster.spec.redis.mode === "None") pending = await applyFleet(context, cluster, report);
  } catch (failed) {
    error = failed;
  }
  return { report, pending, error, ...configured };
}

type Configured = { readonly missing: readonly string[]; readonly refused: string | undefined };

/** Secrets, the cluster's entry, the boot copy, and then the address book: pods hear nothing before the bundle is known. */
async function connect(
  context: Context,
  tools: ClusterTools,
  { cluster, report }: { readonly cluster: NexusCluster; readonly report: ChildReport },
): Promise<Configured> {
  const { generated, clock, render, bundles, adminPort, pusher } = context;
  const key = clusterKey(cluster);
  const admin = await ensureAdminSecrets(cluster, {
    generated,
    certificates: tools.certificates,
    clock,
    operatorId: render.operatorId,
    port: adminPort,
  });
  if (admin.kind === "conflict") {
    report.conflict = admin.message;
    return { missing: [], refused: undefined };
  }
  const conflict = await platformKeySecrets(context, cluster);
  report.conflict ??= conflict;
  const read = await context.secrets.reader(clusterKeyText(key), cluster.metadata.namespace ?? "default", secretsOf(cluster));
  const compiled = clusterEntry(cluster, read);
  if (!isRefused(compiled) && !(isPaused(cluster) && bundles.isPublished(key))) bundles.putCluster(key, compiled.entry);
  if (!bundles.isOpen(key)) await openBoot(context, cluster);
  if (bundles.isPublished(key)) pusher.setTarget(admin.target);
  return isRefused(compiled) ? { missing: [], refused: compiled.message } : { missing: compiled.missing, refused: undefined };
}

async function openBoot(context: Context, cluster: NexusCluster): Promise<void> {
  const { api, applier, clock, random, bundles, pusher, leadership, render, log, enqueue } = context;
  const key = clusterKey(cluster);
  // The book exists from here on; no pod is told before `setTarget`, which waits for the first whole bundle.
  pusher.setEntries(key, []);
  const book = pusher.book(key);
  if (!book) throw new Error(`no bundle of ${key}`);
  const boot = new BootCopy({
    owner: {
      namespace: cluster.metadata.namespace ?? "default",
      name: cluster.metadata.name,
      labels: childLabels(cluster.metadata.name, "server", render.operatorId),
      ownerReferences: ownedBy(cluster),
      identity: identityOf(cluster, render.operatorId),
    },
    book,
    api,
    applier,
    clock,
    random,
    mayWrite: () => leadership.mayWrite() && !isPaused(context.stores.NexusCluster.get(key) ?? cluster),
    onChange: () => enqueue(clusterKeyText(key), 1_000),
    onError: (error) => log("warn", "boot.failed", { cluster: key, error: error instanceof Error ? error.message : "failed" }),
  });
  const buckets = await boot.read();
  bundles.open(
    key,
    boot,
    buckets.flatMap((bucket) => bucket.entries),
  );
}

async function applyChildren({ children, render }: Context, cluster: NexusCluster, report: ChildReport): Promise<void> {
  const identity = identityOf(cluster, render.operatorId);
  const list: readonly (readonly ["ServiceAccount" | "Service" | "PodDisruptionBudget", KubeObject])[] = [
    ["ServiceAccount", serviceAccount(cluster, render)],
    ["Service", service(cluster, render)],
    ["PodDisruptionBudget", disruptionBudget(cluster, render)],
  ];
  for (const [kind, desired] of list) await children.apply(cluster, identity, { kind, desired, manager: MANAGER, report });
}

/** Writes the status when it says something new. Answers when it would, in milliseconds, if only time is missing. */
async function writeStatus(
  context: Context,
  tools: ClusterTools,
  { cluster, pass }: { readonly cluster: NexusCluster; readonly pass: Pass },
): Promise<number | undefined> {
  const nowMs = context.clock.monotonicMs();
  const previous = context.statuses.current(cluster);
  const key = clusterKey(cluster);
  const state = context.bundles.isPublished(key) ? context.pusher.state(key) : undefined;
  const isKnown = state !== undefined && state.podsSynced === state.podsTotal;
  const settlesInMs = context.leadsSinceMs + SETTLING_MS - nowMs;
  const isSame = previous?.observedGeneration === cluster.metadata.generation;
  if (isSame && !isKnown && settlesInMs > 0 && pass.error === undefined && pass.report.conflict === undefined) return settlesInMs;
  const fleet = fleetOf(context, cluster);
  const boot = context.bundles.bootState(key);
  const seen: ClusterSeen = {
    ...fleet,
    selector: Object.entries(selectorLabels(cluster.metadata.name, "server"))
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
    wantedReplicas: cluster.spec.replicas,
    isDeploymentObserved: fleet.isObserved,
    isRolloutStuck: fleet.isStuck,
    bundle: state && { digest: state.digest, podsSynced: state.podsSynced, podsTotal: state.podsTotal },
    lagging: state?.lagging ?? [],
    bootCopy: boot === undefined || !boot.isWritten ? "pending" : boot.left > 0 ? "incomplete" : "complete",
    version: state?.version ?? previous?.version,
    sessions: state?.sessions ?? 0,
    endpoints: [`http://${childNames(cluster.metadata.name).server}.${cluster.metadata.namespace ?? "default"}.svc:${PORTS.http}`],
    missingSecrets: pass.missing,
    invalid: pass.refused,
    conflict: pass.report.conflict,
    contested: pass.report.contested,
    foreign: pass.report.foreign,
    notSupported: notSupported(cluster),
    pendingRollout: pass.pending,
    error: pass.error instanceof Error ? pass.error.message : undefined,
  };
  const uid = cluster.metadata.uid ?? "";
  const movesInMs = previous?.connections === undefined ? 0 : (tools.movedMs.get(uid) ?? context.leadsSinceMs) + CONNECTIONS_MS - nowMs;
  const wouldMove = rounded(seen.sessions) !== previous?.connections;
  const moving = wouldMove && movesInMs <= 0;
  const status = clusterStatus({ ...cluster, ...(previous ? { status: previous } : {}) }, seen, {
    now: timestamp(context.clock.wallMs()),
    isPaused: isPaused(cluster),
    mayMoveConnections: moving,
  });
  tellConflict(context, cluster, { previous, message: seen.conflict });
  await context.statuses.write(KINDS.NexusCluster, cluster, status);
  if (moving) tools.movedMs.set(uid, nowMs);
  return wouldMove && !moving ? movesInMs : undefined;
}

/** Once per conflict: the condition stays, the event says when it began. */
function tellConflict(
  { events }: Context,
  cluster: NexusCluster,
  { previous, message }: { readonly previous: NexusClusterStatus | undefined; readonly message: string | undefined },
): void {
  if (message === undefined || previous?.conditions?.some((one) => one.reason === "NameConflict")) return;
  events.record({ regarding: cluster, type: "Warning", reason: "NameConflict", action: "Applying", note: message });
}

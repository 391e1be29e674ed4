// Why: the pass over one NexusCluster: its objects, what pods are told of each other, its status. It compiles nothing: that is
// the `config` key's. A pass that failed still says so in the status.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { keyOfObject, namespaceOf } from "../desired/acceptance.ts";
import { childNames } from "../desired/names.ts";
import { clusterStatus } from "../status/cluster.ts";
import { timestamp } from "../status/conditions.ts";
import type { BootState } from "./boot.ts";
import type { Clock } from "./clock.ts";
import { clusterSeen } from "./cluster-seen.ts";
import type { FleetDeps } from "./fleet/work.ts";
import { type FleetFound, reconcileFleet } from "./fleet-pass.ts";
import { KINDS } from "./kinds.ts";
import { KubeError } from "./kube-error.ts";
import { isPaused } from "./paused.ts";
import type { StatusWriter } from "./ports.ts";
import { ADMIN_PORT } from "./push-ports.ts";
import { type Pusher, podViews } from "./pusher.ts";
import { isPodEnded, isPodLive, isPodReady, isServerPod } from "./views.ts";
import type { Outcome } from "./workers.ts";

/** What the last `config` pass of a cluster found. */
export type ConfigFound = { readonly missing: readonly string[]; readonly refused: string | undefined };

export type ClusterPassDeps = FleetDeps & {
  readonly pusher: Pusher;
  readonly statuses: StatusWriter;
  readonly clock: Clock;
  /** By cluster key; undefined before the first pass. */
  readonly boot: (clusterKey: string) => BootState | undefined;
  readonly config: (clusterKey: string) => ConfigFound | undefined;
};

const DONE: Outcome = { kind: "done" };
const CONNECTIONS_MS = 60_000;
/** A new leader has not heard from the pods yet: what the status says of them stands for so long, or a restart would write. */
const SETTLING_MS = 15_000;

export class ClusterPass {
  readonly #deps: ClusterPassDeps;
  /** When the number of sessions was published last, monotonic milliseconds. */
  readonly #connectionsAt = new Map<string, number>();
  /** Of the first pass of all: nobody looks before the lead. */
  #startedMs: number | undefined;

  constructor(deps: ClusterPassDeps) {
    this.#deps = deps;
  }

  forget(clusterKey: string): void {
    this.#connectionsAt.delete(clusterKey);
    this.#deps.scaling.forget(clusterKey);
    this.#deps.renderings.forget(clusterKey);
  }

  /** Rejects with `KubeError`. */
  async run(clusterKey: string): Promise<Outcome> {
    const { views } = this.#deps;
    const cluster = views.clusters.get(clusterKey);
    this.#startedMs ??= this.#deps.clock.monotonicMs();
    if (!cluster || cluster.metadata.deletionTimestamp) return DONE;
    if (isPaused(cluster)) {
      this.#tellPods(cluster, { credentials: undefined }); // pods that come meanwhile get what there was
      await this.#writeCluster(cluster, { found: undefined, error: undefined });
      return DONE;
    }
    try {
      const found = await reconcileFleet(cluster, this.#deps);
      this.#tellPods(cluster, found);
      const settlesInMs = found.conflict === undefined ? this.#settlesInMs(cluster) : 0;
      if (settlesInMs > 0) return { kind: "again", afterMs: Math.min(settlesInMs, found.againMs ?? settlesInMs) };
      await this.#writeCluster(cluster, { found, error: undefined });
      return { kind: "again", afterMs: found.againMs ?? CONNECTIONS_MS };
    } catch (error) {
      if (!(error instanceof KubeError) || error.status === 0 || error.status === 409 || error.status >= 500) throw error;
      await this.#writeCluster(cluster, { found: undefined, error: error.message });
      throw error;
    }
  }

  #tellPods(cluster: NexusCluster, { credentials }: Pick<FleetFound, "credentials">): void {
    const { pusher, views } = this.#deps;
    const key = keyOfObject(cluster);
    if (credentials) pusher.setTarget({ key, ...credentials, port: ADMIN_PORT });
    pusher.setPods(key, podViews(views, key));
    this.#tellScaling(key, credentials);
  }

  /** Also pods that are being stopped: their sessions are on their way to the others. */
  #tellScaling(key: string, credentials: FleetFound["credentials"]): void {
    const { views, scaling } = this.#deps;
    if (credentials) scaling.loads.setTarget({ key, ...credentials, port: ADMIN_PORT });
    const pods = views.pods.byIndex("cluster", key).filter(isServerPod);
    const asked = pods.flatMap(({ metadata, status }) =>
      status?.podIP === undefined || isPodEnded(status) ? [] : [{ uid: metadata.uid ?? "", name: metadata.name, address: status.podIP }],
    );
    scaling.loads.setPods(key, asked);
  }

  /** How long to wait for the pods' first words before the status may change; 0 = it may. */
  #settlesInMs(cluster: NexusCluster): number {
    const { clock, pusher, views, config } = this.#deps;
    const key = keyOfObject(cluster);
    const state = pusher.state(key);
    const ready = views.pods.byIndex("cluster", key).filter((pod) => isServerPod(pod) && isPodLive(pod) && isPodReady(pod)).length;
    // Before the pusher was told of the pods it counts none, which is no word of theirs.
    const isKnown = config(key) !== undefined && state !== undefined && state.podsTotal === ready && state.podsSynced === ready;
    // A new generation is told of at once.
    if (isKnown || cluster.status?.observedGeneration !== cluster.metadata.generation) return 0;
    return Math.max(0, (this.#startedMs ?? 0) + SETTLING_MS - clock.monotonicMs());
  }

  async #writeCluster(
    cluster: NexusCluster,
    pass: { readonly found: FleetFound | undefined; readonly error: string | undefined },
  ): Promise<void> {
    const { clock, wallMs, statuses, pusher, boot, config } = this.#deps;
    const key = keyOfObject(cluster);
    const deployment = this.#deps.views.deployments.get(`${namespaceOf(cluster)}/${childNames(cluster.metadata.name).server}`);
    const facts = { deployment, pushed: pusher.state(key), boot: boot(key), config: config(key), ...pass };
    const seen = clusterSeen(cluster, facts);
    const lastMs = this.#connectionsAt.get(key);
    // A number that is not there yet is no move: a pass that still sees the old status must not take away what it just wrote.
    const mayMoveConnections =
      cluster.status?.connections === undefined || (lastMs !== undefined && clock.monotonicMs() - lastMs >= CONNECTIONS_MS);
    if (mayMoveConnections || lastMs === undefined) this.#connectionsAt.set(key, clock.monotonicMs());
    const status = clusterStatus(cluster, seen, { now: timestamp(wallMs()), isPaused: isPaused(cluster), mayMoveConnections });
    await statuses.write({ kind: KINDS.NexusCluster, live: cluster, status });
  }
}

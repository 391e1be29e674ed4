// Why: what a cluster's configuration pass does about tenants whose object is gone: judged before a draft is taken, asked after
// while tombstones stand, and ended when a server says that it purged. It must never judge before the boot copy was read.

import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { keyOfObject } from "../desired/acceptance.ts";
import type { Clock } from "./clock.ts";
import type { ClusterConfiguration } from "./config/cluster-configuration.ts";
import type { Draft } from "./config/draft.ts";
import { tenantEntryKey } from "./config/tenants.ts";
import type { EventRecorder, KubeApi } from "./ports.ts";
import type { Pusher } from "./pusher.ts";
import { type Ended, Tombstones, tombstoneKey } from "./tombstones.ts";
import type { Views } from "./views.ts";

export type TombstonePassDeps = {
  readonly views: Pick<Views, "tenants">;
  readonly api: Pick<KubeApi, "get">;
  readonly pusher: Pick<Pusher, "book" | "change" | "state" | "look">;
  readonly events: EventRecorder;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly wallMs: () => number;
  /** Whether objects of this namespace would be seen. */
  readonly isWatched: (namespace: string) => boolean;
  readonly onError: (error: unknown) => void;
};

export class TombstonePass {
  readonly #deps: TombstonePassDeps;
  readonly #clusters = new Map<string, Tombstones>();

  constructor(deps: TombstonePassDeps) {
    this.#deps = deps;
  }

  /** See `Tombstones.mustPurge`. */
  mustPurge(clusterKey: string, tenantId: string, heir: Tenant): boolean {
    return this.#of(clusterKey).mustPurge(tenantId, heir);
  }

  /** See `Tombstones.settle`. */
  async settle(clusterKey: string, draft: Draft): Promise<void> {
    if (draft.gone.length > 0) await this.#of(clusterKey).settle(draft, draft.heirs);
  }

  /** Before a step. True when tombstones were taken out of the live bundle. */
  begin(cluster: NexusCluster, configuration: Pick<ClusterConfiguration, "look">): boolean {
    const key = keyOfObject(cluster);
    const { pusher } = this.#deps;
    const tombstones = this.#of(key);
    for (const tenantId of tombstones.dueAgain()) configuration.look(tenantEntryKey(tenantId));
    if (tombstones.size === 0) return false;
    const ended = tombstones.end(pusher.state(key)?.purged ?? []);
    if (tombstones.size > 0) pusher.look(key);
    if (ended.length === 0) return false;
    pusher.change(key, { remove: ended.map(({ tenantId }) => tombstoneKey(tenantId)) });
    for (const one of ended) {
      configuration.look(tenantEntryKey(one.tenantId)); // somebody may wait for the id
      this.#tell(cluster, one);
    }
    return true;
  }

  /** When there is something to look at without an event, in milliseconds from now. */
  againMs(clusterKey: string): number {
    return this.#of(clusterKey).againMs();
  }

  /** Deleted tenants of which no server has said that their data are gone. */
  pending(clusterKey: string): number {
    return this.#clusters.get(clusterKey)?.size ?? 0;
  }

  forget(clusterKey: string): void {
    this.#clusters.delete(clusterKey);
  }

  #tell(cluster: NexusCluster, { tenantId, isGivenUp }: Ended): void {
    const note = isGivenUp
      ? `no server said within 7 days that the data of the deleted tenant ${tenantId} are purged; nobody is asked any more`
      : `data of the deleted tenant ${tenantId} are purged`;
    const reason = isGivenUp ? "PurgeGivenUp" : "Purged";
    this.#deps.events.record({ regarding: cluster, type: isGivenUp ? "Warning" : "Normal", reason, action: "Purging", note });
  }

  #of(clusterKey: string): Tombstones {
    const known = this.#clusters.get(clusterKey);
    if (known) return known;
    const { views, api, pusher, wallMs, clock, isWatched, onError } = this.#deps;
    const made = new Tombstones({
      ...{ tenants: views.tenants, api, wallMs, isWatched, onError },
      book: pusher.book(clusterKey),
      monotonicMs: () => clock.monotonicMs(),
    });
    this.#clusters.set(clusterKey, made);
    return made;
  }
}

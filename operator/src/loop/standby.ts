// Why: who waits for the lead keeps a cluster's bundle up in memory, so that with the lead nothing but news has to be read. What only a
// leader may judge (a tenant that goes, an id that changes hands) is left for later. It must never write, push, or drop a tenant.
import { entryKey } from "@nexus/protocol/bundle.ts";
import type { BootCopy } from "./boot.ts";
import { adoption } from "./boot-adopt.ts";
import type { Urgency } from "./boot-pace.ts";
import { urgencyOf } from "./boot-urgency.ts";
import type { ClusterConfiguration } from "./config/cluster-configuration.ts";
import type { Draft, Wake } from "./config/draft.ts";
import type { Store } from "./ports.ts";
import { bucketOfKey } from "./push-book.ts";
import type { Pusher } from "./pusher.ts";
import type { TemplateIndex } from "./template-index.ts";

/** Of one cluster. `pusher` does not know the bundle to be whole yet: what its book takes goes nowhere. */
export type Place = {
  readonly clusterKey: string;
  readonly pusher: Pick<Pusher, "book" | "change" | "load">;
  readonly configuration: ClusterConfiguration;
};

/** What one cluster's standby leaves for its lead. */
export class Standby {
  /** Statuses to look at, by object, once each: those that say nothing of what happened meanwhile. */
  readonly wakes = new Map<string, Wake>();
  /** What the boot copy lacked was asked for. */
  hasRead = false;
  /** Something was looked at before the lead. */
  wasUsed = false;
  /** How soon the boot copy has to have what changed here, should the former leader not have written it. */
  urgency: Urgency = "calm";

  /** Puts what a look came to into the book, and leaves the rest. */
  keep(draft: Draft, { clusterKey, pusher, configuration, templates }: Place & { readonly templates: Store<TemplateIndex> }): void {
    this.wasUsed = true;
    const remove = draft.gone.filter((key) => configuration.mayDrop(key));
    for (const key of draft.gone) if (!remove.includes(key)) configuration.defer(key);
    const book = pusher.book(clusterKey);
    const change = { put: draft.put, remove };
    if (urgencyOf(book, change) === "urgent") this.urgency = "urgent";
    // States that pods have, or the former leader may have written, are known again by their digests.
    const touched = new Set([...draft.put.map(entryKey), ...remove].map(bucketOfKey));
    for (const index of touched) book.bucket(index).digest();
    pusher.change(clusterKey, change);
    for (const index of touched) book.bucket(index).digest();
    // A tenant is looked at by every leader, and so is a template that is not settled.
    for (const wake of draft.wakes) {
      if (wake.kind === "template" && templates.get(wake.key)?.status === "settled") this.wakes.set(wake.key, wake);
    }
  }
}

/**
 * With the lead, when nobody else can write any more: brings the book to what the former leader wrote meanwhile, where that says
 * something else. Rejects with `KubeError`; call it again then.
 */
export async function readSince({ boot, clusterKey, pusher, configuration }: Place & { readonly boot: BootCopy }): Promise<void> {
  await boot.refresh((index, stored) => {
    const bucket = pusher.book(clusterKey).bucket(index);
    if (stored && bucket.rev === 0) {
      pusher.load(clusterKey, stored);
      if (boot.isOutdated(index)) for (const { key } of stored.entries) configuration.force(key);
      return;
    }
    const { put, remove, look } = adoption(bucket, stored, (key, mark) => configuration.isCurrent(key, mark));
    pusher.change(clusterKey, { put, remove });
    if (boot.isOutdated(index)) for (const entry of put) configuration.force(entryKey(entry));
    configuration.adopted(look);
  });
}

// Why: everything a fleet keeps of a deleted tenant is removed by one node, and any other goes on where that one stops.
// A walk sees each key that was there all the time; what moved or was written meanwhile is found by the next one, so the
// end is a walk that found nothing while every partition stayed where it was.
// It must never say "purged" before that, nor run on two nodes at once for long.
import { Failure } from "@nexus/protocol/failures.ts";
import type { PurgeOutcome, TenantPurge, Tombstone } from "../../core/purge-ports.ts";
import { failureOf, faultOf } from "./connect-faults.ts";
import { createKeyLease, type KeyLease } from "./key-lease.ts";
import type { Primary } from "./link.ts";
import type { RedisParts } from "./parts.ts";
import { tenantKeys } from "./purge-keys.ts";
import { PurgeProgress } from "./purge-progress.ts";
import { walk } from "./purge-walk.ts";

const LEASE_MS = 10_000;
const RENEW_MS = 2_000;

export type RedisPurgeOptions = {
  readonly parts: Pick<RedisParts, "link" | "keys" | "self" | "clock" | "log">;
  /** `flush`: tells Redis what this node still gathers. `purge`: what lies in keys that all tenants share. */
  readonly records: { flush(): Promise<void>; purge(tenant: string): Promise<void> };
};

/** What another store beside Redis keeps. Resolves with `false` when it was stopped. */
export type PurgeBeside = (tombstone: Tombstone, signal: AbortSignal) => Promise<boolean>;

export type RedisPurge = TenantPurge & { beside: PurgeBeside };

/** `beside`, settable once the other store is there, is done before anybody is told that it is over. */
export function createRedisPurge({ parts, records }: RedisPurgeOptions): RedisPurge {
  const { link, keys, log } = parts;
  const self: RedisPurge = {
    beside: async () => true,
    async purge(tombstone, signal) {
      const progress = new PurgeProgress(link, keys, tombstone);
      await progress.read();
      if (progress.isDone) return "purged";
      const lease = createKeyLease(parts, { name: "purge/leader", leaseMs: LEASE_MS });
      if (!(await lease.hold())) return "elsewhere";
      try {
        await progress.read(); // as the last holder left it
        return await purgeAll({ parts, records, beside: self.beside, lease, progress }, tombstone, signal);
      } catch (error) {
        if (error instanceof Failure || !(error instanceof Error)) throw error;
        const kind = faultOf(error);
        throw kind === "bug" ? error : failureOf(kind, error);
      } finally {
        await lease.release().catch((error: unknown) => log.debug("purge.lease_kept", { error: String(error) })); // it runs out
      }
    },
  };
  return self;
}

type Work = RedisPurgeOptions & { readonly beside: PurgeBeside; readonly lease: KeyLease; readonly progress: PurgeProgress };

async function purgeAll(work: Work, tombstone: Tombstone, signal: AbortSignal): Promise<PurgeOutcome> {
  const { parts, records, progress, beside } = work;
  while (!progress.isDone) {
    await records.flush();
    const before = await parts.link.primaries();
    for (const primary of before) {
      const outcome = await walkOne(work, primary, tombstone, signal);
      if (outcome !== "end") return outcome;
    }
    await records.purge(tombstone.tenant);
    if (!(await beside(tombstone, signal))) return "stopped";
    const isSame = placesOf(await parts.link.primaries()) === placesOf(before);
    if (progress.found === 0 && isSame) await progress.finish();
    else await progress.again();
  }
  return "purged";
}

async function walkOne({ parts, lease, progress }: Work, primary: Primary, { tenant }: Tombstone, signal: AbortSignal) {
  const { link, keys, clock } = parts;
  let renewedAt = clock.monotonic();
  const mayGoOn = async () => {
    if (lease.isHeld() && clock.monotonic() - renewedAt < RENEW_MS) return true;
    renewedAt = clock.monotonic();
    return await lease.hold();
  };
  const connection = await link.dial(primary);
  try {
    return await walk({ connection, theirs: tenantKeys(keys, tenant), progress, clock, signal, mayGoOn });
  } finally {
    connection.disconnect();
  }
}

const placesOf = (primaries: readonly Primary[]): string =>
  primaries
    .map(({ id, partitions }) => `${id} ${partitions.join()}`)
    .sort()
    .join("\n");

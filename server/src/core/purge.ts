// Why: when a tenant is deleted with `deletionPolicy: Delete`, the bundle holds a tombstone until a node says that its data
// are gone. This node does its part: one tombstone after the other, again and again until it is done somewhere.
// It must never purge a tenant that is live, nor on the word of a boot copy alone, nor say "purged" on anything but the engine's word.
import type { Clock, Log, Metrics } from "./ports.ts";
import type { TenantPurge, Tombstone } from "./purge-ports.ts";

/** Until requests that were under way have ended and every node was told; what they write later would stay. */
const SETTLE_MS = 5_000;
/** When another node is at it, or after a failure (doubled each time up to a minute). */
const AGAIN_MS = 5_000;
const MOST_MS = 60_000;

export type PurgerDeps = {
  readonly live: {
    tombstones(): readonly Tombstone[];
    tenant(id: string): unknown;
    /** Whether a leader has confirmed what this node was told. */
    confirmed(): boolean;
    onChange(listener: () => void): () => void;
  };
  readonly engine: TenantPurge;
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Pick<Log, "info" | "warn">;
  readonly metrics: Pick<Metrics, "purged">;
  /** Resolves after so many milliseconds, or at once when aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly settleMs?: number;
};

export type Purger = {
  /** Those tombstones of the bundle whose tenant's data are gone. */
  purged(): readonly Tombstone[];
  /** How many others there are. */
  pending(): number;
  /** Breaks off what is under way; resolves when the engine is not used any more. Never rejects. */
  stop(): Promise<void>;
};

type Found = { readonly tombstone: Tombstone; readonly seenAt: number; isPurged: boolean; failures: number; dueAt: number };

const nameOf = ({ tenant, uid }: Tombstone): string => `${tenant}\n${uid}`;

/** Sessions of the tenant were ended when its entry left the bundle, before anything here begins. */
export function createPurger({ live, engine, clock, log, metrics, wait, settleMs = SETTLE_MS }: PurgerDeps): Purger {
  const known = new Map<string, Found>();
  const stopping = new AbortController();
  let running: Promise<void> | undefined;

  function look(): void {
    const now = clock.monotonic();
    const told = new Map(live.tombstones().map((tombstone) => [nameOf(tombstone), tombstone]));
    for (const name of known.keys()) if (!told.has(name)) known.delete(name);
    for (const [name, tombstone] of told) {
      if (!known.has(name)) known.set(name, { tombstone, seenAt: now, isPurged: false, failures: 0, dueAt: now + settleMs });
    }
    if (next() && !stopping.signal.aborted) running ??= run().finally(() => (running = undefined));
  }

  const next = (): Found | undefined =>
    [...known.values()]
      .filter(({ isPurged }) => !isPurged)
      .reduce<Found | undefined>((a, b) => (a && a.dueAt <= b.dueAt ? a : b), undefined);

  async function run(): Promise<void> {
    for (let found = next(); found && !stopping.signal.aborted; found = next()) {
      const inMs = found.dueAt - clock.monotonic();
      if (inMs > 0) await wait(Math.min(inMs, AGAIN_MS), stopping.signal);
      else await one(found);
    }
  }

  async function one(found: Found): Promise<void> {
    const { tombstone } = found;
    // A boot copy may be older than the tenant that has this id now. And if both are told, the living win.
    if (!live.confirmed() || live.tenant(tombstone.tenant) !== undefined) return later(found, AGAIN_MS);
    try {
      const outcome = await engine.purge(tombstone, stopping.signal);
      found.failures = 0;
      found.isPurged = outcome === "purged";
      if (!found.isPurged) return later(found, AGAIN_MS);
      metrics.purged("done");
      log.info("tenant.purged", { tenant: tombstone.tenant, uid: tombstone.uid, durationMs: Math.round(clock.monotonic() - found.seenAt) });
    } catch (error) {
      found.failures++;
      metrics.purged("failed");
      log.warn("tenant.purge_failed", { tenant: tombstone.tenant, uid: tombstone.uid, error: String(error) });
      later(found, Math.min(MOST_MS, AGAIN_MS * 2 ** (found.failures - 1)));
    }
  }

  function later(found: Found, ms: number): void {
    found.dueAt = clock.monotonic() + ms;
  }

  const unsubscribe = live.onChange(look);
  look();
  return {
    purged: () => [...known.values()].filter(({ isPurged }) => isPurged).map(({ tombstone }) => tombstone),
    pending: () => [...known.values()].filter(({ isPurged }) => !isPurged).length,
    async stop() {
      unsubscribe();
      stopping.abort();
      await running;
    },
  };
}

// Why: what became of notifications on one node: for delivery status and ACK statistics, bounded in number and age.
// It must never be asked on the way of a delivery, and never tell one tenant of another's.
import type { Clock } from "../../core/ports.ts";
import type { AckCounts, Receipt, ReceiptFacts, Receipts } from "../../core/record-ports.ts";

const DAY_MS = 86_400_000;
/** Roughly 400 bytes each. */
const MAX_RECEIPTS = 100_000;
const MAX_LISTED = 100;

type Tracked = { readonly tenant: string; readonly occurredAt: number; readonly until: number; readonly user: string; settled: boolean };

class Kept {
  readonly facts: ReceiptFacts;
  readonly targets: Receipt["targets"][number][] = [];
  targetCount = 0;
  deliveredTo = 0;
  /** By user; one that is no target of a user may acknowledge too (a channel's listener) and is only listed. */
  tracked: Map<string, Tracked> | undefined;
  acknowledged: Map<string, number> | undefined;

  constructor(facts: ReceiptFacts) {
    this.facts = facts;
  }
}

class Tally {
  tracked = 0;
  acknowledged = 0;
  expired = 0;
  latencyMs = 0;
}

export class MemoryReceipts implements Receipts {
  readonly #clock: Pick<Clock, "now">;
  /** In order of publishing. */
  readonly #kept = new Map<string, Kept>();
  /** Those that wait for an ACK, in order of their timeout as long as that does not change. */
  readonly #waiting = new Set<Tracked>();
  readonly #tallies = new Map<string, Tally>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#kept.size;
  }

  published: Receipts["published"] = (tenant, facts, ackTimeoutMs) => {
    const now = this.#clock.now();
    this.#forget(now);
    this.#expire(now);
    const name = nameOf(tenant, facts.notificationId);
    const kept = this.#kept.get(name) ?? new Kept(facts);
    this.#kept.set(name, kept);
    kept.targetCount++;
    kept.deliveredTo += facts.deliveredTo;
    if (kept.targets.length < MAX_LISTED) {
      kept.targets.push({ stream: facts.stream, deliveredTo: facts.deliveredTo, queued: facts.queued });
    }
    if (facts.stream.kind !== "inbox" || facts.deliveredTo === 0) return;
    const { user } = facts.stream;
    const tracked: Tracked = { tenant, occurredAt: facts.occurredAt, until: now + ackTimeoutMs, user, settled: false };
    kept.tracked ??= new Map();
    kept.tracked.set(user, tracked);
    this.#waiting.add(tracked);
    this.#tally(tenant).tracked++;
  };

  acknowledged: Receipts["acknowledged"] = (tenant, notificationId, user) => {
    const kept = this.#kept.get(nameOf(tenant, notificationId));
    if (!kept || kept.acknowledged?.has(user)) return;
    const now = this.#clock.now();
    kept.acknowledged ??= new Map();
    kept.acknowledged.set(user, now);
    const tracked = kept.tracked?.get(user);
    if (!tracked || tracked.settled) return; // came too late: it was counted as expired
    this.#expire(now);
    if (tracked.settled) return;
    tracked.settled = true;
    this.#waiting.delete(tracked);
    const tally = this.#tally(tenant);
    tally.acknowledged++;
    tally.latencyMs += now - tracked.occurredAt;
  };

  find: Receipts["find"] = async (tenant, notificationId) => {
    this.#forget(this.#clock.now());
    const kept = this.#kept.get(nameOf(tenant, notificationId));
    if (!kept) return undefined;
    const { facts, targets, targetCount, deliveredTo, acknowledged } = kept;
    const acknowledgements = [...(acknowledged ?? [])].map(([user, at]) => ({ user, at }));
    return {
      notificationId,
      occurredAt: facts.occurredAt,
      eventType: facts.eventType,
      expiresAt: facts.expiresAt,
      targets: [...targets],
      targetCount,
      deliveredTo,
      acknowledgements: acknowledgements.slice(0, MAX_LISTED),
      acknowledgementCount: acknowledgements.length,
    };
  };

  acks: Receipts["acks"] = async (tenant) => {
    this.#expire(this.#clock.now());
    const tallies = tenant === undefined ? [...this.#tallies.values()] : [this.#tally(tenant)];
    const sum = { tracked: 0, acknowledged: 0, expired: 0, pending: 0, latencyMs: 0 };
    for (const tally of tallies) {
      sum.tracked += tally.tracked;
      sum.acknowledged += tally.acknowledged;
      sum.expired += tally.expired;
      sum.latencyMs += tally.latencyMs;
    }
    return { ...sum, pending: sum.tracked - sum.acknowledged - sum.expired } satisfies AckCounts;
  };

  #expire(now: number): void {
    for (const tracked of this.#waiting) {
      if (tracked.until > now) return;
      this.#settleExpired(tracked);
    }
  }

  #settleExpired(tracked: Tracked): void {
    this.#waiting.delete(tracked);
    tracked.settled = true;
    this.#tally(tracked.tenant).expired++;
  }

  #forget(now: number): void {
    for (const [name, kept] of this.#kept) {
      if (this.#kept.size < MAX_RECEIPTS && kept.facts.occurredAt + DAY_MS > now) return;
      this.#kept.delete(name);
      // What nobody can acknowledge any more is not pending.
      for (const tracked of kept.tracked?.values() ?? []) if (!tracked.settled) this.#settleExpired(tracked);
    }
  }

  #tally(tenant: string): Tally {
    let tally = this.#tallies.get(tenant);
    if (!tally) {
      tally = new Tally();
      this.#tallies.set(tenant, tally);
    }
    return tally;
  }
}

/** A tenant id holds no `/`. */
const nameOf = (tenant: string, notificationId: string): string => `${tenant}/${notificationId}`;

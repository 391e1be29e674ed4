// Why: what became of notifications on one node: for delivery status and ACK statistics, bounded in number and age.
// It must never be asked on the way of a delivery, and never tell one tenant of another's.
import { AgingMap } from "../../core/aging-map.ts";
import type { Clock } from "../../core/ports.ts";
import type { AckCounts, Receipt, ReceiptFacts, Receipts } from "../../core/record-ports.ts";

const DAY_MS = 86_400_000;
/** Receipts, listed targets and users together; 100-300 bytes each. */
const MAX_WEIGHT = 300_000;
const MAX_LISTED = 100;

class Tally {
  tracked = 0;
  acknowledged = 0;
  expired = 0;
  latencyMs = 0;
}

/** One user and one notification. `waiting`: where it is while its ACK is awaited. */
type Follower = { readonly until: number; readonly tally: Tally; waiting: Waiting | undefined; acknowledged: boolean };
type Waiting = AgingMap<Follower, Follower>;

class Kept {
  readonly facts: ReceiptFacts;
  readonly targets: Receipt["targets"][number][] = [];
  readonly acknowledgements: Receipt["acknowledgements"][number][] = [];
  /** By user: those it reached, and whoever acknowledged it without. */
  readonly followers = new Map<string, Follower>();
  targetCount = 0;
  deliveredTo = 0;
  acknowledgementCount = 0;

  constructor(facts: ReceiptFacts) {
    this.facts = facts;
  }

  get weight(): number {
    return 1 + this.targets.length + this.followers.size;
  }
}

export class MemoryReceipts implements Receipts {
  readonly #clock: Pick<Clock, "now">;
  readonly #maxWeight: number;
  /** In order of publishing. */
  readonly #kept = new AgingMap<string, Kept>();
  #weight = 0;
  /** Those whose ACK is awaited, by the timeout they were published with, so that each list is in the order of its ends. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #tallies = new Map<string, Tally>();

  constructor(clock: Pick<Clock, "now">, maxWeight = MAX_WEIGHT) {
    this.#clock = clock;
    this.#maxWeight = maxWeight;
  }

  published: Receipts["published"] = (tenant, facts, ackTimeoutMs) => {
    const now = this.#clock.now();
    this.#settle(now);
    const name = nameOf(tenant, facts.notificationId);
    const known = this.#kept.get(name);
    const kept = known ?? new Kept(facts);
    if (known) this.#weight -= known.weight;
    else this.#kept.set(name, kept);
    kept.targetCount++;
    kept.deliveredTo += facts.deliveredTo;
    if (kept.targets.length < MAX_LISTED) {
      kept.targets.push({ stream: facts.stream, deliveredTo: facts.deliveredTo, queued: facts.queued });
    }
    const { stream } = facts;
    if (stream.kind === "inbox" && facts.deliveredTo > 0 && !kept.followers.has(stream.user)) {
      const tally = this.#tallyOf(tenant);
      tally.tracked++;
      const waiting = this.#waitingFor(ackTimeoutMs);
      const follower: Follower = { until: now + ackTimeoutMs, tally, waiting, acknowledged: false };
      waiting.set(follower, follower);
      kept.followers.set(stream.user, follower);
    }
    this.#weight += kept.weight;
    this.#forget(now);
  };

  acknowledged: Receipts["acknowledged"] = (tenant, notificationId, user) => {
    const now = this.#clock.now();
    this.#settle(now);
    const kept = this.#kept.get(nameOf(tenant, notificationId));
    if (!kept) return;
    let follower = kept.followers.get(user);
    if (follower?.acknowledged) return;
    if (!follower) {
      follower = { until: now, tally: this.#tallyOf(tenant), waiting: undefined, acknowledged: false };
      kept.followers.set(user, follower);
      this.#weight++;
    }
    follower.acknowledged = true;
    kept.acknowledgementCount++;
    if (kept.acknowledgements.length < MAX_LISTED) kept.acknowledgements.push({ user, at: now });
    if (!follower.waiting) return; // too late, it was counted as expired; or it was away when it was published
    follower.waiting.delete(follower);
    follower.waiting = undefined;
    follower.tally.acknowledged++;
    follower.tally.latencyMs += now - kept.facts.occurredAt;
  };

  find: Receipts["find"] = async (tenant, notificationId) => {
    this.#settle(this.#clock.now());
    const kept = this.#kept.get(nameOf(tenant, notificationId));
    if (!kept) return undefined;
    const { facts, targets, targetCount, deliveredTo, acknowledgements, acknowledgementCount } = kept;
    return {
      notificationId,
      occurredAt: facts.occurredAt,
      eventType: facts.eventType,
      expiresAt: facts.expiresAt,
      targets: [...targets],
      targetCount,
      deliveredTo,
      acknowledgements: [...acknowledgements],
      acknowledgementCount,
    };
  };

  acks: Receipts["acks"] = async (tenant) => {
    this.#settle(this.#clock.now());
    const sum = { tracked: 0, acknowledged: 0, expired: 0, pending: 0, latencyMs: 0 };
    for (const tally of tenant === undefined ? this.#tallies.values() : [this.#tallies.get(tenant) ?? new Tally()]) {
      sum.tracked += tally.tracked;
      sum.acknowledged += tally.acknowledged;
      sum.expired += tally.expired;
      sum.latencyMs += tally.latencyMs;
    }
    return { ...sum, pending: sum.tracked - sum.acknowledged - sum.expired } satisfies AckCounts;
  };

  /** Ends what time has ended: receipts of a day ago, ACKs that did not come. */
  #settle(now: number): void {
    this.#forget(now);
    for (const [timeout, waiting] of this.#waiting) {
      for (let next = waiting.oldest(); next && next[0].until <= now; next = waiting.oldest()) expire(next[0]);
      if (waiting.size === 0) this.#waiting.delete(timeout);
    }
  }

  #forget(now: number): void {
    for (let next = this.#kept.oldest(); next; next = this.#kept.oldest()) {
      const [name, kept] = next;
      if (this.#weight <= this.#maxWeight && kept.facts.occurredAt + DAY_MS > now) return;
      this.#kept.delete(name);
      this.#weight -= kept.weight;
      for (const follower of kept.followers.values()) if (follower.waiting) expire(follower); // nobody can acknowledge it any more
    }
  }

  #waitingFor(timeoutMs: number): Waiting {
    let waiting = this.#waiting.get(timeoutMs);
    if (!waiting) {
      waiting = new AgingMap();
      this.#waiting.set(timeoutMs, waiting);
    }
    return waiting;
  }

  #tallyOf(tenant: string): Tally {
    let tally = this.#tallies.get(tenant);
    if (!tally) {
      tally = new Tally();
      this.#tallies.set(tenant, tally);
    }
    return tally;
  }
}

function expire(follower: Follower): void {
  follower.waiting?.delete(follower);
  follower.waiting = undefined;
  follower.tally.expired++;
}

/** A tenant id holds no `/`. */
const nameOf = (tenant: string, notificationId: string): string => `${tenant}/${notificationId}`;

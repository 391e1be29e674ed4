// Why: what became of notifications on one node: for delivery status and ACK statistics, bounded in number and age.
// It must never be asked on the way of a delivery, and never tell one tenant of another's.
import { AgingMap } from "../../core/aging-map.ts";
import type { Clock } from "../../core/ports.ts";
import type { AckCounts, Receipts } from "../../core/record-ports.ts";
import { AckTally, Awaited, Follower, KeptReceipt } from "./receipt.ts";

const DAY_MS = 86_400_000;
/** Receipts, further targets and users together; 100-300 bytes each. */
const MAX_WEIGHT = 200_000;

export class MemoryReceipts implements Receipts {
  readonly #clock: Pick<Clock, "now">;
  readonly #maxWeight: number;
  /** In order of publishing. */
  readonly #kept = new AgingMap<string, KeptReceipt>();
  #weight = 0;
  /** By the timeout they were published with. */
  readonly #awaited = new Map<number, Awaited>();
  readonly #tallies = new Map<string, AckTally>();

  /** `maxWeight`: how many receipts, further targets and users are kept together. */
  constructor(clock: Pick<Clock, "now">, maxWeight = MAX_WEIGHT) {
    this.#clock = clock;
    this.#maxWeight = maxWeight;
  }

  published: Receipts["published"] = (tenant, facts, ackTimeoutMs) => {
    const now = this.#clock.now();
    this.#settle(now);
    const name = nameOf(tenant, facts.notificationId);
    let kept = this.#kept.get(name);
    const before = kept?.weight ?? 0;
    if (kept) kept.addTarget(facts);
    else {
      kept = new KeptReceipt(facts);
      this.#kept.set(name, kept);
    }
    const { stream } = facts;
    if (stream.kind === "inbox" && facts.deliveredTo > 0 && !kept.followerOf(stream.user)) {
      const follower = new Follower(stream.user, this.#tallyOf(tenant), now + ackTimeoutMs);
      follower.tally.tracked++;
      kept.follow(follower);
      this.#awaitedFor(ackTimeoutMs).add(follower);
    }
    this.#weight += kept.weight - before;
    this.#forget(now);
  };

  acknowledged: Receipts["acknowledged"] = (tenant, notificationId, user) => {
    const now = this.#clock.now();
    this.#settle(now);
    const kept = this.#kept.get(nameOf(tenant, notificationId));
    if (!kept) return;
    let follower = kept.followerOf(user);
    if (follower?.acknowledged) return;
    if (!follower) {
      follower = new Follower(user, this.#tallyOf(tenant), now);
      kept.follow(follower);
      this.#weight++;
    }
    follower.acknowledged = true;
    kept.acknowledge(user, now);
    if (!follower.awaited) return; // too late, it was counted as expired; or it was away when it was published
    follower.awaited.remove(follower);
    follower.tally.acknowledged++;
    follower.tally.latencyMs += now - kept.facts.occurredAt;
  };

  find: Receipts["find"] = async (tenant, notificationId) => {
    this.#settle(this.#clock.now());
    return this.#kept.get(nameOf(tenant, notificationId))?.toReceipt();
  };

  acks: Receipts["acks"] = async (tenant) => {
    this.#settle(this.#clock.now());
    const sum = { tracked: 0, acknowledged: 0, expired: 0, pending: 0, latencyMs: 0 };
    for (const tally of tenant === undefined ? this.#tallies.values() : [this.#tallies.get(tenant) ?? new AckTally()]) {
      sum.tracked += tally.tracked;
      sum.acknowledged += tally.acknowledged;
      sum.expired += tally.expired;
      sum.latencyMs += tally.latencyMs;
    }
    return { ...sum, pending: sum.tracked - sum.acknowledged - sum.expired } satisfies AckCounts;
  };

  /** Lets go of a tenant's. Yields after each that was looked at. */
  *purge(tenant: string): Generator<void> {
    for (const [name, kept] of this.#kept.entries()) {
      if (name.startsWith(`${tenant}/`)) {
        this.#kept.delete(name);
        this.#weight -= kept.weight;
        kept.end();
      }
      yield;
    }
    this.#tallies.delete(tenant);
  }

  /** Ends what time has ended: receipts of a day ago, ACKs that did not come. */
  #settle(now: number): void {
    this.#forget(now);
    for (const [timeoutMs, awaited] of this.#awaited) {
      awaited.expire(now);
      if (awaited.isEmpty && this.#awaited.size > 1) this.#awaited.delete(timeoutMs);
    }
  }

  #forget(now: number): void {
    for (let next = this.#kept.oldest(); next; next = this.#kept.oldest()) {
      const [name, kept] = next;
      if (this.#weight <= this.#maxWeight && kept.facts.occurredAt + DAY_MS > now) return;
      this.#kept.delete(name);
      this.#weight -= kept.weight;
      kept.end();
    }
  }

  #awaitedFor(timeoutMs: number): Awaited {
    let awaited = this.#awaited.get(timeoutMs);
    if (!awaited) {
      awaited = new Awaited();
      this.#awaited.set(timeoutMs, awaited);
    }
    return awaited;
  }

  #tallyOf(tenant: string): AckTally {
    let tally = this.#tallies.get(tenant);
    if (!tally) {
      tally = new AckTally();
      this.#tallies.set(tenant, tally);
    }
    return tally;
  }
}

/** A tenant id holds no `/`. */
const nameOf = (tenant: string, notificationId: string): string => `${tenant}/${notificationId}`;

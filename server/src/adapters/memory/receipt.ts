// Why: one notification's receipt as it is kept: most have one target and one user, so that is what takes no lists.
// It must never hold a payload.
import type { Receipt, ReceiptFacts } from "../../core/record-ports.ts";

/** Targets and acknowledgements beyond are counted, not listed. */
const MAX_LISTED = 100;

/** Of one tenant, since the start. */
export class AckTally {
  tracked = 0;
  acknowledged = 0;
  expired = 0;
  latencyMs = 0;
}

/** One user and one notification. `awaited`: where it is while its ACK is awaited. */
export class Follower {
  readonly user: string;
  readonly tally: AckTally;
  /** Milliseconds since 1970 from which the ACK comes too late. */
  readonly until: number;
  acknowledged = false;
  awaited: Awaited | undefined;
  older: Follower | undefined;
  newer: Follower | undefined;

  constructor(user: string, tally: AckTally, until: number) {
    this.user = user;
    this.tally = tally;
    this.until = until;
  }
}

/** Followers with the same timeout, so in the order of their ends. */
export class Awaited {
  #oldest: Follower | undefined;
  #newest: Follower | undefined;

  get isEmpty(): boolean {
    return this.#oldest === undefined;
  }

  add(follower: Follower): void {
    follower.awaited = this;
    follower.older = this.#newest;
    if (this.#newest) this.#newest.newer = follower;
    else this.#oldest = follower;
    this.#newest = follower;
  }

  remove(follower: Follower): void {
    if (follower.awaited !== this) return;
    if (follower.older) follower.older.newer = follower.newer;
    else this.#oldest = follower.newer;
    if (follower.newer) follower.newer.older = follower.older;
    else this.#newest = follower.older;
    follower.awaited = undefined;
    follower.older = undefined;
    follower.newer = undefined;
  }

  expire(now: number): void {
    for (let next = this.#oldest; next && next.until <= now; next = this.#oldest) expire(next);
  }
}

/** Its ACK did not come in time, or cannot be matched any more. */
export function expire(follower: Follower): void {
  if (!follower.awaited) return;
  follower.awaited.remove(follower);
  follower.tally.expired++;
}

export class KeptReceipt {
  readonly facts: ReceiptFacts;
  #targetCount = 1;
  #deliveredTo: number;
  #acknowledgementCount = 0;
  /** Beyond the first, which is in `facts`. */
  #moreTargets: Receipt["targets"][number][] | undefined;
  #acknowledgements: Receipt["acknowledgements"][number][] | undefined;
  #follower: Follower | undefined;
  /** By user, as soon as there are two. */
  #followers: Map<string, Follower> | undefined;

  constructor(facts: ReceiptFacts) {
    this.facts = facts;
    this.#deliveredTo = facts.deliveredTo;
  }

  /** Roughly what it takes, in units of 100-300 bytes. */
  get weight(): number {
    return 1 + (this.#moreTargets?.length ?? 0) + (this.#followers?.size ?? (this.#follower ? 1 : 0));
  }

  addTarget({ stream, deliveredTo, queued }: ReceiptFacts): void {
    this.#targetCount++;
    this.#deliveredTo += deliveredTo;
    this.#moreTargets ??= [];
    if (this.#moreTargets.length < MAX_LISTED - 1) this.#moreTargets.push({ stream, deliveredTo, queued });
  }

  followerOf(user: string): Follower | undefined {
    return this.#followers ? this.#followers.get(user) : this.#follower?.user === user ? this.#follower : undefined;
  }

  follow(follower: Follower): void {
    if (this.#follower === undefined) {
      this.#follower = follower;
      return;
    }
    this.#followers ??= new Map([[this.#follower.user, this.#follower]]);
    this.#followers.set(follower.user, follower);
  }

  acknowledge(user: string, at: number): void {
    this.#acknowledgementCount++;
    this.#acknowledgements ??= [];
    if (this.#acknowledgements.length < MAX_LISTED) this.#acknowledgements.push({ user, at });
  }

  /** Nobody can acknowledge it any more. */
  end(): void {
    if (this.#follower) expire(this.#follower);
    for (const follower of this.#followers?.values() ?? []) expire(follower);
  }

  toReceipt(): Receipt {
    const { notificationId, occurredAt, eventType, expiresAt, stream, deliveredTo, queued } = this.facts;
    return {
      ...{ notificationId, occurredAt, eventType, expiresAt },
      targets: [{ stream, deliveredTo, queued }, ...(this.#moreTargets ?? [])],
      targetCount: this.#targetCount,
      deliveredTo: this.#deliveredTo,
      acknowledgements: [...(this.#acknowledgements ?? [])],
      acknowledgementCount: this.#acknowledgementCount,
    };
  }
}

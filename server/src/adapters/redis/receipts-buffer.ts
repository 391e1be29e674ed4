// Why: what happened to notifications on this node and is not in Redis yet, for one partition: bounded, and in the form
// the script takes. It must never keep more than its bound: the oldest go first, and are counted.
import { AgingMap } from "../../core/aging-map.ts";
import type { ReceiptFacts } from "../../core/record-ports.ts";
import { MAX_LISTED } from "./receipts-script.ts";

/** Publishes, and ACKs, that wait in one partition at the most; also what one script call takes. */
export const MAX_WAITING = 2_000;
export const MAX_BATCH = 500;

class Published {
  readonly sequence: number;
  readonly tenant: string;
  readonly facts: ReceiptFacts;
  readonly targets: string[] = [];
  targetCount = 0;
  deliveredTo = 0;
  /** When the ACK of a user comes too late, in ms since 1970. */
  readonly followers = new Map<string, number>();

  constructor(sequence: number, tenant: string, facts: ReceiptFacts) {
    this.sequence = sequence;
    this.tenant = tenant;
    this.facts = facts;
  }
}

/** `at`: ms since 1970. `since`: monotonic ms, for how long it has waited for its notification to be known. */
export type Ack = { readonly name: string; readonly tenant: string; readonly user: string; readonly at: number; readonly since: number };
/** `sequence`: which came first, of publishes and ACKs. */
export type Acknowledged = Ack & { readonly sequence: number };

export type Batch = { readonly publishes: readonly (readonly [string, Published])[]; readonly acks: readonly Acknowledged[] };

export class ReceiptsBuffer {
  readonly #published = new AgingMap<string, Published>();
  #acks: Acknowledged[] = [];
  #sequence = 0;
  #parts = 0;
  dropped = 0;

  get isEmpty(): boolean {
    return this.#published.size === 0 && this.#acks.length === 0;
  }

  /** `deadline`: when the ACK of a user that was reached comes too late. */
  published(tenant: string, facts: ReceiptFacts, deadline: number): void {
    const name = nameOf(tenant, facts.notificationId);
    let kept = this.#published.get(name);
    // One receipt with very many users goes out in parts, each of which a script takes in one go.
    if (!kept || kept.followers.size >= MAX_BATCH) {
      if (kept) this.#published.delete(name);
      kept = kept ? this.#part(name, kept) : new Published(++this.#sequence, tenant, facts);
      this.#published.set(name, kept);
      this.#drop();
    }
    const { stream, deliveredTo, queued } = facts;
    kept.targetCount++;
    kept.deliveredTo += deliveredTo;
    if (kept.targets.length < MAX_LISTED) kept.targets.push(JSON.stringify([stream, deliveredTo, queued]));
    if (stream.kind === "inbox" && deliveredTo > 0 && !kept.followers.has(stream.user)) kept.followers.set(stream.user, deadline);
  }

  acknowledged(ack: Ack): void {
    if (this.#acks.length >= MAX_WAITING * 2) {
      this.dropped += MAX_WAITING;
      this.#acks = this.#acks.slice(MAX_WAITING);
    }
    this.#acks.push({ ...ack, sequence: ++this.#sequence });
  }

  /** Takes the oldest out. */
  take(): Batch {
    const publishes: [string, Published][] = [];
    for (let size = 0, next = this.#published.oldest(); next && size < MAX_BATCH; next = this.#published.oldest()) {
      const [name, kept] = next;
      this.#published.delete(name);
      publishes.push([name, kept]);
      size += 1 + kept.followers.size;
    }
    return { publishes, acks: this.#acks.splice(0, MAX_BATCH) };
  }

  /** The full part waits under a name of its own; the next one of the same receipt takes its place. */
  #part(name: string, full: Published): Published {
    this.#published.set(`${name}\n${++this.#parts}`, full);
    return new Published(++this.#sequence, full.tenant, full.facts);
  }

  #drop(): void {
    for (let next = this.#published.oldest(); next && this.#published.size > MAX_WAITING; next = this.#published.oldest()) {
      this.#published.delete(next[0]);
      this.dropped++;
    }
  }
}

/** A tenant id holds no `/`, a notification id no line break. */
export const nameOf = (tenant: string, notificationId: string): string => `${tenant}/${notificationId}`;

/** The batch as the script takes it, after `now` and the weight of a segment. */
export function textOf({ publishes, acks }: Batch): string {
  return JSON.stringify([
    publishes.map(([, published]) => rowOf(published)),
    acks.map(({ name, tenant, sequence, user, at }) => [name, tenant, sequence, JSON.stringify(user), at]),
  ]);
}

/** Users are JSON texts inside JSON, so that whatever a user is called the script reads it as it was written. */
function rowOf({ sequence, tenant, facts, targets, targetCount, deliveredTo, followers }: Published): readonly unknown[] {
  const { notificationId, occurredAt, eventType, expiresAt = null } = facts;
  const users = [...followers].map(([user, deadline]) => [JSON.stringify(user), deadline] as const);
  const [first, ...more] = users;
  const numbers = `${occurredAt} ${targetCount} ${deliveredTo} ${targets.length} 0`;
  const text = `${numbers}\n${JSON.stringify([eventType, expiresAt])}\n${targets.join(",")}\n\n${first ? `${first[1]} ${first[0]}` : ""}`;
  return [nameOf(tenant, notificationId), tenant, sequence, text, first?.[1] ?? 0, more, targets.length + (first ? 1 : 0)];
}

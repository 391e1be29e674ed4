// Why: one stream in memory: contiguous offsets, the newest entries, and per inbox the mark. It must never have a hole:
// entries leave from the old end only, so that what is missing is always "before the window".
import type { Position } from "@nexus/protocol/cursor.ts";
import { expiryOf } from "../../core/frame.ts";
import type { Entry, Notification, Page, PageRequest, ReadResult, Retention, StreamId } from "../../core/ports.ts";
import type { ByteBudget, Item } from "./byte-budget.ts";

/** What an entry costs beside its payload: object, strings, list links. Measured roughly, meant as a bound. */
const ENTRY_OVERHEAD = 600;
/** What is left of an entry that was removed: its place. */
const REMOVED_BYTES = 200;

class Kept implements Item {
  /** Absent once it was removed by hand: its place stays, so that offsets stay contiguous. */
  entry: Entry | undefined;
  readonly offset: number;
  bytes: number;
  /** Milliseconds since 1970 from which it is not read any more: its own ttl or the stream's. */
  readonly expiresAt: number;
  /** Only its own: an entry that outlived its ttl is skipped, which is no loss. */
  readonly ownExpiresAt: number;
  acknowledged = false;
  older: Item | undefined;
  newer: Item | undefined;
  counted = false;
  readonly #log: StreamLog;

  constructor(log: StreamLog, entry: Entry, at: { readonly offset: number; readonly until: number }) {
    this.#log = log;
    this.entry = entry;
    this.offset = at.offset;
    this.ownExpiresAt = expiryOf(entry);
    this.expiresAt = Math.min(at.until, this.ownExpiresAt);
    this.bytes = ENTRY_OVERHEAD + entry.notification.payloadJson.length * 2;
  }

  /** Only while it is not counted. */
  empty(): void {
    this.entry = undefined;
    this.bytes = REMOVED_BYTES;
  }

  evict(): void {
    this.#log.dropThrough(this.offset);
  }
}

/** Still to be read: neither removed nor expired. */
type Live = Kept & { readonly entry: Entry };

export class StreamLog {
  readonly stream: StreamId;
  readonly epoch: string;
  readonly #budget: ByteBudget;
  /** `#kept[#start]` is the oldest; the emptied slots before it are given back in bulk. */
  #kept: (Kept | undefined)[] = [];
  #start = 0;
  #top = 0;
  /** Highest offset that left while it could still have been read. */
  #lost = 0;
  mark = 0;

  constructor(stream: StreamId, epoch: string, budget: ByteBudget) {
    this.stream = stream;
    this.epoch = epoch;
    this.#budget = budget;
  }

  get top(): Position {
    return { epoch: this.epoch, offset: this.#top };
  }

  get size(): number {
    return this.#kept.length - this.#start;
  }

  /** Entries above the mark; expired and removed ones count until they are let go. */
  get waiting(): number {
    return Math.min(this.size, this.#top - this.mark);
  }

  append(notification: Notification, retention: Retention): Entry {
    const position = { epoch: this.epoch, offset: ++this.#top };
    const entry: Entry = { stream: this.stream, notification, position };
    const until = notification.occurredAt + retention.ttlSeconds * 1000;
    const kept = new Kept(this, entry, { offset: position.offset, until });
    this.#kept.push(kept);
    if (this.size > retention.entries) this.dropThrough(this.#top - retention.entries, notification.occurredAt);
    this.#budget.add(kept);
    return entry;
  }

  read(since: Position, now: number): ReadResult {
    this.expire(now); // what outlived the stream's retention is lost, and has to be told
    if (since.epoch !== this.epoch) return { kind: "not_recovered", reason: "epoch_changed", top: this.top };
    if (since.offset > this.#top) return { kind: "not_recovered", reason: "unverifiable", top: this.top };
    if (since.offset < this.#lost) return { kind: "not_recovered", reason: "window_exceeded", top: this.top };
    return { kind: "recovered", entries: this.#after(since.offset, now).map((kept) => kept.entry), top: this.top };
  }

  unread(now: number): readonly Entry[] {
    const after = this.#after(Math.max(this.mark, this.#top - this.size), now);
    return after.filter((kept) => !kept.acknowledged).map((kept) => kept.entry);
  }

  unreadCount(now: number): number {
    return this.unread(now).length;
  }

  page({ before = this.#top + 1, limit }: PageRequest, now: number): Page {
    const isInbox = this.stream.kind === "inbox";
    const older = this.#after(this.#top - this.size, now).filter((kept) => kept.offset < before);
    const entries = older.slice(-limit).reverse();
    return {
      entries: entries.map(({ entry, offset, acknowledged }) => ({ entry, unread: isInbox && offset > this.mark && !acknowledged })),
      top: this.top,
      more: older.length > entries.length,
    };
  }

  remove(notificationId: string, now: number): boolean {
    const kept = this.#find(notificationId, now);
    if (!kept) return false;
    this.#budget.remove(kept);
    kept.empty();
    this.#budget.add(kept);
    this.#raiseMark(now);
    this.expire(now); // at the old end its place is not needed
    return true;
  }

  has(notificationId: string): boolean {
    return this.#find(notificationId) !== undefined;
  }

  acknowledge(notificationId: string, now: number): boolean {
    const kept = this.#find(notificationId);
    if (!kept) return false;
    kept.acknowledged = true;
    this.#raiseMark(now);
    return true;
  }

  /** Over every leading entry that nobody waits for any more: acknowledged, removed or expired. */
  #raiseMark(now: number): void {
    for (let i = this.#start; i < this.#kept.length; i++) {
      const next = this.#kept[i];
      if (!next || next.offset <= this.mark) continue;
      if (!next.acknowledged && next.entry && next.expiresAt > now) return;
      this.mark = next.offset;
    }
  }

  /** Gives back entries at the old end that have expired or were removed. */
  expire(now: number): void {
    let through = 0;
    for (let i = this.#start; i < this.#kept.length; i++) {
      const kept = this.#kept[i];
      if (!kept || (kept.entry && kept.expiresAt > now)) break;
      through = kept.offset;
    }
    if (through > 0) this.dropThrough(through, now);
  }

  /** Lets go of every entry up to an offset. Without `now` all of them count as lost. */
  dropThrough(offset: number, now = Number.NEGATIVE_INFINITY): void {
    while (this.#start < this.#kept.length) {
      const kept = this.#kept[this.#start];
      if (!kept || kept.offset > offset) break;
      this.#budget.remove(kept);
      if (kept.entry && kept.ownExpiresAt > now) this.#lost = kept.offset;
      this.#kept[this.#start++] = undefined; // gives its payload back now
    }
    if (this.#start < 32 && this.#start < this.#kept.length) return;
    this.#kept = this.#kept.slice(this.#start);
    this.#start = 0;
  }

  #after(offset: number, now: number): readonly Live[] {
    const from = this.#start + Math.max(offset - (this.#top - this.size), 0);
    return this.#kept.slice(from).filter((kept): kept is Live => isLive(kept, now));
  }

  /** Without `now` also one that has expired and was not let go yet. */
  #find(notificationId: string, now = Number.NEGATIVE_INFINITY): Live | undefined {
    for (let i = this.#kept.length - 1; i >= this.#start; i--) {
      const kept = this.#kept[i];
      if (isLive(kept, now) && kept.entry.notification.id === notificationId) return kept;
    }
    return undefined;
  }
}

const isLive = (kept: Kept | undefined, now: number): kept is Live => kept?.entry !== undefined && kept.expiresAt > now;

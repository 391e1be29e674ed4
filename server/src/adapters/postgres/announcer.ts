// Why: what was committed has to be heard, also when Redis did not take the announcement at once. Per inbox the newest one
// is enough: whoever hears it sees the hole before it and reads the store. It must never hold up a publish that is stored.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Log, StreamId } from "../../core/ports.ts";
import { streamKey } from "../../core/streams.ts";
import type { Keys } from "../redis/keys.ts";
import type { RedisLink } from "../redis/link.ts";

/** Inboxes whose newest announcement is remembered. Beyond, listeners are told by the bus: Redis has been away. */
const MAX_PENDING = 50_000;
const RETRY_MS = { first: 100, most: 2000 };
/** Announcements made at once when Redis is back. */
const LOT = 64;

type Pending = { readonly channel: string; readonly text: string; readonly position: Position | undefined };

export type AnnouncerDeps = { readonly link: Pick<RedisLink, "call">; readonly keys: Keys; readonly log: Log };

export class Announcer {
  readonly #deps: AnnouncerDeps;
  readonly #pending = new Map<string, Pending>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waitMs = RETRY_MS.first;
  #isClosed = false;

  constructor(deps: AnnouncerDeps) {
    this.#deps = deps;
  }

  /** Inboxes whose newest announcement is not out yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /** `text`: the entry, as `encodeEntry` wrote it. Resolves once it is out, or remembered until it is. Never rejects. */
  async announce(stream: StreamId, position: Position | undefined, text: string): Promise<void> {
    const place = position ? `${position.epoch} ${position.offset}` : "";
    await this.#send(streamKey(stream), { channel: this.#deps.keys.of(stream, "s"), text: `${place}\n${text}`, position });
  }

  /** What is not out by now is found by readers, and by listeners with the next entry. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (this.#pending.size > 0) this.#deps.log.warn("postgres.announcements_left", { count: this.#pending.size });
  }

  async #send(key: string, one: Pending): Promise<boolean> {
    try {
      await this.#deps.link.call("SPUBLISH", one.channel, one.text);
      const known = this.#pending.get(key);
      if (known && !isNewer(known, one)) this.#pending.delete(key);
      return true;
    } catch (error) {
      if (this.#pending.size === 0) this.#deps.log.warn("postgres.announcement_failed", { error: String(error) });
      this.#remember(key, one);
      return false;
    }
  }

  #remember(key: string, one: Pending): void {
    const known = this.#pending.get(key);
    if (!known || isNewer(one, known)) this.#pending.set(key, one);
    if (this.#pending.size > MAX_PENDING) {
      const [oldest] = this.#pending.keys();
      if (oldest !== undefined) this.#pending.delete(oldest);
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isClosed || this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        void this.#retry();
      },
      this.#waitMs * (0.5 + Math.random() / 2),
    );
  }

  async #retry(): Promise<void> {
    const lot = [...this.#pending].slice(0, LOT);
    const sent = await Promise.all(lot.map(([key, one]) => this.#send(key, one)));
    this.#waitMs = sent.includes(false) ? Math.min(this.#waitMs * 2, RETRY_MS.most) : RETRY_MS.first;
    if (this.#pending.size === 0) return;
    if (sent.includes(false)) this.#schedule();
    else if (!this.#isClosed) await this.#retry();
  }
}

/** In another epoch, or further on in the same. What has no place is as new as what came before it. */
const isNewer = (one: Pending, other: Pending): boolean =>
  !one.position || !other.position || one.position.epoch !== other.position.epoch || one.position.offset > other.position.offset;

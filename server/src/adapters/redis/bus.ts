// Why: announcements between nodes: each stream is a sharded channel, heard on the connection to the primary that serves
// its partition. At most once, and never silently less: whatever interrupts a stream ends in `onGap`.
// It must never hold an announcement back, nor parse a payload.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Bus, BusListener, Clock, Entry, Log, StreamId, StreamStore } from "../../core/ports.ts";
import type { BusCounts } from "./bus-counts.ts";
import { Homes } from "./bus-homes.ts";
import { closed, Waiters } from "./bus-waiters.ts";
import { decodeAnnouncement, ownText } from "./entry-text.ts";
import { type Keys, streamPartition } from "./keys.ts";
import type { Primary, RedisLink } from "./link.ts";
import { Subscriber } from "./subscriber.ts";
import { Subscription } from "./subscription.ts";
import { pause } from "./waits.ts";

/** How long `listen` waits for Redis, in milliseconds, where nobody says otherwise. */
const LISTEN_TIMEOUT_MS = 2000;
/** Streams told of a gap in one turn of the loop: after an interruption it is all of them. */
const GAPS_PER_TURN = 256;
/** Unreadable announcements are logged this seldom, in milliseconds. */
const BROKEN_LOG_MS = 60_000;
/** How long to wait between asking the primaries where a slot went, in milliseconds; then the connection is given up. */
const MOVE_TRIES_MS = [0, 50, 100, 200, 400, 800];
const FLOWING = Promise.resolve();

export type RedisBusOptions = {
  readonly link: Pick<RedisLink, "call" | "dial" | "primaries">;
  readonly keys: Keys;
  readonly self: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly probeMs: number;
  readonly store: Pick<StreamStore, "seen">;
  /** Whether offsets of this stream are announced in rising order; default: of all. */
  readonly ordered?: (stream: StreamId) => boolean;
  /** How long `listen` waits for Redis, in milliseconds. */
  readonly listenTimeoutMs?: number;
};

export class RedisBus implements Bus {
  readonly #options: RedisBusOptions;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #waiters: Waiters;
  readonly #homes: Homes;
  readonly #closing = new AbortController();
  readonly #counts = { messages: 0, broken: 0, interruptions: 0, dead: 0, regressions: 0 };
  readonly #following = new Map<Subscriber, { again: boolean }>();
  readonly #regressing = new Set<Subscription>();
  /** Told how long each probe took that came back, in milliseconds. */
  onLag: (milliseconds: number) => void = () => undefined;
  #gaps: Subscription[] = [];
  #brokenLoggedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RedisBusOptions) {
    this.#options = options;
    this.#waiters = new Waiters(options.listenTimeoutMs ?? LISTEN_TIMEOUT_MS, (subscription) => this.#expired(subscription));
    this.#homes = new Homes({
      ...{ link: options.link, log: options.log },
      connect: (primary) => this.#connect(primary),
      moved: (partitions, from) => this.#moved(partitions, from),
    });
  }

  /** Of the slowest connection's last probe; undefined before the first came back. */
  lagMs(): number | undefined {
    let slowest: number | undefined;
    for (const { lagMs } of this.#homes.all()) if (lagMs !== undefined) slowest = Math.max(slowest ?? 0, lagMs);
    return slowest;
  }

  /** Announcements of some partition do not arrive here, though commands may. */
  isDeaf(): boolean {
    for (const subscriber of this.#homes.all()) if (subscriber.isDeaf()) return true;
    return false;
  }

  counts(): BusCounts {
    return { ...this.#counts, streams: this.#subscriptions.size };
  }

  listen(stream: StreamId, listener: BusListener): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.reject(closed());
    const channel = this.#options.keys.of(stream, "s");
    let subscription = this.#subscriptions.get(channel);
    if (!subscription) {
      subscription = new Subscription(stream, channel, streamPartition(stream));
      this.#subscriptions.set(channel, subscription);
    }
    subscription.listener = listener;
    return subscription.settled && subscription.flowed ? FLOWING : this.#ask(subscription);
  }

  leave(stream: StreamId): Promise<void> {
    const subscription = this.#subscriptions.get(this.#options.keys.of(stream, "s"));
    if (!subscription || this.#closing.signal.aborted) return FLOWING;
    subscription.listener = undefined;
    return this.#ask(subscription);
  }

  close(): void {
    this.#closing.abort();
    this.#homes.close();
    this.#waiters.close();
    this.#subscriptions.clear();
  }

  #ask(subscription: Subscription): Promise<void> {
    const settled = this.#waiters.wait(subscription);
    this.#touch(subscription);
    return settled;
  }

  #touch(subscription: Subscription): void {
    const home = this.#homes.of(subscription.partition);
    if (home) home.touch(subscription);
    else if (!subscription.wanted) this.#settled(subscription);
  }

  #settled(subscription: Subscription): void {
    this.#waiters.settled(subscription);
    if (!subscription.wanted) this.#drop(subscription);
    else if (subscription.doubtful) this.#tellLater(subscription);
  }

  /** A later one may have its channel by now. */
  #drop(subscription: Subscription): void {
    if (this.#subscriptions.get(subscription.channel) === subscription) this.#subscriptions.delete(subscription.channel);
  }

  /** Whoever asked was told that it failed. A stream that has flowed before stays wanted: its listener will hear of a gap. */
  #expired(subscription: Subscription): void {
    if (!subscription.flowed && !subscription.doubtful) subscription.listener = undefined;
    if (!subscription.wanted) this.#touch(subscription);
  }

  #connect(primary: Primary): Subscriber {
    const { link, keys, self, clock, log, probeMs } = this.#options;
    const subscriber: Subscriber = new Subscriber({
      ...{ link, primary, keys, self, clock, log, probeMs },
      events: {
        subscriptions: () => this.#of(subscriber),
        settled: (subscription) => this.#settled(subscription),
        message: (channel, text) => this.#receive(channel, text),
        refresh: () => this.#homes.refresh(),
        moved: () => void this.#follow(subscriber),
        lag: (milliseconds) => this.onLag(milliseconds),
        lost: () => this.#counts.interruptions++,
        dead: () => this.#counts.dead++,
      },
    });
    return subscriber;
  }

  *#of(subscriber: Subscriber): Generator<Subscription> {
    for (const subscription of this.#subscriptions.values()) {
      if (this.#homes.of(subscription.partition) === subscriber) yield subscription;
    }
  }

  #moved(partitions: ReadonlySet<number>, from: readonly (Subscriber | undefined)[]): void {
    for (const partition of partitions) {
      const left = from[partition];
      if (left) left.moves++;
    }
    for (const subscription of this.#subscriptions.values()) {
      if (!partitions.has(subscription.partition)) continue;
      from[subscription.partition]?.release(subscription);
      subscription.interrupt();
      this.#touch(subscription);
    }
  }

  /**
   * Redis took channels from us, and does not say which. When nobody can tell where they went, the connection is given
   * up: everything on it is asked for again, and may have a gap.
   */
  async #follow(subscriber: Subscriber): Promise<void> {
    const earlier = this.#following.get(subscriber);
    if (earlier) {
      earlier.again = true;
      return;
    }
    const following = { again: true };
    this.#following.set(subscriber, following);
    // Channels of one slot are taken one by one: once a move is found, it explains those that come after it as well.
    for (let isExplained = false; following.again; isExplained = true) {
      following.again = false;
      if ((await this.#findMove(subscriber)) || isExplained) continue;
      subscriber.cut();
      break;
    }
    this.#following.delete(subscriber);
  }

  async #findMove(subscriber: Subscriber): Promise<boolean> {
    const { moves } = subscriber;
    for (const milliseconds of MOVE_TRIES_MS) {
      await pause(milliseconds, this.#closing.signal);
      await this.#homes.refresh();
      if (subscriber.moves > moves) return true;
    }
    return false;
  }

  #receive(channel: string, text: string): void {
    const subscription = this.#subscriptions.get(channel);
    const listener = subscription?.listener;
    if (!subscription || !listener) return;
    this.#counts.messages++;
    if (subscription.doubtful) this.#tell(subscription);
    const entry = decodeAnnouncement(subscription.stream, text);
    if (!entry) this.#broken(subscription, listener);
    else this.#hand(listener, entry.position ? this.#placed(subscription, entry, entry.position) : entry);
  }

  /** A listener that throws must not end the process, nor the announcements behind this one. */
  #hand(listener: BusListener, entry: Entry): void {
    try {
      listener.onEntry(entry);
    } catch (error) {
      this.#options.log.error("redis.listener_failed", { stream: entry.stream.kind, error: String(error) });
    }
  }

  #placed(subscription: Subscription, entry: Entry, { epoch, offset }: Position): Entry {
    const { last } = subscription;
    const isSameEpoch = last?.epoch === epoch;
    const position = { epoch: isSameEpoch ? last.epoch : ownText(epoch), offset };
    if (!isSameEpoch || offset > last.offset) subscription.last = position;
    else if (this.#options.ordered?.(subscription.stream) ?? true) void this.#regressed(subscription, epoch);
    return { ...entry, position };
  }

  /** An offset was given twice: Redis lost entries. From now on nobody may take what comes for what was lost. */
  async #regressed(subscription: Subscription, epoch: string): Promise<void> {
    if (this.#regressing.has(subscription)) return;
    this.#regressing.add(subscription);
    this.#counts.regressions++;
    const { stream } = subscription;
    this.#options.log.warn("redis.stream_went_back", { stream: stream.kind, tenant: stream.tenant });
    try {
      // Proved, wherever the store stands when this arrives: others may have published past the place by then.
      subscription.last = await this.#options.store.seen(stream, { epoch: ownText(epoch), offset: Number.MAX_SAFE_INTEGER });
    } catch (error) {
      this.#options.log.warn("redis.epoch_not_changed", { stream: stream.kind, tenant: stream.tenant, error: String(error) });
    }
    this.#regressing.delete(subscription);
    subscription.listener?.onGap(stream, "epoch_changed");
  }

  #broken({ stream }: Subscription, listener: BusListener): void {
    this.#counts.broken++;
    const now = this.#options.clock.monotonic();
    if (now - this.#brokenLoggedAt >= BROKEN_LOG_MS) {
      this.#brokenLoggedAt = now;
      this.#options.log.warn("redis.announcement_unreadable", { stream: stream.kind, tenant: stream.tenant });
    }
    listener.onGap(stream, "unreadable");
  }

  #tellLater(subscription: Subscription): void {
    this.#gaps.push(subscription);
    if (this.#gaps.length === 1) setImmediate(() => this.#tellSome());
  }

  #tellSome(): void {
    const rest = this.#gaps.splice(GAPS_PER_TURN);
    for (const subscription of this.#gaps) if (subscription.doubtful && subscription.settled) this.#tell(subscription);
    this.#gaps = rest;
    if (rest.length > 0) setImmediate(() => this.#tellSome());
  }

  #tell(subscription: Subscription): void {
    subscription.doubtful = false;
    subscription.listener?.onGap(subscription.stream, "reconnected");
  }
}

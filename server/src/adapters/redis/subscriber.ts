// Why: one connection to one primary, on which this node is told of what is announced there. It dials again for as long
// as it is not closed, and asks again for everything it had. It must never take a subscription for live that Redis did
// not confirm, nor trust a connection that probes do not come through.
import type { Redis } from "ioredis";
import type { Clock, Log } from "../../core/ports.ts";
import type { Keys } from "./keys.ts";
import type { Primary, RedisLink } from "./link.ts";
import { Probe } from "./probe.ts";
import { commandsFor, type SubscribeCommand, type Subscription } from "./subscription.ts";
import { fullJitter, pause, within } from "./waits.ts";

/** Channels asked for and not confirmed: what waits for an answer stays small, however many streams a node has. */
const UNCONFIRMED_CHANNELS = 4000;
/** A new connection that says nothing for this long is given up, in milliseconds. */
const DIAL_MS = 5000;
/** Connecting again takes less where nothing is wrong. */
const DEAF_AFTER_MS = 1500;

export type SubscriberEvents = {
  /** The streams of this connection's partitions. */
  subscriptions(): Iterable<Subscription>;
  /** Redis and the node agree about it: it flows, or it does not and nobody wants it. */
  settled(subscription: Subscription): void;
  message(channel: string, text: string): void;
  /** Who serves what may have changed; resolves once that is known as well as it can be. Never rejects. */
  refresh(): Promise<void>;
  /** Redis took streams from this connection because their slot moved. */
  moved(): void;
  lag(milliseconds: number): void;
  /** The connection is gone: it broke, or was cut. */
  lost(): void;
  /** Probes did not come back, though it looked well; `lost` follows. */
  dead(): void;
};

export type SubscriberOptions = {
  readonly link: Pick<RedisLink, "call" | "dial">;
  readonly primary: Primary;
  readonly keys: Keys;
  readonly self: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly probeMs: number;
  readonly events: SubscriberEvents;
};

export class Subscriber {
  /** Partitions that were found to have moved away from here. */
  moves = 0;
  /** Of the last probe that came back. */
  lagMs: number | undefined = undefined;
  readonly #options: SubscriberOptions;
  /** Streams to be looked at again, by partition: what goes out in one command stays together. */
  readonly #dirty = new Map<number, Set<Subscription>>();
  readonly #onTheirWay = new Set<SubscribeCommand>();
  readonly #closing = new AbortController();
  #unconfirmed = 0;
  #failures = 0;
  #flushing = false;
  #retrying = false;
  #primary: Primary;
  #connection: Redis | undefined;
  /** Commands go out: the probe's channel is confirmed. */
  #open = false;
  /** Monotonic milliseconds since when nothing can be heard, while nothing can. */
  #closedSince: number | undefined;
  /** Ticks since it was asked by itself whether it lives, while there is no answer. */
  #askedTicks: number | undefined;
  #onLost: () => void = () => undefined;
  #probe: Probe;
  #probeChannel: string;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#primary = options.primary;
    this.#probeChannel = this.#channelOfProbe();
    this.#probe = this.#newProbe();
    this.#closedSince = options.clock.monotonic();
    void this.#run();
  }

  /** Announcements have not been heard for a while: longer than it takes to connect again. */
  isDeaf(): boolean {
    return this.#closedSince !== undefined && this.#options.clock.monotonic() - this.#closedSince > DEAF_AFTER_MS;
  }

  /** What it is wanted for may have changed. Commands go out at the end of this turn of the loop, together. */
  touch(subscription: Subscription): void {
    if (subscription.settled) this.#options.events.settled(subscription);
    else if (this.#open) {
      this.#reconsider(subscription);
      this.#schedule();
    } else if (!subscription.wanted && subscription.command === undefined) {
      this.#options.events.settled(subscription); // not connected, so not subscribed
    }
  }

  /** It belongs to another connection from now on. */
  release(subscription: Subscription): void {
    this.#dirty.get(subscription.partition)?.delete(subscription);
  }

  /** The same primary serves other partitions now. Its streams are told one by one, with `touch`. */
  assign(primary: Primary): void {
    this.#primary = primary;
    const channel = this.#channelOfProbe();
    if (channel === this.#probeChannel) return;
    this.#probeChannel = channel;
    this.#probe = this.#newProbe();
    const connection = this.#connection;
    if (connection && this.#open) connection.ssubscribe(channel).catch(() => this.cut(connection));
  }

  /** Gives the connection up, whatever it looks like: everything is asked for again on a new one. */
  cut(connection = this.#connection): void {
    if (connection === undefined) return;
    connection.disconnect();
    if (connection !== this.#connection) return;
    this.#connection = undefined;
    this.#open = false;
    this.#closedSince ??= this.#options.clock.monotonic();
    this.#dirty.clear();
    this.#onTheirWay.clear();
    this.#unconfirmed = 0;
    this.#askedTicks = undefined;
    this.#probe = this.#newProbe();
    this.#onLost();
  }

  close(): void {
    this.#closing.abort();
    this.cut();
  }

  async #run(): Promise<void> {
    const { events, log } = this.#options;
    while (!this.#closing.signal.aborted) {
      const lost = Promise.withResolvers<void>();
      this.#onLost = lost.resolve;
      let wasOpen = false;
      try {
        await this.#connect();
        wasOpen = true;
        await this.#watch(lost.promise);
      } catch (error) {
        this.cut();
        log.debug("redis.subscriber_not_connected", { primary: this.#primary.id, error: String(error) });
      }
      if (this.#closing.signal.aborted) return;
      if (wasOpen) events.lost();
      for (const subscription of events.subscriptions()) {
        subscription.interrupt();
        if (!subscription.wanted) events.settled(subscription);
      }
      await pause(fullJitter(this.#failures++), this.#closing.signal);
      await events.refresh();
    }
  }

  async #connect(): Promise<void> {
    const { link, events } = this.#options;
    const redis = await within(DIAL_MS, link.dial(this.#primary), (late) => late.disconnect());
    if (this.#closing.signal.aborted) return redis.disconnect();
    this.#connection = redis;
    redis.on("error", () => undefined); // `close` follows, and is what counts
    redis.once("close", () => this.cut(redis));
    redis.on("moved", () => {
      if (this.#connection === redis) events.moved();
    });
    redis.on("smessage", (channel: string, text: string) => {
      if (this.#connection !== redis) return;
      if (channel === this.#probeChannel) this.#probe.receive(text);
      else events.message(channel, text);
    });
    await within(DIAL_MS, redis.ssubscribe(this.#probeChannel));
    if (this.#connection !== redis) throw new Error("lost while it was being set up");
    this.#open = true;
    this.#closedSince = undefined;
    for (const subscription of events.subscriptions()) if (subscription.wanted) this.#reconsider(subscription);
    this.#schedule();
  }

  /** Probes until the connection is lost. */
  async #watch(lost: Promise<void>): Promise<void> {
    const { probeMs, events, log } = this.#options;
    const timer = setInterval(() => {
      let stuck = false;
      for (const command of this.#onTheirWay) stuck ||= ++command.age > 2;
      if (this.#askedTicks !== undefined) stuck ||= ++this.#askedTicks > 2;
      if (this.#probe.tick() && !stuck) return;
      log.warn("redis.subscriber_dead", { primary: this.#primary.id });
      events.dead();
      this.cut();
    }, probeMs);
    this.#probe.tick();
    await lost;
    clearInterval(timer);
  }

  #reconsider(subscription: Subscription): void {
    const others = this.#dirty.get(subscription.partition);
    if (others) others.add(subscription);
    else this.#dirty.set(subscription.partition, new Set([subscription]));
  }

  #schedule(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const connection = this.#connection;
    if (!this.#open || connection === undefined) return;
    const due: Subscription[] = [];
    for (const [partition, subscriptions] of this.#dirty) {
      if (this.#unconfirmed + due.length >= UNCONFIRMED_CHANNELS) break; // the next answer goes on with it
      this.#dirty.delete(partition);
      for (const subscription of subscriptions) {
        if (subscription.asked !== subscription.wanted) due.push(subscription);
        else if (subscription.command === undefined) this.#options.events.settled(subscription);
      }
    }
    for (const command of commandsFor(due)) void this.#send(connection, command);
  }

  async #send(connection: Redis, command: SubscribeCommand): Promise<void> {
    const { asks, subscriptions } = command;
    for (const subscription of subscriptions) {
      subscription.asked = asks;
      subscription.command = command;
      if (!asks) subscription.forget();
    }
    this.#onTheirWay.add(command);
    this.#unconfirmed += subscriptions.length;
    const channels = subscriptions.map(({ channel }) => channel);
    let failure: unknown;
    try {
      await (asks ? connection.ssubscribe(...channels) : connection.sunsubscribe(...channels));
    } catch (error) {
      failure = error;
    }
    if (this.#connection !== connection) return; // everything is asked for again
    this.#onTheirWay.delete(command);
    this.#unconfirmed -= subscriptions.length;
    for (const subscription of subscriptions) {
      if (subscription.command !== command) continue; // a later one decides
      subscription.command = undefined;
      if (failure !== undefined) subscription.asked = false;
      if (asks && failure === undefined) subscription.flowed = true;
      if (subscription.settled) this.#options.events.settled(subscription);
      else this.#reconsider(subscription);
    }
    if (failure !== undefined) void this.#retry(failure);
    else if (this.#dirty.size > 0) this.#schedule();
  }

  /** Redis refused a command: most likely the slot is somewhere else by now. */
  async #retry(failure: unknown): Promise<void> {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#options.log.debug("redis.subscribe_refused", { primary: this.#primary.id, error: String(failure) });
    await pause(fullJitter(this.#failures++), this.#closing.signal);
    await this.#options.events.refresh();
    this.#retrying = false;
    this.#schedule();
  }

  #channelOfProbe(): string {
    return this.#options.keys.at(this.#primary.partitions[0] ?? 0, "f", `probe/${this.#options.self}`);
  }

  #newProbe(): Probe {
    const { link, clock, events } = this.#options;
    const channel = this.#probeChannel;
    return new Probe({
      publish: (text) => link.call("SPUBLISH", channel, text),
      clock,
      arrived: (lagMs) => {
        this.#failures = 0;
        this.lagMs = lagMs;
        events.lag(lagMs);
      },
      unheard: () => void this.#unheard(channel),
      unsent: () => this.#ask(),
    });
  }

  /** No probe can be sent. A node that is cut off must not wait for that to find out that this connection is lost too. */
  #ask(): void {
    const connection = this.#connection;
    if (connection === undefined || !this.#open || this.#askedTicks !== undefined) return;
    this.#askedTicks = 0;
    const answered = () => {
      if (this.#connection === connection) this.#askedTicks = undefined;
    };
    connection.ping().then(answered, () => undefined); // `close` follows a failure, and is what counts
  }

  /** Connected, and yet not subscribed: the connection leads to the wrong server, or the slot has moved. */
  async #unheard(channel: string): Promise<void> {
    const connection = this.#connection;
    await this.#options.events.refresh();
    if (connection !== this.#connection || channel !== this.#probeChannel || !this.#open) return;
    this.#options.log.warn("redis.subscriber_unheard", { primary: this.#primary.id });
    this.#options.events.dead();
    this.cut();
  }
}

// Why: triggers by XADD, which are never lost: every node takes its share of a consumer group, and what a node that died
// had taken is finished by another. It must never acknowledge what is not stored, nor publish an entry twice: its id is
// the idempotency key.
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { Clock, Log } from "../../core/ports.ts";
import type { RedisLink } from "./link.ts";
import { TriggerEntries, type TriggerEntry } from "./trigger-entries.ts";
import { TriggerReader } from "./trigger-reader.ts";
import type { TriggerCount, TriggerTake } from "./trigger-use.ts";
import { fullJitter, pause } from "./waits.ts";

/** Publishes of entries that run at once. */
const RUNNING = 256;
/** How long a read waits for places to come free. */
const GATHER_MS = 50;
/** Entries that wait here for a quota or a broker; when there are so many this node takes no more. */
const PARKED = 1_000;
const MOST_PARKED_MS = 30_000;
const ACKS_AT_ONCE = 500;
const TIDY_MS = 30_000;
/** How long publishes that run may take while this node stops. */
const STOP_MS = 10_000;
const IDLE_MS = 250;

export type StreamTriggersOptions = {
  readonly link: RedisLink;
  readonly key: string;
  readonly consumer: string;
  readonly isOneSlot: boolean;
  readonly maxAttempts: number;
  readonly retryMs: number;
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Log;
  readonly take: TriggerTake;
  readonly count: TriggerCount;
  /** Whether this node may take work now. */
  readonly ready: () => boolean;
};

/** `attempts`: times it was given out to a node. `tries`: times it was put off here. */
type Held = { readonly entry: TriggerEntry; readonly attempts: number; tries: number; readonly since: number };

export class StreamTriggers {
  readonly #options: StreamTriggersOptions;
  readonly #entries: TriggerEntries;
  readonly #reader: TriggerReader;
  readonly #source: string;
  readonly #keyPrefix: string;
  readonly #stopping = new AbortController();
  /** What this node has taken and not finished, by id. */
  readonly #held = new Map<string, Held>();
  readonly #loops: readonly Promise<void>[];
  #running = 0;
  #parked = 0;
  #acks: string[] = [];
  #acking: Promise<void> | undefined;
  #freed: (() => void) | undefined;
  #tidiedAt = Number.NEGATIVE_INFINITY;

  constructor(options: StreamTriggersOptions) {
    this.#options = options;
    this.#entries = new TriggerEntries(options);
    this.#reader = new TriggerReader(options);
    this.#source = `redis:${options.key}`;
    this.#keyPrefix = `trigger/${sha256(options.key).slice(0, 16)}/`;
    const { retryMs } = options;
    this.#loops = [
      this.#loop(() => this.#read(), 0),
      this.#loop(() => this.#claim(), Math.min(Math.max(retryMs / 4, 25), 5_000)),
      this.#loop(() => this.#keep(), retryMs / 3),
    ];
  }

  /** Takes no more, finishes what runs, and leaves the rest to others at once. Never rejects. */
  async stop(): Promise<void> {
    const { log, retryMs, clock } = this.#options;
    this.#stopping.abort();
    this.#reader.close();
    await Promise.all(this.#loops);
    const deadline = clock.monotonic() + STOP_MS;
    while (this.#running > 0 && clock.monotonic() < deadline) await this.#slot(deadline - clock.monotonic());
    try {
      await this.#acking;
      const left = await this.#entries.held();
      if (left.length > 0) await this.#entries.giveBack(left, retryMs);
      await this.#entries.forgetSelf();
    } catch (error) {
      log.debug("triggers.stop_failed", { error }); // others find out by themselves after retryMs
    }
  }

  /** Again and again until the end; what fails is tried again with back-off. */
  async #loop(step: () => Promise<void>, everyMs: number): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (this.#options.ready()) await step();
        else await pause(IDLE_MS, signal);
        failures = 0;
        if (everyMs > 0) await pause(everyMs, signal);
      } catch (error) {
        if (!signal.aborted) this.#options.log.debug("triggers.step_failed", { error });
        await pause(fullJitter(failures++) + 10, signal);
      }
    }
  }

  async #read(): Promise<void> {
    if (this.#parked >= PARKED) return await this.#slot(1_000);
    // Many at a time: a read for every publish that ends would make the way to Redis the limit.
    if (this.#running > RUNNING / 2) await this.#slot(GATHER_MS);
    const free = RUNNING - this.#running;
    if (free <= 0) return;
    for (const entry of await this.#reader.read(free)) this.#start(entry, 1);
  }

  async #claim(): Promise<void> {
    const { retryMs, maxAttempts, clock } = this.#options;
    const free = RUNNING - this.#running;
    if (free > 0 && this.#parked < PARKED) {
      for (const { attempts, ...entry } of await this.#entries.claim(retryMs, free)) {
        if (this.#held.has(entry.id)) continue;
        if (attempts > maxAttempts) void this.#bury(entry, "attempts", attempts).catch((error: unknown) => this.#failed(error));
        else this.#start(entry, attempts);
      }
    }
    if (clock.monotonic() - this.#tidiedAt < TIDY_MS) return;
    this.#tidiedAt = clock.monotonic();
    await this.#entries.forgetOthers();
  }

  /** Entries that take long stay this node's. */
  async #keep(): Promise<void> {
    const { clock, retryMs } = this.#options;
    const before = clock.monotonic() - retryMs / 3;
    const ids = [...this.#held].filter(([, { since }]) => since <= before).map(([id]) => id);
    for (let at = 0; at < ids.length; at += ACKS_AT_ONCE) await this.#entries.keep(ids.slice(at, at + ACKS_AT_ONCE));
  }

  #start(entry: TriggerEntry, attempts: number): void {
    const held = { entry, attempts, tries: 0, since: this.#options.clock.monotonic() };
    this.#held.set(entry.id, held);
    void this.#work(held);
  }

  async #work(held: Held): Promise<void> {
    this.#running++;
    try {
      await this.#settle(held);
    } catch (error) {
      this.#failed(error);
      this.#park(held, 1); // Redis was away while a dead letter was written
    } finally {
      this.#running--;
      if (this.#running <= RUNNING / 2) this.#freed?.();
    }
  }

  async #settle(held: Held): Promise<void> {
    const { take, count, maxAttempts } = this.#options;
    const { entry, attempts } = held;
    if (entry.body === undefined) {
      count("stream", "invalid");
      return await this.#bury(entry, "no_body", attempts);
    }
    const { body, remote } = entry;
    const outcome = await take("stream", { body, remote, source: this.#source, idempotencyKey: this.#keyPrefix + entry.id });
    if (outcome.kind === "published") {
      count("stream", "published");
      return this.#acknowledge(entry.id);
    }
    if (outcome.kind !== "later") {
      count("stream", outcome.kind);
      return await this.#bury(entry, outcome.code, attempts);
    }
    count("stream", outcome.code === "rate_limited" ? "limited" : "failed");
    // A failure of ours may be this entry's doing: it goes back, and counts.
    if (outcome.code !== "internal") return this.#park(held, outcome.retryAfterSeconds);
    if (attempts >= maxAttempts) return await this.#bury(entry, outcome.code, attempts);
    this.#held.delete(entry.id);
  }

  /** Tried again here after a while that grows; nobody's fault, so it counts as no attempt. */
  #park(held: Held, afterSeconds: number): void {
    if (this.#stopping.signal.aborted) return;
    this.#parked++;
    const ms = Math.min(Math.max(afterSeconds, 2 ** Math.min(held.tries++, 5)) * 1000, MOST_PARKED_MS);
    // Some before and some after: what was put off together must not come back together.
    void pause(ms * (0.5 + Math.random()), this.#stopping.signal).then(() => {
      this.#parked--;
      if (!this.#stopping.signal.aborted) void this.#work(held);
    });
  }

  async #bury({ id, body = "" }: TriggerEntry, reason: string, attempts: number): Promise<void> {
    await this.#entries.bury({ id, reason, attempts, body });
    this.#held.delete(id);
    this.#options.count("stream", "dead");
  }

  #acknowledge(id: string): void {
    this.#acks.push(id);
    this.#acking ??= this.#sendAcks();
  }

  /** What cannot be acknowledged now stays pending: whoever gets it again finds that it was published. */
  async #sendAcks(): Promise<void> {
    await Promise.resolve(); // what is done in the same turn goes in one call
    while (this.#acks.length > 0) {
      const ids = this.#acks.splice(0, ACKS_AT_ONCE);
      try {
        await this.#entries.finish(ids);
      } catch (error) {
        this.#failed(error);
      }
      for (const id of ids) this.#held.delete(id);
    }
    this.#acking = undefined;
  }

  #failed(error: unknown): void {
    this.#options.log.debug("triggers.step_failed", { error });
  }

  /** Resolves when half of the places are free and a publish ended, or after so long. */
  async #slot(ms: number): Promise<void> {
    const wait = new AbortController();
    this.#freed = () => wait.abort();
    await pause(ms, wait.signal);
  }
}

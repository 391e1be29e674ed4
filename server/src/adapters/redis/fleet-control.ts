// Why: nodes ask each other for things over one channel of partition 0, on a connection of its own that is dialled again for
// as long as the node lives. It must never be taken for open while messages may not come through.
import type { Redis } from "ioredis";
import type { Primary } from "./link.ts";
import type { RedisParts } from "./parts.ts";
import { fullJitter, pause, within } from "./waits.ts";

/** `channels`: sharded channels of partition 0. `beatMs`: how often the line is proved; it is cut when a proof does not come back by the next. */
export type ControlLineOptions = {
  readonly parts: Pick<RedisParts, "link" | "log">;
  readonly channels: readonly string[];
  readonly probeChannel: string;
  readonly beatMs: number;
  readonly onMessage: (channel: string, text: string) => void;
};

/** A connection that is not ready by then is given up, in milliseconds. */
const DIAL_MS = 5_000;

export class ControlLine {
  readonly #options: ControlLineOptions;
  readonly #closing = new AbortController();
  readonly #beat: ReturnType<typeof setInterval>;
  #connection: Redis | undefined;
  #opened = Promise.withResolvers<void>();
  #isOpen = false;
  #failures = 0;
  /** Proofs sent, and the last that came back. */
  #proof = { sent: 0, received: 0 };

  constructor(options: ControlLineOptions) {
    this.#options = options;
    this.#beat = setInterval(() => void this.#prove(), options.beatMs);
    this.#beat.unref();
    void this.#run();
  }

  /** Whether messages come through, waiting for it at most so long. */
  async ready(waitMs: number): Promise<boolean> {
    if (!this.#isOpen) await Promise.race([this.#opened.promise, pause(waitMs, this.#closing.signal)]);
    return this.#isOpen;
  }

  close(): void {
    this.#closing.abort();
    clearInterval(this.#beat);
    this.#connection?.disconnect();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#hold(await this.#dial());
      } catch (error) {
        this.#options.parts.log.debug("fleet.line_not_open", { error: String(error) });
      }
      this.#connection = undefined;
      if (this.#isOpen) this.#opened = Promise.withResolvers();
      this.#isOpen = false;
      if (!signal.aborted) await pause(fullJitter(this.#failures++), signal);
    }
  }

  async #dial(): Promise<Redis> {
    const { link } = this.#options.parts;
    const first = (await link.primaries()).find(({ partitions }) => partitions.includes(0));
    if (!first) throw new Error("nobody serves partition 0");
    return await within(DIAL_MS, link.dial(first satisfies Primary), (late) => late.disconnect());
  }

  /** Resolves when the connection is over. */
  async #hold(redis: Redis): Promise<void> {
    if (this.#closing.signal.aborted) return redis.disconnect();
    const { channels, probeChannel, onMessage } = this.#options;
    this.#connection = redis;
    const over = new Promise<void>((resolve) => redis.once("close", () => resolve()));
    redis.on("error", () => undefined); // `close` follows, and is what counts
    redis.on("smessage", (channel: string, text: string) => {
      if (channel === probeChannel) this.#proof.received = Number(text);
      else onMessage(channel, text);
    });
    try {
      for (const channel of [...channels, probeChannel]) await within(DIAL_MS, redis.ssubscribe(channel));
    } catch (error) {
      redis.disconnect();
      throw error;
    }
    this.#proof = { sent: 0, received: 0 };
    this.#failures = 0;
    this.#isOpen = true;
    this.#opened.resolve();
    await over;
  }

  /** Half-open connections look well for hours: only what comes through proves one. */
  async #prove(): Promise<void> {
    const { parts, probeChannel } = this.#options;
    const connection = this.#connection;
    if (!connection || !this.#isOpen) return;
    if (this.#proof.received < this.#proof.sent) {
      parts.log.warn("fleet.line_dead");
      connection.disconnect();
      return;
    }
    try {
      await parts.link.call("SPUBLISH", probeChannel, this.#proof.sent + 1);
      if (this.#connection === connection) this.#proof.sent++;
    } catch (error) {
      parts.log.debug("fleet.line_not_proved", { error: String(error) }); // Redis is away: says nothing of this line
    }
  }
}

// Why: the blocking read of the trigger stream, on a connection of its own so that nothing waits behind it.
// It must never wait for ever: a connection that says nothing for longer than it was asked to block is given up.
import type { Redis } from "ioredis";
import type { RedisLink } from "./link.ts";
import { entriesOf, GROUP, type TriggerEntry } from "./trigger-entries.ts";
import { within } from "./waits.ts";

export const BLOCK_MS = 2_000;
const PATIENCE_MS = 3_000;

export type TriggerReaderOptions = { readonly link: RedisLink; readonly key: string; readonly consumer: string };

export class TriggerReader {
  readonly #options: TriggerReaderOptions;
  #connection: Redis | undefined;
  #isClosed = false;

  constructor(options: TriggerReaderOptions) {
    this.#options = options;
  }

  /** New entries, at most so many, or none after two seconds. Rejects when Redis is away; then call it again later. */
  async read(most: number): Promise<readonly TriggerEntry[]> {
    const { key, consumer } = this.#options;
    const connection = this.#connection ?? (await this.#dial());
    if (this.#isClosed) connection.disconnect();
    this.#connection = connection;
    const args = ["GROUP", GROUP, consumer, "COUNT", most, "BLOCK", BLOCK_MS, "STREAMS", key, ">"] as const;
    try {
      const answer = await within(BLOCK_MS + PATIENCE_MS, connection.call("XREADGROUP", ...args));
      return entriesOf(listOf(answer));
    } catch (error) {
      this.#hangUp(); // the group may be gone, or the stream with another primary: dialling finds both
      throw error;
    }
  }

  /** For ever: a read that runs rejects, and so does every later one. */
  close(): void {
    this.#isClosed = true;
    this.#hangUp();
  }

  #hangUp(): void {
    this.#connection?.disconnect();
    this.#connection = undefined;
  }

  /** A connection to whoever has the stream, with the group made. */
  async #dial(): Promise<Redis> {
    let failure: unknown;
    for (const primary of await this.#options.link.primaries()) {
      const own = await within(PATIENCE_MS, this.#options.link.dial(primary), (late) => late.disconnect());
      try {
        await within(PATIENCE_MS, makeGroup(own, this.#options.key));
        return own;
      } catch (error) {
        own.disconnect();
        failure = error; // of a Cluster, one has it; the others say MOVED
      }
    }
    throw new Error("no primary has the trigger stream", { cause: failure });
  }
}

/** From the first entry on: what was added before any node came is waiting for one. */
async function makeGroup(connection: Redis, key: string): Promise<void> {
  try {
    await connection.call("XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM");
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("BUSYGROUP"))) throw error;
  }
}

/** Of one stream: `[[key, entries]]` in RESP2; in RESP3 a map, which the client answers as `[key, entries]`. */
function listOf(answer: unknown): unknown {
  if (!Array.isArray(answer)) return null;
  const [first, second]: unknown[] = answer;
  return Array.isArray(first) ? first[1] : second;
}

// Why: marks come in bursts, when a node flushes them; those of one partition go to Redis in one script.
// It must never answer a caller before Redis has the mark.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { StreamId } from "../../core/ports.ts";
import { streamKey } from "../../core/streams.ts";
import { streamPartition } from "./keys.ts";
import type { RedisParts } from "./parts.ts";
import { SET_MARKS } from "./stream-scripts.ts";

/** Marks one script moves at most, so that it stays short. */
const BATCH = 128;

type Waiting = { readonly settle: () => void; readonly fail: (error: unknown) => void };
type Wanted = { readonly key: string; position: Position; readonly waiting: Waiting[] };

/** `set` as `StreamStore.setMark`. Calls of one turn of the event loop go together, partition by partition. */
export class MarkBatches {
  readonly #parts: Pick<RedisParts, "link" | "keys">;
  /** By partition, then by stream and epoch: the highest of a turn is the one that counts. */
  #wanted = new Map<number, Map<string, Wanted>>();

  constructor(parts: Pick<RedisParts, "link" | "keys">) {
    this.#parts = parts;
  }

  set(inbox: StreamId, position: Position): Promise<void> {
    if (this.#wanted.size === 0) queueMicrotask(() => this.#send());
    const partition = streamPartition(inbox);
    const marks = this.#wanted.get(partition) ?? new Map<string, Wanted>();
    this.#wanted.set(partition, marks);
    const name = `${position.epoch}\n${streamKey(inbox)}`;
    const wanted = marks.get(name) ?? { key: this.#parts.keys.of(inbox, "m"), position, waiting: [] };
    marks.set(name, wanted);
    if (position.offset > wanted.position.offset) wanted.position = position;
    return new Promise((settle, fail) => wanted.waiting.push({ settle, fail }));
  }

  #send(): void {
    const wanted = this.#wanted;
    this.#wanted = new Map();
    for (const marks of wanted.values()) {
      const all = [...marks.values()];
      for (let i = 0; i < all.length; i += BATCH) void this.#run(all.slice(i, i + BATCH));
    }
  }

  async #run(batch: readonly Wanted[]): Promise<void> {
    try {
      const args = batch.flatMap(({ position }) => [position.epoch, position.offset]);
      await this.#parts.link.run(
        SET_MARKS,
        batch.map(({ key }) => key),
        args,
      );
      for (const { waiting } of batch) for (const { settle } of waiting) settle();
    } catch (error) {
      for (const { waiting } of batch) for (const { fail } of waiting) fail(error);
    }
  }
}

// Why: a transaction costs about the same for one write as for a hundred, so writes that come while one is under way share
// the next. Writes of one lane are done in the order they came. It must never let one bad write take others with it.
import { isRolledBack, unavailable } from "./failure.ts";

/** Writes that may wait in one lane; more are refused. */
const MAX_WAITING = 20_000;

/** `run` does many as one step and answers in their order. `lanes` go on side by side. */
export type BatchesOptions<Item, Result> = {
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly lanes: number;
  readonly maxItems: number;
  readonly maxBytes: number;
  /** A write that waited so long is refused instead of done. */
  readonly waitMs: number;
};

type Write<Item, Result> = {
  readonly item: Item;
  readonly bytes: number;
  readonly at: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
};

type Lane<Item, Result> = { waiting: Write<Item, Result>[]; running: Promise<void> | undefined };

export class Batches<Item, Result> {
  readonly #options: BatchesOptions<Item, Result>;
  readonly #lanes: readonly Lane<Item, Result>[];

  constructor(options: BatchesOptions<Item, Result>) {
    this.#options = options;
    this.#lanes = Array.from({ length: options.lanes }, () => ({ waiting: [], running: undefined }));
  }

  /** Writes with one `key` keep their order. Rejects with what `run` threw, or `Failure` `broker_unavailable`. */
  add(key: string, item: Item, bytes: number): Promise<Result> {
    const lane = this.#lanes[Bun.hash.crc32(key) % this.#lanes.length];
    if (!lane || lane.waiting.length >= MAX_WAITING) return Promise.reject(unavailable("Too many writes wait for PostgreSQL"));
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    lane.waiting.push({ item, bytes, at: performance.now(), resolve, reject });
    lane.running ??= this.#work(lane);
    return promise;
  }

  /** Resolves when what was taken is done. */
  async settle(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.running));
  }

  async #work(lane: Lane<Item, Result>): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve)); // those of the same turn come along
    while (lane.waiting.length > 0) await this.#do(this.#take(lane));
    lane.running = undefined;
  }

  #take(lane: Lane<Item, Result>): readonly Write<Item, Result>[] {
    const { maxItems, maxBytes, waitMs } = this.#options;
    const before = performance.now() - waitMs;
    let count = 0;
    for (let bytes = 0; count < Math.min(lane.waiting.length, maxItems); count++) {
      bytes += lane.waiting[count]?.bytes ?? 0;
      if (count > 0 && bytes > maxBytes) break;
    }
    const taken = lane.waiting.splice(0, count);
    for (const late of taken) if (late.at < before) late.reject(unavailable("PostgreSQL is too slow for what is written"));
    return taken.filter(({ at }) => at >= before);
  }

  async #do(writes: readonly Write<Item, Result>[]): Promise<void> {
    if (writes.length === 0) return;
    try {
      const results = await this.#options.run(writes.map(({ item }) => item));
      for (const [at, { resolve, reject }] of writes.entries()) {
        const result = results[at];
        if (result === undefined) reject(unavailable("PostgreSQL gave no answer for a write"));
        else resolve(result);
      }
    } catch (error) {
      // All of it was rolled back: one by one the others pass, and the one that cannot is told.
      if (writes.length > 1 && isRolledBack(error)) for (const write of writes) await this.#do([write]);
      else for (const { reject } of writes) reject(error);
    }
  }
}

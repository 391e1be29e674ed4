// Why: turns outcomes of a reconcile into what the queue does next, in one place. A reconcile that throws is a failure to
// retry, never the end of a worker.
import { PRIORITY, type WorkQueue } from "./queue.ts";

/**
 * What one pass came to.
 * - `done`: nothing more to do; failures are forgotten.
 * - `again`: look again in `afterMs`; failures are forgotten.
 * - `failed`: with `retry`, again after the key's back-off (at least `afterMs`, e.g. a Retry-After); without, only an event
 *   brings the key back.
 */
export type Outcome =
  | { readonly kind: "done" }
  | { readonly kind: "again"; readonly afterMs: number }
  | { readonly kind: "failed"; readonly error: unknown; readonly retry: boolean; readonly afterMs?: number };

export type WorkerOptions<K extends string> = {
  readonly queue: WorkQueue<K>;
  readonly workers: number;
  /** One pass. `priority` is the one the key was taken with. */
  readonly reconcile: (key: K, priority: number) => Promise<Outcome>;
  /** Told about every failed pass, with the delay until the next one (undefined: none planned). */
  readonly onFailure: (key: K, error: unknown, retryInMs: number | undefined) => void;
  /** Told what every pass came to and how long it took, in milliseconds, before anything is done about it. */
  readonly onOutcome?: (key: K, outcome: Outcome, tookMs: number) => void;
};

/** Runs workers until the queue is shut down; resolves when the last of them is idle. */
export async function runWorkers<K extends string>(options: WorkerOptions<K>): Promise<void> {
  await Promise.all(Array.from({ length: options.workers }, () => worker(options)));
}

async function worker<K extends string>(options: WorkerOptions<K>): Promise<void> {
  const { queue } = options;
  for (let item = await queue.take(); item; item = await queue.take()) {
    const outcome = await pass(options, item.key, item.priority);
    options.onOutcome?.(item.key, outcome, queue.heldMs(item.key));
    settle(options, item.key, outcome);
    queue.done(item.key);
  }
}

async function pass<K extends string>(options: WorkerOptions<K>, key: K, priority: number): Promise<Outcome> {
  try {
    return await options.reconcile(key, priority);
  } catch (error) {
    return { kind: "failed", error, retry: true };
  }
}

/** A failing key keeps its own lane: a retry never overtakes an edit. */
function settle<K extends string>(options: WorkerOptions<K>, key: K, outcome: Outcome): void {
  const { queue } = options;
  switch (outcome.kind) {
    case "done":
      queue.forget(key);
      return;
    case "again":
      queue.forget(key);
      queue.addAfter(key, outcome.afterMs);
      return;
    case "failed": {
      if (!outcome.retry) queue.forget(key);
      const delayMs = outcome.retry ? queue.retry(key, PRIORITY.resync, outcome.afterMs) : undefined;
      options.onFailure(key, outcome.error, delayMs);
      return;
    }
    default:
      outcome satisfies never;
  }
}

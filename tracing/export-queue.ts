// Why: ended spans wait here for their way out, in a bounded list, and leave in batches one after the other. A collector
// that is slow or away costs spans, never memory and never anybody's time. What is lost is counted.
import type { EndedSpan } from "./span.ts";

/** What became of spans: the collector has them, did not take them, or there was no room to wait. */
export type SpanOutcome = "exported" | "failed" | "dropped";

/** How many of a batch arrived; `rejected` did not. Never rejects, and ends soon after `signal`. */
export type SendBatch = (spans: readonly EndedSpan[], signal: AbortSignal) => Promise<{ readonly rejected: number }>;

export type ExportQueueOptions = {
  readonly send: SendBatch;
  readonly counted: (outcome: SpanOutcome, count: number) => void;
  /** Calls back once after so many milliseconds; keeps no process alive. Returns how to call it off. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** What may wait, the batch on its way not counted. */
  readonly maxWaiting?: number;
  readonly batchSize?: number;
  /** How long a span waits for company, in milliseconds. */
  readonly gatherMs?: number;
};

const DEFAULTS = { maxWaiting: 4096, batchSize: 512, gatherMs: 2000 };

export class ExportQueue {
  readonly #options: Required<ExportQueueOptions>;
  #waiting: EndedSpan[] = [];
  #sending: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  readonly #closing = new AbortController();

  constructor(options: ExportQueueOptions) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Takes a span, or counts it as dropped. Costs an array's push. */
  readonly add = (span: EndedSpan): void => {
    const { maxWaiting, batchSize, gatherMs, after, counted } = this.#options;
    if (this.#waiting.length >= maxWaiting || this.#closing.signal.aborted) {
      counted("dropped", 1);
      return;
    }
    this.#waiting.push(span);
    if (this.#sending) return;
    if (this.#waiting.length >= batchSize) this.#start();
    else this.#cancelTimer ??= after(gatherMs, () => this.#start());
  };

  /** Sends what waits, for at most so long; what is left then is dropped. Call it last. */
  async close(withinMs: number): Promise<void> {
    const cancel = this.#options.after(withinMs, () => this.#closing.abort());
    this.#start();
    await this.#sending;
    cancel();
    this.#closing.abort();
    const left = this.#waiting.length;
    this.#waiting = [];
    if (left > 0) this.#options.counted("dropped", left);
  }

  #start(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#sending || this.#waiting.length === 0) return;
    this.#sending = this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  async #sendAll(): Promise<void> {
    const { batchSize, send, counted } = this.#options;
    while (this.#waiting.length > 0 && !this.#closing.signal.aborted) {
      const batch = this.#waiting.splice(0, batchSize);
      const { rejected } = await send(batch, this.#closing.signal);
      if (rejected > 0) counted("failed", rejected);
      if (rejected < batch.length) counted("exported", batch.length - rejected);
    }
  }
}

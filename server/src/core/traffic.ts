// Why: what the operator scales by has to be a rate of now, not a count since the start, and failures to get in have to be
// told apart from clients that were rightly refused. It must never cost the hot path more than an addition.
import type { FailureCode } from "@nexus/protocol/failures.ts";
import { isOurFault } from "./fault.ts";
import type { Metrics } from "./ports.ts";

/** Rates are of so many milliseconds. */
export const WINDOW_MS = 15_000;
const SAMPLE_MS = 1_000;

/** `messagesPerSecond` over the last {@link WINDOW_MS}; `opened` and `refused` since the start. */
export type Traffic = { readonly messagesPerSecond: number; readonly opened: number; readonly refused: number };

/** A count as it grew: its rate over the window. Call `sample` about once a second. */
export class Rate {
  readonly #samples: { readonly atMs: number; readonly count: number }[] = [];

  sample(atMs: number, count: number): void {
    const last = this.#samples.at(-1);
    if (last && atMs - last.atMs < SAMPLE_MS) return;
    this.#samples.push({ atMs, count });
    // The oldest that is kept is just outside the window, so that the rate is of the whole of it.
    while ((this.#samples[1]?.atMs ?? Number.POSITIVE_INFINITY) <= atMs - WINDOW_MS) this.#samples.shift();
  }

  /** A second, up to now; 0 before the first sample. */
  perSecond(atMs: number, count: number): number {
    const oldest = this.#samples[0];
    if (!oldest || atMs <= oldest.atMs) return 0;
    return ((count - oldest.count) * 1000) / (atMs - oldest.atMs);
  }
}

export class TrafficMeter {
  readonly #rate = new Rate();
  #delivered = 0;
  #opened = 0;
  #refused = 0;

  /** The same metrics, listened to. */
  watch(metrics: Metrics): Metrics {
    return {
      ...metrics,
      delivered: (transport, count) => {
        this.#delivered += count;
        metrics.delivered(transport, count);
      },
      sessionOpened: (transport) => {
        this.#opened++;
        metrics.sessionOpened(transport);
      },
    };
  }

  /** An attempt to open a session came to nothing. */
  failed(code: FailureCode): void {
    if (isOurFault(code)) this.#refused++;
  }

  /** Call a few times a second. `nowMs` is monotonic. */
  beat(nowMs: number): void {
    this.#rate.sample(nowMs, this.#delivered);
  }

  read(nowMs: number): Traffic {
    return { messagesPerSecond: this.#rate.perSecond(nowMs, this.#delivered), opened: this.#opened, refused: this.#refused };
  }
}

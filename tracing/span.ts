// Why: one step of work that is recorded, as plain data with an end. A span exists only where its trace is recorded, so that
// everything else costs a comparison. It must never hold a payload, a token or a person's id: attributes are facts about steps.
import type { SpanContext } from "./context.ts";

/** OpenTelemetry's kinds, by its numbers (SpanKind of the API; the encoder adds what the wire wants). */
export const SPAN_KINDS = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 } as const;
export type SpanKind = keyof typeof SPAN_KINDS;

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** `startMs`, `endMs`: since 1970, with fractions. `error`: what went wrong, as a code. */
export type EndedSpan = {
  readonly context: SpanContext;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly links: readonly SpanContext[];
  readonly error: string | undefined;
};

export type SpanStart = {
  readonly context: SpanContext;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startMs: number;
  readonly attributes: Attributes;
  readonly links: readonly SpanContext[];
};

export class Span {
  readonly context: SpanContext;
  readonly startMs: number;
  readonly #start: SpanStart;
  readonly #clock: () => number;
  readonly #ended: (span: EndedSpan) => void;
  #isOpen = true;

  constructor(start: SpanStart, clock: () => number, ended: (span: EndedSpan) => void) {
    this.context = start.context;
    this.startMs = start.startMs;
    this.#start = start;
    this.#clock = clock;
    this.#ended = ended;
  }

  /** Hands the span over, once; later calls change nothing. `error`: a code of what went wrong. */
  end(facts: Attributes = {}, error?: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const failed = error === undefined ? {} : { "error.type": error };
    this.#ended({ ...this.#start, endMs: this.#clock(), attributes: { ...this.#start.attributes, ...facts, ...failed }, error });
  }
}

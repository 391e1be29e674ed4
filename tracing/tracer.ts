// Why: decides which traces are recorded and makes their spans. Whoever asks for a span and gets none goes on as if there
// were no tracing. It must never sample more of what strangers ask for than its rate, nor do anything while it is off.
import { parseRemote, type RemoteContext, type RemoteParent, type SpanContext } from "./context.ts";
import { type Attributes, type EndedSpan, Span, type SpanKind } from "./span.ts";

/**
 * `samplePercent`: of traces that begin here, 0-100. `incomingPerSecond`: how many traces that somebody else began and
 * records are recorded here too; whoever could sample everything would otherwise choose our load.
 */
export type Sampling = { readonly samplePercent: number; readonly incomingPerSecond: number };

export type TracerDeps = {
  /** Milliseconds since 1970, with fractions. */
  readonly now: () => number;
  /** 0 up to, not including, 1. */
  readonly random: () => number;
  /** Fills the bytes with what nobody can guess. */
  readonly fill: (bytes: Uint8Array) => void;
  readonly ended: (span: EndedSpan) => void;
};

export type Begin = {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
  /** When it began, where that was before now. */
  readonly startMs?: number;
  readonly links?: readonly SpanContext[];
};

/** Ids are cut from bytes got in bulk. */
const POOL_BYTES = 4096;

export class Tracer {
  /** The one thing a hot path asks. */
  isOn = false;
  readonly #deps: TracerDeps;
  #sampling: Sampling = { samplePercent: 0, incomingPerSecond: 0 };
  #tokens = 0;
  #tokensAt = 0;
  readonly #pool = Buffer.alloc(POOL_BYTES);
  #used = POOL_BYTES;

  constructor(deps: TracerDeps) {
    this.#deps = deps;
  }

  /** From now on; undefined: off. Spans that are open end as they would have. */
  configure(sampling: Sampling | undefined): void {
    this.isOn = sampling !== undefined;
    if (!sampling) return;
    this.#sampling = sampling;
    this.#tokens = Math.min(this.#tokens, sampling.incomingPerSecond);
  }

  /** Milliseconds since 1970, with fractions. */
  now(): number {
    return this.#deps.now();
  }

  /**
   * The first span of a trace here. Where somebody else began the trace, their word on recording it holds (up to the rate);
   * otherwise a share of traces is recorded. Undefined: this one is not.
   */
  root(begin: Begin, remote?: RemoteParent): Span | undefined {
    if (!this.isOn) return undefined;
    const parent = remote && parseRemote(remote);
    if (parent) return parent.isSampled && this.#take() ? this.child(parent, begin) : undefined;
    return this.#deps.random() * 100 < this.#sampling.samplePercent ? this.apart(begin) : undefined;
  }

  /** A span below one that is recorded. */
  child(parent: SpanContext | RemoteContext, begin: Begin): Span {
    const { traceId, spanId, state } = parent;
    const context = state === undefined ? { traceId, spanId: this.#id(8) } : { traceId, spanId: this.#id(8), state };
    return this.#span(context, spanId, begin);
  }

  /** A trace of its own, recorded without asking: what it links to is. */
  apart(begin: Begin): Span {
    return this.#span({ traceId: this.#id(16), spanId: this.#id(8) }, undefined, begin);
  }

  #span(context: SpanContext, parentSpanId: string | undefined, { name, kind, attributes, startMs, links = [] }: Begin): Span {
    const { now, ended } = this.#deps;
    return new Span({ context, parentSpanId, name, kind, attributes, links, startMs: startMs ?? now() }, now, ended);
  }

  /** One of the traces a second that strangers may have; a second's worth may come at once. */
  #take(): boolean {
    const rate = this.#sampling.incomingPerSecond;
    const now = this.#deps.now();
    const since = this.#tokensAt === 0 ? 1000 : Math.max(0, now - this.#tokensAt);
    this.#tokens = Math.min(rate, this.#tokens + (since / 1000) * rate);
    this.#tokensAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #id(bytes: number): string {
    for (;;) {
      if (this.#used + bytes > POOL_BYTES) {
        this.#deps.fill(this.#pool);
        this.#used = 0;
      }
      const id = this.#pool.toString("hex", this.#used, this.#used + bytes);
      this.#used += bytes;
      if (!/^0+$/.test(id)) return id; // the standard's word for none
    }
  }
}

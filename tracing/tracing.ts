// Why: tracing of one process put together: a tracer, its queue, the way out. Settings change while it runs. It must never
// keep a process alive, nor make anybody wait: only `stop` does, for a bounded time.
import { ExportQueue, type SpanOutcome } from "./export-queue.ts";
import { createOtlpSender, parseHeaders, tracesUrl } from "./otlp.ts";
import type { Attributes } from "./span.ts";
import { type Sampling, Tracer } from "./tracer.ts";

/** `endpoint`: of a collector, http or https. */
export type TracingSettings = Sampling & { readonly endpoint: string };

export type TracingOptions = {
  /** Who speaks: `service.name` and so on. */
  readonly resource: Attributes;
  readonly version: string;
  /** For the collector, as `parseHeaders` reads them; empty: none. */
  readonly headers?: string;
  /** File with more of them, read again for every batch; empty: none. */
  readonly headersFile: string;
  readonly counted: (outcome: SpanOutcome, count: number) => void;
  /** Told at most once a minute; the text holds no credential. */
  readonly failed: (reason: string) => void;
};

export type Tracing = {
  readonly tracer: Tracer;
  /** From now on; undefined: off. Spans that wait go to where spans go now. */
  configure(settings: TracingSettings | undefined): void;
  /** Sends what waits, for a few seconds at most. Call it when nothing makes spans any more. */
  stop(): Promise<void>;
};

/** How long a stopping process waits for its collector, in milliseconds. */
const FLUSH_MS = 3000;
const TELL_MS = 60_000;
const MAX_HEADER_BYTES = 16_384;

export function createTracing({ resource, version, headers: given = "", headersFile, counted, failed }: TracingOptions): Tracing {
  let url: string | undefined;
  const headers = async (): Promise<Readonly<Record<string, string>>> => {
    if (headersFile === "") return parseHeaders(given);
    const file = Bun.file(headersFile);
    return { ...parseHeaders(given), ...parseHeaders(await file.slice(0, MAX_HEADER_BYTES).text()) };
  };
  const send = createOtlpSender({
    target: () => (url === undefined ? undefined : { url, headers }),
    origin: { resource, scope: { name: "nexus", version } },
    wait,
    random: Math.random,
    now: Date.now,
    failed: seldom(failed),
  });
  const queue = new ExportQueue({ send, counted, after });
  const tracer = new Tracer({ now: preciseClock(), random: Math.random, fill: (bytes) => crypto.getRandomValues(bytes), ended: queue.add });
  return {
    tracer,
    configure(settings) {
      if (settings) url = tracesUrl(settings.endpoint); // what waits when it is switched off still has its old way out
      tracer.configure(settings);
    },
    async stop() {
      // Every other timer here lets a process end; one that waits for its collector must not end in the middle.
      const awake = setInterval(() => undefined, FLUSH_MS);
      try {
        await queue.close(FLUSH_MS);
      } finally {
        clearInterval(awake);
      }
    },
  };
}

function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  timer.unref();
  return () => clearTimeout(timer);
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = after(ms, resolve);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(cancel);
}

function seldom(tell: (reason: string) => void): (reason: string) => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  return (reason) => {
    if (performance.now() - toldAt < TELL_MS) return;
    toldAt = performance.now();
    tell(reason);
  };
}

/** How far the two clocks may drift apart before the wall clock is taken anew, in milliseconds. */
const DRIFT_MS = 2;

/** The wall clock in fractions of a millisecond: the monotonic clock, set again whenever the two have drifted apart. */
function preciseClock(): () => number {
  let offset = Date.now() - performance.now();
  return () => {
    const monotonic = performance.now();
    const wall = Date.now();
    if (Math.abs(monotonic + offset - wall) > DRIFT_MS) offset = wall - monotonic;
    return monotonic + offset;
  };
}

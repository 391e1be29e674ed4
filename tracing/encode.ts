// Why: spans as OTLP bytes. The library that knows the format is heavy beside everything else here, so this file is imported
// only when there is something to export. It must never be imported statically.
import type { HrTime, SpanContext as OtelContext } from "@opentelemetry/api";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import type { SpanContext } from "./context.ts";
import { type Attributes, type EndedSpan, SPAN_KINDS } from "./span.ts";

/** `resource`: who speaks (`service.name` and so on). */
export type Origin = { readonly resource: Attributes; readonly scope: { readonly name: string; readonly version: string } };

type ReadableSpan = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];

/** An ExportTraceServiceRequest. @throws Error when the library cannot */
export function encodeSpans(spans: readonly EndedSpan[], { resource, scope }: Origin): Uint8Array {
  const from = { attributes: { ...resource }, merge: () => from, getRawAttributes: () => Object.entries(resource) };
  const bytes = ProtobufTraceSerializer.serializeRequest(spans.map((span) => readable(span, from, scope)));
  if (!bytes) throw new Error("the spans could not be encoded");
  return bytes;
}

/** How many spans the collector refused although it answered 200, and why. */
export function readAnswer(body: Uint8Array): { readonly rejected: number; readonly message: string } {
  const { partialSuccess } = ProtobufTraceSerializer.deserializeResponse(body);
  return { rejected: Number(partialSuccess?.rejectedSpans ?? 0), message: partialSuccess?.errorMessage ?? "" };
}

const UNSET = 0;
const ERROR = 2;

function readable(span: EndedSpan, resource: ReadableSpan["resource"], scope: Origin["scope"]): ReadableSpan {
  const { context, parentSpanId, name, kind, startMs, endMs, attributes, links, error } = span;
  const parent = parentSpanId === undefined ? {} : { parentSpanContext: otelContext({ ...context, spanId: parentSpanId }) };
  return {
    ...{ name, kind: SPAN_KINDS[kind], resource, instrumentationScope: scope, ended: true, ...parent },
    spanContext: () => otelContext(context),
    startTime: timeOf(startMs),
    endTime: timeOf(endMs),
    duration: timeOf(Math.max(0, endMs - startMs)),
    status: error === undefined ? { code: UNSET } : { code: ERROR, message: error },
    attributes: { ...attributes },
    links: links.map((link) => ({ context: otelContext(link) })),
    ...{ events: [], droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
  };
}

function otelContext({ traceId, spanId, state }: SpanContext): OtelContext {
  const context = { traceId, spanId, traceFlags: 1 };
  if (state === undefined) return context;
  const unchanging = { serialize: () => state, get: () => undefined, set: () => unchanging, unset: () => unchanging };
  return { ...context, traceState: unchanging };
}

/** Whole seconds, and nanoseconds to the microsecond: more a double does not hold. */
function timeOf(ms: number): HrTime {
  const micros = Math.round(ms * 1000);
  const seconds = Math.floor(micros / 1_000_000);
  return [seconds, (micros - seconds * 1_000_000) * 1000];
}

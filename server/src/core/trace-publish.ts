// Why: what the trace of a publish says: one span for the publish, one for what it stored, and the place in the trace that
// travels with the entry. It must never say whom it was for or what it said: attributes are kinds, sizes and the tenant.
import type { Refusal } from "@nexus/protocol/failures.ts";
import { Failure } from "@nexus/protocol/failures.ts";
import { carry, type RemoteParent } from "@nexus/tracing/context.ts";
import type { Attributes, Span } from "@nexus/tracing/span.ts";
import type { Tracer } from "@nexus/tracing/tracer.ts";
import type { Notification, StreamId } from "./ports.ts";

/** `targets`: streams it goes to, where that can be several. */
export type PublishedWhat = { readonly tenant: string; readonly kind: StreamId["kind"] | "batch"; readonly targets?: number };

/** What every span of ours says (OpenTelemetry's messaging conventions; `nexus.*` is ours). */
export const spanFacts = (operation: string, type: "send" | "process" | "settle", { tenant, kind }: PublishedWhat): Attributes => ({
  "messaging.system": "nexus",
  "messaging.operation.name": operation,
  "messaging.operation.type": type,
  "nexus.tenant": tenant,
  "nexus.stream": kind,
});

/** Undefined where the trace is not recorded. Ask `tracer.isOn` first: then a publish without tracing costs that alone. */
export function beginPublish(tracer: Tracer, what: PublishedWhat, remote: RemoteParent | undefined): Span | undefined {
  const facts = spanFacts("publish", "send", what);
  const attributes = what.targets === undefined ? facts : { ...facts, "messaging.batch.message_count": what.targets };
  return tracer.root({ name: `publish ${what.kind}`, kind: "producer", attributes }, remote);
}

/** Ends the span with what the publish came to. */
export function endPublish(span: Span, outcome: { readonly replayed: boolean } | Refusal): void {
  if ("code" in outcome) span.end({}, outcome.code);
  else span.end(outcome.replayed ? { "nexus.replayed": true } : {});
}

export const failPublish = (span: Span, thrown: unknown): void =>
  span.end({}, thrown instanceof Failure ? thrown.refusal.code : "internal");

/** The notification with its place in the trace. */
export const traced = (notification: Notification, span: Span): Notification => ({ ...notification, trace: carry(span.context) });

/** The engine's one atomic step, below the publish. */
export async function tracedStore<T>(
  tracer: Tracer,
  { span, notification, stream }: { readonly span: Span; readonly notification: Notification; readonly stream: StreamId },
  store: () => Promise<T>,
): Promise<T> {
  const storing = tracer.child(span.context, {
    name: `store ${stream.kind}`,
    kind: "client",
    attributes: {
      ...spanFacts("store", "send", { tenant: stream.tenant, kind: stream.kind }),
      "messaging.message.id": notification.id,
      "messaging.message.body.size": Buffer.byteLength(notification.payloadJson),
    },
  });
  try {
    const outcome = await store();
    storing.end();
    return outcome;
  } catch (thrown) {
    failPublish(storing, thrown);
    throw thrown;
  }
}

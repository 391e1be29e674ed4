// Why: the trace of an entry goes on wherever it is handed out: on each node, to each of a user's sessions, and back with
// an ACK. What is remembered for ACKs is bounded. It must never be asked about an entry that carries no trace.
import { carried, type SpanContext } from "@nexus/tracing/context.ts";
import type { Attributes, Span } from "@nexus/tracing/span.ts";
import type { Begin, Tracer } from "@nexus/tracing/tracer.ts";
import type { Entry, StreamId, Transport } from "./ports.ts";
import { spanFacts } from "./trace-publish.ts";

/** Told of each write of one entry to a session, and when everybody who could be written at once has been. */
export type DeliveryTrace = {
  written(to: WrittenTo): void;
  passed(): void;
};
type WrittenTo = { readonly user: string; readonly transport: Transport };

/** The fan-out of one entry on this node: `end` with how many sessions it was handed to. */
export type FanOutTrace = { readonly delivery: DeliveryTrace; end(sessions: number): void };

/** What happens longer after the publish has a trace of its own, with a link: a trace of days nobody can look at. */
const SAME_TRACE_MS = 300_000;
/** Deliveries that an ACK may follow; the oldest are forgotten. */
const REMEMBERED = 8192;
/** A cumulative ACK is recorded for so many entries. */
export const MAX_ACK_SPANS = 16;
/** One user's sessions are recorded one by one up to so many. */
const MAX_SESSION_SPANS = 16;

/** `type`: what messaging conventions call such an operation. */
type Step = { readonly name: string; readonly type: "process" | "settle" };
const ACK: Step = { name: "ack", type: "settle" };

type Delivered = { readonly context: SpanContext; readonly kind: StreamId["kind"]; readonly atMs: number };

export class DeliveryTraces {
  readonly #tracer: Tracer;
  readonly #delivered = new Map<string, Delivered>();
  /** What has its span of an ACK, by user. */
  readonly #acknowledged = new Set<string>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  get isOn(): boolean {
    return this.#tracer.isOn;
  }

  /** An announced entry is about to be handed to the sessions of this node. Undefined: it carries nothing anybody can read. */
  fanOut(entry: Entry): FanOutTrace | undefined {
    const span = this.#follow(entry, { name: "fan_out", type: "process" });
    if (!span) return undefined;
    return {
      delivery: this.#delivery(entry, span.context, "live"),
      end: (sessions) => span.end({ "nexus.sessions": sessions }),
    };
  }

  /** An entry is handed to one session that missed it. */
  catchUp(entry: Entry): DeliveryTrace | undefined {
    const context = entry.notification.trace === undefined ? undefined : carried(entry.notification.trace);
    if (!context) return undefined;
    const isFresh = this.#isFresh(entry);
    return this.#delivery(entry, isFresh ? context : undefined, "catch_up", isFresh ? [] : [context]);
  }

  /**
   * A user acknowledged it. Ends with what the ACK came to; undefined: it has been, or nothing of it is known here. A young `entry`,
   * where it is at hand, carries the trace also to a node that did not deliver it.
   */
  ack(tenant: string, user: string, notificationId: string, entry?: Entry): Span | undefined {
    const key = keyOf(tenant, user, notificationId);
    if (this.#acknowledged.has(key)) return undefined;
    const delivered = this.#delivered.get(key) ?? this.#delivered.get(keyOf(tenant, "", notificationId));
    const span = delivered
      ? this.#settled(delivered, { tenant, notificationId })
      : entry && this.#isFresh(entry)
        ? this.#follow(entry, ACK)
        : undefined;
    if (!span) return undefined;
    this.#acknowledged.add(key);
    forgetOldest(this.#acknowledged);
    return span;
  }

  #settled(
    { context, kind, atMs }: Delivered,
    { tenant, notificationId }: { readonly tenant: string; readonly notificationId: string },
  ): Span {
    const begin: Begin = {
      name: `ack ${kind}`,
      kind: "consumer",
      attributes: { ...spanFacts("ack", "settle", { tenant, kind }), "messaging.message.id": notificationId },
    };
    if (this.#tracer.now() - atMs < SAME_TRACE_MS) return this.#tracer.child(context, begin);
    return this.#tracer.apart({ ...begin, links: [context] });
  }

  #isFresh({ notification }: Entry): boolean {
    return this.#tracer.now() - notification.occurredAt < SAME_TRACE_MS;
  }

  #follow(entry: Entry, { name, type }: Step): Span | undefined {
    const { trace } = entry.notification;
    const context = trace === undefined ? undefined : carried(trace);
    if (!context) return undefined;
    const begin: Begin = { name: `${name} ${entry.stream.kind}`, kind: "consumer", attributes: factsOf(entry, name, type) };
    if (this.#isFresh(entry)) return this.#tracer.child(context, begin);
    return this.#tracer.apart({ ...begin, links: [context] });
  }

  /** An inbox's sessions each have a span; of any other stream one span tells how many were written. */
  #delivery(entry: Entry, parent: SpanContext | undefined, how: "live" | "catch_up", links: readonly SpanContext[] = []): DeliveryTrace {
    const { kind } = entry.stream;
    const begin: Begin = {
      name: `deliver ${kind}`,
      kind: "consumer",
      attributes: { ...factsOf(entry, "deliver", "process"), "nexus.delivery": how },
      startMs: this.#tracer.now(),
      links,
    };
    const open = (): Span => (parent ? this.#tracer.child(parent, begin) : this.#tracer.apart(begin));
    const remember = (user: string, span: Span) => this.#remember(entry, user, span);
    return kind === "inbox" || how === "catch_up" ? new EachWrite(open, remember) : new AllWrites(open, remember);
  }

  #remember({ stream: { tenant, kind }, notification }: Entry, user: string, { context }: Span): void {
    const key = keyOf(tenant, user, notification.id);
    this.#delivered.delete(key); // the youngest are last
    this.#delivered.set(key, { context, kind, atMs: this.#tracer.now() });
    forgetOldest(this.#delivered);
  }
}

/** Sets and maps list their members from the oldest on. */
function forgetOldest(remembered: Pick<Set<string>, "size" | "keys" | "delete">): void {
  if (remembered.size <= REMEMBERED) return;
  for (const oldest of remembered.keys()) {
    remembered.delete(oldest);
    return;
  }
}

type Open = () => Span;
type Remember = (user: string, span: Span) => void;

/** A span for every session that is written. */
class EachWrite implements DeliveryTrace {
  readonly #open: Open;
  readonly #remember: Remember;
  #spans = 0;

  constructor(open: Open, remember: Remember) {
    this.#open = open;
    this.#remember = remember;
  }

  written({ user, transport }: WrittenTo): void {
    if (this.#spans++ >= MAX_SESSION_SPANS) return;
    const span = this.#open();
    span.end({ "nexus.transport": transport });
    this.#remember(user, span);
  }

  passed(): void {
    // Each has ended with its write.
  }
}

/** One span for all; a write costs it an addition. */
class AllWrites implements DeliveryTrace {
  readonly #open: Open;
  readonly #remember: Remember;
  #sessions = 0;
  #hasEnded = false;

  constructor(open: Open, remember: Remember) {
    this.#open = open;
    this.#remember = remember;
  }

  written(): void {
    this.#sessions++;
  }

  passed(): void {
    if (this.#sessions === 0 || this.#hasEnded) return;
    this.#hasEnded = true;
    const span = this.#open();
    span.end({ "nexus.sessions": this.#sessions });
    this.#remember("", span);
  }
}

/** No tenant id holds a line break, and no notification id. Without a user: what went to many at once. */
const keyOf = (tenant: string, user: string, notificationId: string): string => `${tenant}\n${notificationId}\n${user}`;

const factsOf = ({ stream: { tenant, kind }, notification: { id } }: Entry, operation: string, type: Step["type"]): Attributes => ({
  ...spanFacts(operation, type, { tenant, kind }),
  "messaging.message.id": id,
});

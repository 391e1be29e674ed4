// Why: an entry may be handed out at once or days later, to one or to thousands, and acknowledged hours after that. Which of it
// is one trace and which is linked, and how little is remembered, is decided here.
import { describe, expect, test } from "bun:test";
import type { Entry, StreamId } from "@nexus/server/core/ports.ts";
import { DeliveryTraces } from "@nexus/server/core/trace-delivery.ts";
import type { EndedSpan } from "@nexus/tracing/span.ts";
import { Tracer } from "@nexus/tracing/tracer.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PUBLISH = "b7ad6b7169203331";
const INBOX: StreamId = { kind: "inbox", tenant: "acme", user: "jane" };
const CHANNEL: StreamId = { kind: "channel", tenant: "acme", channel: "news" };
const JANE = { user: "jane", transport: "websocket" } as const;
const MINUTE = 60_000;

function stage() {
  const ended: EndedSpan[] = [];
  let now = 1_700_000_000_000;
  const fill = (bytes: Uint8Array) => void crypto.getRandomValues(bytes);
  const tracer = new Tracer({ now: () => now, random: () => 0, fill, ended: (span) => ended.push(span) });
  tracer.configure({ samplePercent: 100, incomingPerSecond: 0 });
  const publishedAt = now;
  const entry = (stream: StreamId, id = "n1", trace: string = `00-${TRACE}-${PUBLISH}-01`): Entry => ({
    stream,
    notification: {
      ...{ id, occurredAt: publishedAt, eventType: "t", payloadJson: "null", metadata: { source: "s", priority: "Normal" }, trace },
    },
  });
  return { traces: new DeliveryTraces(tracer), ended, entry, pass: (ms: number) => (now += ms) };
}

const namesOf = (spans: readonly EndedSpan[]) => spans.map(({ name }) => name);

describe("an entry that is announced", () => {
  test("to a user: a span for the fan-out, one for each session", () => {
    const { traces, ended, entry, pass } = stage();
    const fan = traces.fanOut(entry(INBOX));
    fan?.end(2);
    pass(3);
    fan?.delivery.written(JANE);
    fan?.delivery.written({ user: "jane", transport: "sse" });
    fan?.delivery.passed();
    expect(namesOf(ended)).toEqual(["fan_out inbox", "deliver inbox", "deliver inbox"]);
    const [fanned, one, two] = ended;
    expect(fanned).toMatchObject({ parentSpanId: PUBLISH, attributes: { "nexus.sessions": 2, "messaging.message.id": "n1" } });
    expect([one?.parentSpanId, two?.parentSpanId]).toEqual([fanned?.context.spanId, fanned?.context.spanId]);
    expect([one?.attributes["nexus.transport"], two?.attributes["nexus.transport"]]).toEqual(["websocket", "sse"]);
    expect((one?.endMs ?? 0) - (one?.startMs ?? 0)).toBe(3); // what it waited is part of the delivery
  });

  test("to a user with many sessions is recorded for the first of them", () => {
    const { traces, ended, entry } = stage();
    const fan = traces.fanOut(entry(INBOX));
    for (let session = 0; session < 40; session++) fan?.delivery.written(JANE);
    expect(ended.length).toBe(16);
  });

  test("to a channel: one span tells how many were written, whoever they are", () => {
    const { traces, ended, entry } = stage();
    const fan = traces.fanOut(entry(CHANNEL));
    for (let session = 0; session < 1000; session++) fan?.delivery.written({ user: `u${session}`, transport: "websocket" });
    fan?.delivery.passed();
    expect(namesOf(ended)).toEqual(["deliver channel"]);
    expect(ended[0]?.attributes["nexus.sessions"]).toBe(1000);
    fan?.delivery.written(JANE); // a connection that was full: the pass is over
    fan?.delivery.passed();
    expect(ended.length).toBe(1);
  });

  test("to a channel whose sessions are all full has no delivery", () => {
    const { traces, ended, entry } = stage();
    traces.fanOut(entry(CHANNEL))?.delivery.passed();
    expect(ended).toEqual([]);
  });

  test("with a text nobody can read is handed out like any other", () => {
    const { traces, entry } = stage();
    for (const trace of ["garbage", `00-${TRACE}-${PUBLISH}-00`, ""]) {
      expect(traces.fanOut(entry(INBOX, "n1", trace))).toBeUndefined();
      expect(traces.catchUp(entry(INBOX, "n1", trace))).toBeUndefined();
    }
  });
});

describe("an entry that somebody missed", () => {
  test("belongs to the trace for a few minutes", () => {
    const { traces, ended, entry, pass } = stage();
    pass(4 * MINUTE);
    traces.catchUp(entry(CHANNEL))?.written(JANE);
    expect(ended[0]).toMatchObject({ name: "deliver channel", parentSpanId: PUBLISH, attributes: { "nexus.delivery": "catch_up" } });
    expect(ended[0]?.context.traceId).toBe(TRACE);
  });

  test("has a trace of its own later, with a link", () => {
    const { traces, ended, entry, pass } = stage();
    pass(26 * 60 * MINUTE);
    traces.catchUp(entry(INBOX))?.written(JANE);
    expect(ended[0]?.context.traceId).not.toBe(TRACE);
    expect(ended[0]).toMatchObject({ parentSpanId: undefined, links: [{ traceId: TRACE, spanId: PUBLISH }] });
  });
});

describe("an ACK", () => {
  test("is below the delivery", () => {
    const { traces, ended, entry, pass } = stage();
    traces.fanOut(entry(INBOX))?.delivery.written(JANE);
    pass(20_000);
    traces.ack("acme", "jane", "n1")?.end();
    const [delivered, acked] = ended;
    expect(acked).toMatchObject({
      name: "ack inbox",
      parentSpanId: delivered?.context.spanId,
      attributes: { "messaging.operation.type": "settle" },
    });
  });

  test("hours later has a trace of its own, with a link to the delivery", () => {
    const { traces, ended, entry, pass } = stage();
    traces.fanOut(entry(INBOX))?.delivery.written(JANE);
    pass(5 * 60 * MINUTE);
    traces.ack("acme", "jane", "n1")?.end();
    const [delivered, acked] = ended;
    expect(acked?.parentSpanId).toBeUndefined();
    expect(acked?.links).toEqual([delivered?.context ?? expect.unreachable()]);
  });

  test("of what came by a channel follows its one delivery", () => {
    const { traces, ended, entry } = stage();
    const fan = traces.fanOut(entry(CHANNEL));
    fan?.delivery.written(JANE);
    fan?.delivery.passed();
    traces.ack("acme", "jane", "n1")?.end();
    expect(ended[1]?.parentSpanId).toBe(ended[0]?.context.spanId as string);
  });

  test("of anybody else, of another tenant or of something else has no span", () => {
    const { traces, entry } = stage();
    traces.fanOut(entry(INBOX))?.delivery.written(JANE);
    expect(traces.ack("acme", "bob", "n1")).toBeUndefined();
    expect(traces.ack("other", "jane", "n1")).toBeUndefined();
    expect(traces.ack("acme", "jane", "n2")).toBeUndefined();
  });

  test("on a node that delivered nothing follows the publish, where the entry is at hand and young", () => {
    const { traces, ended, entry, pass } = stage();
    expect(traces.ack("acme", "jane", "n1")).toBeUndefined();
    traces.ack("acme", "jane", "n1", entry(INBOX))?.end();
    expect(ended).toMatchObject([
      { name: "ack inbox", parentSpanId: PUBLISH, context: { traceId: TRACE }, attributes: { "messaging.operation.type": "settle" } },
    ]);
    pass(6 * MINUTE);
    expect(traces.ack("acme", "jane", "n2", entry(INBOX, "n2"))).toBeUndefined();
    expect(traces.ack("acme", "jane", "n3", entry(INBOX, "n3", "nothing"))).toBeUndefined();
  });

  test("is told once for each user, however often a later one covers it", () => {
    const { traces, ended, entry } = stage();
    const fan = traces.fanOut(entry(CHANNEL));
    fan?.delivery.written(JANE);
    fan?.delivery.passed();
    for (let again = 0; again < 3; again++) {
      traces.ack("acme", "jane", "n1", entry(CHANNEL))?.end();
      traces.ack("acme", "bob", "n1")?.end();
    }
    expect(namesOf(ended)).toEqual(["deliver channel", "ack channel", "ack channel"]);
  });

  test("of the oldest deliveries is forgotten first", () => {
    const { traces, entry } = stage();
    for (let index = 0; index < 8200; index++) traces.fanOut(entry(INBOX, `n${index}`))?.delivery.written(JANE);
    expect(traces.ack("acme", "jane", "n0")).toBeUndefined();
    expect(traces.ack("acme", "jane", "n7")).toBeUndefined();
    expect(traces.ack("acme", "jane", "n8")).toBeDefined();
    expect(traces.ack("acme", "jane", "n8199")).toBeDefined();
  });
});

import { describe, expect, test } from "bun:test";
import type { EndedSpan } from "@nexus/tracing/span.ts";
import { type Begin, type Sampling, Tracer } from "@nexus/tracing/tracer.ts";

const BEGIN: Begin = { name: "publish inbox", kind: "producer", attributes: { "nexus.tenant": "acme" } };
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const remote = (flags: string) => ({ traceparent: `00-${TRACE}-b7ad6b7169203331-${flags}` });

function stage(sampling: Sampling | undefined, random = () => 0.5) {
  const ended: EndedSpan[] = [];
  let now = 1_700_000_000_000;
  let filled = 0;
  const fill = (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length; at++) bytes[at] = (filled++ * 7 + 1) % 251;
  };
  const tracer = new Tracer({ now: () => now, random, fill, ended: (span) => ended.push(span) });
  tracer.configure(sampling);
  return { tracer, ended, pass: (ms: number) => (now += ms) };
}

describe("which traces are recorded", () => {
  test("none while it is off, whoever asks", () => {
    const { tracer } = stage(undefined, () => 0);
    expect(tracer.isOn).toBe(false);
    expect(tracer.root(BEGIN)).toBeUndefined();
    expect(tracer.root(BEGIN, remote("01"))).toBeUndefined();
  });

  test("a share of those that begin here", () => {
    let drawn = 0;
    const { tracer } = stage({ samplePercent: 10, incomingPerSecond: 0 }, () => (drawn++ % 100) / 100);
    const recorded = Array.from({ length: 1000 }, () => tracer.root(BEGIN)).filter((span) => span !== undefined);
    expect(recorded.length).toBe(100);
  });

  test("all at 100 percent, none at 0", () => {
    expect(stage({ samplePercent: 100, incomingPerSecond: 0 }, () => 0.999999).tracer.root(BEGIN)).toBeDefined();
    expect(stage({ samplePercent: 0, incomingPerSecond: 0 }, () => 0).tracer.root(BEGIN)).toBeUndefined();
  });

  test("somebody else's trace as they say, whatever the share", () => {
    const all = stage({ samplePercent: 100, incomingPerSecond: 5 }).tracer;
    expect(all.root(BEGIN, remote("00"))).toBeUndefined();
    const none = stage({ samplePercent: 0, incomingPerSecond: 5 }).tracer;
    expect(none.root(BEGIN, remote("01"))?.context.traceId).toBe(TRACE);
  });

  test("somebody else's trace not more often than the rate", () => {
    const { tracer, pass } = stage({ samplePercent: 0, incomingPerSecond: 5 });
    const ask = () => Array.from({ length: 50 }, () => tracer.root(BEGIN, remote("01"))).filter((span) => span !== undefined).length;
    expect(ask()).toBe(5);
    expect(ask()).toBe(0);
    pass(400);
    expect(ask()).toBe(2);
    pass(3_600_000);
    expect(ask()).toBe(5);
  });

  test("a parent nobody can read is no parent", () => {
    const { tracer } = stage({ samplePercent: 100, incomingPerSecond: 5 });
    const span = tracer.root(BEGIN, { traceparent: "garbage" });
    expect(span?.context.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(span?.context.traceId).not.toBe(TRACE);
  });

  test("from the moment the settings change", () => {
    const { tracer } = stage(undefined);
    tracer.configure({ samplePercent: 100, incomingPerSecond: 1 });
    const open = tracer.root(BEGIN);
    expect(open).toBeDefined();
    tracer.configure(undefined);
    expect(tracer.root(BEGIN)).toBeUndefined();
  });
});

describe("a span", () => {
  test("is told once, with what is known at its end", () => {
    const { tracer, ended, pass } = stage({ samplePercent: 100, incomingPerSecond: 0 });
    const span = tracer.root(BEGIN);
    pass(25);
    span?.end({ "messaging.message.id": "n1" }, "rate_limited");
    span?.end({ late: true });
    expect(ended.length).toBe(1);
    expect(ended[0]).toMatchObject({ name: "publish inbox", kind: "producer", parentSpanId: undefined, error: "rate_limited" });
    expect(ended[0]?.attributes).toEqual({ "nexus.tenant": "acme", "messaging.message.id": "n1", "error.type": "rate_limited" });
    expect((ended[0]?.endMs ?? 0) - (ended[0]?.startMs ?? 0)).toBe(25);
  });

  test("below another has its trace and state, and an id of its own", () => {
    const { tracer, ended } = stage({ samplePercent: 0, incomingPerSecond: 1 });
    const parent = tracer.root(BEGIN, { ...remote("01"), tracestate: "a=b" });
    if (!parent) throw new Error("it was asked for");
    tracer.child(parent.context, BEGIN).end();
    expect(ended[0]?.context).toMatchObject({ traceId: TRACE, state: "a=b" });
    expect(ended[0]?.parentSpanId).toBe(parent.context.spanId);
    expect(ended[0]?.context.spanId).not.toBe(parent.context.spanId);
  });

  test("has an id nobody else has, however many there are", () => {
    const fill = (bytes: Uint8Array) => void crypto.getRandomValues(bytes);
    const tracer = new Tracer({ now: () => 0, random: () => 0, fill, ended: () => undefined });
    const ids = Array.from({ length: 5000 }, () => tracer.apart(BEGIN).context.spanId);
    expect(new Set(ids).size).toBe(5000);
    expect(ids.every((id) => /^[0-9a-f]{16}$/.test(id))).toBe(true);
  });

  test("never has the id that stands for none", () => {
    let filled = 0;
    const tracer = new Tracer({
      now: () => 0,
      random: () => 0,
      fill: (bytes) => void bytes.fill(filled++ === 0 ? 0 : 7),
      ended: () => undefined,
    });
    tracer.configure({ samplePercent: 100, incomingPerSecond: 0 });
    expect(tracer.apart(BEGIN).context).toEqual({ traceId: "07".repeat(16), spanId: "07".repeat(8) });
  });
});

import { describe, expect, test } from "bun:test";
import { carried, carry, MAX_STATE, parseRemote, traceparentOf } from "@nexus/tracing/context.ts";
import fc from "fast-check";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const parent = (flags = "01") => `00-${TRACE}-${SPAN}-${flags}`;

describe("a traceparent", () => {
  test("names trace, span, and whether it is recorded", () => {
    expect(parseRemote({ traceparent: parent() })).toEqual({ traceId: TRACE, spanId: SPAN, isSampled: true });
    expect(parseRemote({ traceparent: parent("00") })?.isSampled).toBe(false);
    expect(parseRemote({ traceparent: parent("03") })?.isSampled).toBe(true);
    expect(parseRemote({ traceparent: parent("02") })?.isSampled).toBe(false);
  });

  test("of a later version may say more", () => {
    expect(parseRemote({ traceparent: `01-${TRACE}-${SPAN}-01-what-ever` })?.traceId).toBe(TRACE);
    expect(parseRemote({ traceparent: `cc-${TRACE}-${SPAN}-01` })?.spanId).toBe(SPAN);
  });

  test.each([
    ["", "empty"],
    [`00-${TRACE}-${SPAN}`, "without flags"],
    [`00-${TRACE}-${SPAN}-01-more`, "version 00 with a fifth part"],
    [`ff-${TRACE}-${SPAN}-01`, "the forbidden version"],
    [`00-${TRACE.toUpperCase()}-${SPAN}-01`, "upper case"],
    [`00-${"0".repeat(32)}-${SPAN}-01`, "no trace"],
    [`00-${TRACE}-${"0".repeat(16)}-01`, "no span"],
    [`00-${TRACE}-${SPAN}-0`, "short flags"],
    [`01-${TRACE}-${SPAN}-01-${"x".repeat(300)}`, "too long"],
  ])("%p is none: %s", (traceparent) => {
    expect(parseRemote({ traceparent })).toBeUndefined();
  });
});

describe("a tracestate", () => {
  const stateOf = (tracestate: string) => parseRemote({ traceparent: parent(), tracestate })?.state;

  test("is carried on without what surrounds its members", () => {
    expect(stateOf("congo=t61rcWkgMzE , rojo=00f067aa0ba902b7,")).toBe("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
  });

  test("is cut after the last member that fits", () => {
    const members = Array.from({ length: 20 }, (_, index) => `k${index}=${"v".repeat(40)}`);
    const state = stateOf(members.join(",")) ?? "";
    expect(state.length).toBeLessThanOrEqual(MAX_STATE);
    expect(members.join(",").startsWith(`${state},`)).toBe(true);
  });

  test.each([["no member"], ["k=v\r\nx: y"], ["K=v"], ["=v"], ["k=\u00e9"], ["k".repeat(3000)], [Array(40).fill("a=b").join(",")]])(
    "%p is dropped, and the parent stays",
    (tracestate) => {
      expect(parseRemote({ traceparent: parent(), tracestate })).toEqual({ traceId: TRACE, spanId: SPAN, isSampled: true });
    },
  );
});

describe("what is kept beside an entry", () => {
  test("is read as it was written", () => {
    for (const context of [
      { traceId: TRACE, spanId: SPAN },
      { traceId: TRACE, spanId: SPAN, state: "a=b c,d=e" },
    ]) {
      expect(carried(carry(context))).toEqual(context);
    }
    expect(carry({ traceId: TRACE, spanId: SPAN })).toBe(traceparentOf({ traceId: TRACE, spanId: SPAN }));
  });

  test("means nothing when it is somebody else's, or nobody records the trace", () => {
    expect(carried("whatever")).toBeUndefined();
    expect(carried(parent("00"))).toBeUndefined();
  });
});

test("whatever somebody writes, what is carried on is short, plain and read again", () => {
  const part = fc.oneof(fc.constantFrom("00", "01", "ff", TRACE, SPAN, "-", " ", "=", ",", "a=b", "\r\n", "\u0000"), fc.string());
  const text = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(""));
  const parents = fc.oneof(text, fc.constant(parent()), fc.constant(parent("00")));
  const check = (traceparent: string, tracestate: string) => {
    const remote = parseRemote({ traceparent, tracestate });
    if (!remote) return;
    const { isSampled: _, ...context } = remote;
    const kept = carry(context);
    expect(kept.length).toBeLessThanOrEqual(55 + 1 + MAX_STATE);
    expect(kept).toMatch(/^[\x20-\x7e]+$/);
    expect(carried(kept)).toEqual(context);
  };
  fc.assert(fc.property(parents, text, check), { numRuns: 2000 });
});

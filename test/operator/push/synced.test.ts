// Why: `Synced` is what people wait for; it must come once, stay, and name who holds it up.
import { describe, expect, test } from "bun:test";
import {
  acknowledgementOf,
  type Latch,
  type LatchView,
  lateAtMs,
  openLatch,
  type PodAnswer,
  stepLatch,
} from "@nexus/operator/loop/synced.ts";
import { ACKNOWLEDGE_MS, syncedJudgement } from "@nexus/operator/status/synced.ts";

const view = (nowMs: number, pods: Readonly<Record<string, PodAnswer>>): LatchView => ({
  nowMs,
  ready: new Map(Object.keys(pods).map((uid) => [uid, { name: `name-${uid}` }])),
  answer: (uid) => pods[uid] ?? "silent",
});
const judgeLatch = (latch: Latch, seen: LatchView) =>
  syncedJudgement({ acknowledgement: acknowledgementOf(latch, seen), previous: undefined, generation: 1, nowMs: seen.nowMs });
const pending = (step: ReturnType<typeof stepLatch>) => {
  if (step === "acknowledged") throw new Error("acknowledged too early");
  return step;
};

describe("the latch", () => {
  test("closes when every pod that was ready has answered, and not before", () => {
    const opened = openLatch(view(0, { a: "silent", b: "silent" }));
    const half = pending(stepLatch(opened, view(1, { a: "acknowledged", b: "silent" })));
    expect(judgeLatch(half, view(1, { a: "acknowledged", b: "silent" }))).toMatchObject({ status: "Unknown", reason: "PushPending" });
    expect(stepLatch(half, view(2, { a: "acknowledged", b: "acknowledged" }))).toBe("acknowledged");
  });

  test("does not wait for pods that came later, nor for those that are ready no more", () => {
    const opened = openLatch(view(0, { a: "silent", b: "silent" }));
    expect(stepLatch(opened, view(1, { a: "acknowledged", c: "silent" }))).toBe("acknowledged");
  });

  test("keeps a word that was given, even when the pod forgets it in a restart", () => {
    const opened = openLatch(view(0, { a: "silent", b: "silent" }));
    const half = pending(stepLatch(opened, view(1, { a: "acknowledged", b: "silent" })));
    expect(stepLatch(half, view(2, { a: "silent", b: "acknowledged" }))).toBe("acknowledged");
  });

  test("is the same object while nothing changed", () => {
    const opened = openLatch(view(0, { a: "silent" }));
    expect(stepLatch(opened, view(1, { a: "silent", b: "silent" }))).toBe(opened);
    const empty = openLatch(view(0, {}));
    expect(stepLatch(empty, view(1, {}))).toBe(empty);
  });

  test("without ready pods waits for the first ones, and gives them their own 30 s", () => {
    const empty = openLatch(view(0, {}));
    expect(judgeLatch(empty, view(99_000, {}))).toMatchObject({ reason: "NoReadyPods" });
    expect(lateAtMs(empty)).toBeUndefined();
    const first = pending(stepLatch(empty, view(99_000, { a: "silent" })));
    expect(judgeLatch(first, view(99_000 + ACKNOWLEDGE_MS - 1, { a: "silent" })).reason).toBe("PushPending");
    expect(lateAtMs(first)).toBe(99_000 + ACKNOWLEDGE_MS);
    expect(stepLatch(empty, view(99_000, { a: "acknowledged" }))).toBe("acknowledged");
  });

  test("asks the pods that are ready now when all awaited ones went without a word", () => {
    const opened = openLatch(view(0, { a: "silent" }));
    const next = pending(stepLatch(opened, view(10, { b: "silent" })));
    expect([...(next.awaited ?? [])]).toEqual(["b"]);
    const none = pending(stepLatch(opened, view(10, {})));
    expect(none.awaited).toBeUndefined();
  });

  test("says who is silent after 30 s, and still closes later", () => {
    const pods = { d: "silent", c: "silent", b: "silent", a: "silent", e: "acknowledged" } as const;
    const opened = pending(stepLatch(openLatch(view(0, pods)), view(0, pods)));
    expect(judgeLatch(opened, view(ACKNOWLEDGE_MS - 1, pods)).status).toBe("Unknown");
    expect(judgeLatch(opened, view(ACKNOWLEDGE_MS, pods))).toMatchObject({
      status: "False",
      reason: "PodsNotAcknowledged",
      message: expect.stringContaining("name-a, name-b"),
    });
    const all = Object.fromEntries(Object.keys(pods).map((uid) => [uid, "acknowledged"] as const));
    expect(stepLatch(opened, view(ACKNOWLEDGE_MS * 3, all))).toBe("acknowledged");
  });

  test("says a refusal at once", () => {
    const opened = openLatch(view(0, { a: "silent" }));
    const seen = view(1, { a: { refused: "/spec: no" } });
    expect(judgeLatch(pending(stepLatch(opened, seen)), seen)).toMatchObject({
      status: "False",
      message: "a pod refused it: name-a: /spec: no",
    });
  });
});

// Why: the age of what a pod lacks is what somebody is woken by: it must neither start anew with each edit nor count what is well.
import { expect, test } from "bun:test";
import { PushLag } from "@nexus/operator/loop/push-lag.ts";

/** A ready pod that has everything at time 0. */
function current(): PushLag {
  const lag = new PushLag(0);
  lag.ready(true, 0);
  lag.sent();
  lag.taken();
  return lag;
}

test("a new pod is behind from its first moment, as soon as it is ready", () => {
  const lag = new PushLag(0);
  expect(lag.ageMs(500)).toBe(0);
  lag.ready(true, 1_000);
  expect(lag.ageMs(1_500)).toBe(500);
  lag.ready(true, 1_600);
  expect(lag.ageMs(2_000)).toBe(1_000);
});

test("a pod that took everything is not behind", () => {
  expect(current().ageMs(60_000)).toBe(0);
});

test("newer changes do not make it younger, whether they come before, during or after a push that is lost", () => {
  const lag = current();
  lag.changed(1_000);
  lag.changed(2_000);
  lag.sent();
  lag.changed(3_000);
  expect(lag.ageMs(4_000)).toBe(3_000);
  lag.notTaken();
  lag.changed(5_000);
  expect(lag.ageMs(6_000)).toBe(5_000);
});

test("a push that is taken leaves the age of what came during it", () => {
  const lag = current();
  lag.changed(1_000);
  lag.sent();
  lag.changed(3_000);
  lag.taken();
  expect(lag.ageMs(4_000)).toBe(1_000);
  lag.sent();
  lag.taken();
  expect(lag.ageMs(9_000)).toBe(0);
});

test("steady changes that are taken within a second are never older than that", () => {
  const lag = current();
  let oldest = 0;
  for (let ms = 0; ms < 600_000; ms += 500) {
    lag.changed(ms);
    if (ms % 1_000 === 0) lag.sent();
    else lag.taken();
    oldest = Math.max(oldest, lag.ageMs(ms));
  }
  expect(oldest).toBeLessThanOrEqual(1_000);
});

test("time in which it was not ready does not count", () => {
  const lag = current();
  lag.changed(1_000);
  lag.ready(false, 2_000);
  expect(lag.ageMs(60_000)).toBe(0);
  lag.ready(true, 100_000);
  expect(lag.ageMs(101_000)).toBe(1_000);
});

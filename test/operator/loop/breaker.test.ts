// Why: one cluster in trouble must neither take all workers nor be given up, and an outage of the API server is nobody's trouble.
import { expect, test } from "bun:test";
import { Breakers, FAILURES_TO_OPEN } from "@nexus/operator/loop/breaker.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import { WorkQueue } from "@nexus/operator/loop/queue.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

const refused = new KubeError({ status: 403, reason: "Forbidden", message: "no" });

function open(most = 3) {
  const clock = new ManualClock();
  const gauges: number[] = [];
  const breakers = new Breakers({
    ...{ clock, random: () => 0.5, most, onChange: () => queue.serve() },
    gauge: (count) => gauges.push(count),
  });
  const queue: WorkQueue<string> = new WorkQueue<string>({
    ...{ clock, random: () => 0.5 },
    groups: { of: (key) => key.split("/")[0] ?? "", most: (group) => breakers.most(group) },
  });
  return { clock, breakers, queue, gauges };
}
const fail = (breakers: Breakers, times: number, error: unknown = refused) => {
  for (let at = 0; at < times; at++) breakers.failed("bad", error);
};

test("clusters take turns, and none has more than its share", async () => {
  const { queue } = open(2);
  for (let at = 0; at < 100; at++) queue.add(`big/${at}`, 0);
  queue.add("small/0", 0);
  const taken = [await queue.take(), await queue.take(), await queue.take()].map((item) => item?.key);
  expect(taken).toEqual(["big/0", "small/0", "big/1"]);
  const waiting = queue.take();
  queue.add("small/1", -100);
  expect((await waiting)?.key).toBe("small/1"); // although keys of a higher priority wait for their cluster's turn
  const next = queue.take();
  queue.done("big/0");
  expect((await next)?.key).toBe("big/2");
});

test("a row of failures holds a cluster back, one try finds out, and the next row waits longer", async () => {
  const { clock, breakers, gauges } = open();
  fail(breakers, FAILURES_TO_OPEN - 1);
  expect(breakers.most("bad")).toBe(3);
  fail(breakers, 1);
  expect([breakers.most("bad"), breakers.most("good")]).toEqual([0, 3]);
  await clock.advance(1_500);
  expect(breakers.most("bad")).toBe(1);
  fail(breakers, 1);
  expect(breakers.most("bad")).toBe(0);
  await clock.advance(1_500);
  expect(breakers.most("bad")).toBe(0);
  await clock.advance(500);
  expect(breakers.most("bad")).toBe(1);
  breakers.succeeded("bad");
  expect(breakers.most("bad")).toBe(3);
  expect(gauges).toEqual([1, 1, 1, 1, 0]);
});

test("one pass that goes well ends a row", () => {
  const { breakers } = open();
  fail(breakers, FAILURES_TO_OPEN - 1);
  breakers.succeeded("bad");
  fail(breakers, FAILURES_TO_OPEN - 1);
  expect(breakers.most("bad")).toBe(3);
});

test.each([0, 409, 429, 503])("an answer %i is not the cluster's fault", (status) => {
  const { breakers } = open();
  fail(breakers, 100, new KubeError({ status, reason: "Timeout", message: "later" }));
  expect(breakers.most("bad")).toBe(3);
});

test("what waits behind a cluster that was held back is worked on when it may be", async () => {
  const { clock, breakers, queue } = open();
  fail(breakers, FAILURES_TO_OPEN);
  const next = queue.take();
  queue.add("bad/1");
  expect(queue.depth).toBe(1);
  await clock.advance(1_500);
  expect((await next)?.key).toBe("bad/1");
});

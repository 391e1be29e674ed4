// Why: a probe that never fails keeps a dead operator alive, and one that fails without reason kills a working one.
import { expect, test } from "bun:test";
import { startElector } from "@nexus/operator/kube/lease.ts";
import { createOperatorMetrics } from "@nexus/operator/kube/metrics.ts";
import { startOps } from "@nexus/operator/kube/ops.ts";
import { stuck } from "@nexus/operator/loop/health.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import { WorkQueue } from "@nexus/operator/loop/queue.ts";
import { runWorkers } from "@nexus/operator/loop/workers.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

const well = { underWay: [], leaseTriedMs: 2_000, leaseMs: 15_000 };

test("all goes on: nothing is said", () => {
  expect(stuck(well)).toEqual([]);
  expect(stuck({ ...well, underWay: [{ key: "cluster:shop/main", forMs: 300_000 }], leaseTriedMs: 75_000 })).toEqual([]);
  expect(stuck({ ...well, leaseTriedMs: undefined })).toEqual([]);
});

test("a pass that never ends is told by name, through the port that the kubelet asks", async () => {
  const clock = new ManualClock();
  const queue = new WorkQueue<string>({ clock, random: () => 0 });
  const { promise: never, resolve: release } = Promise.withResolvers<void>();
  const running = runWorkers({
    queue,
    workers: 2,
    reconcile: async (key) => {
      if (key === "cluster:shop/stuck") await never;
      return { kind: "done" };
    },
    onFailure: () => undefined,
  });
  let missing = ["no list of every Secret yet: not allowed", "discovery has not answered yet"];
  const ops = startOps({
    port: 0,
    metrics: createOperatorMetrics("test"),
    stuck: () => stuck({ ...well, underWay: queue.underWay() }),
    missing: () => missing,
    isLeading: () => false,
  });
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${ops.port}${path}`);
    return { status: answer.status, text: await answer.text() };
  };
  queue.add("cluster:shop/stuck");
  queue.add("cluster:shop/well");
  await clock.advance(300_000);
  expect(await ask("/healthz")).toEqual({ status: 200, text: "ok\n" });
  await clock.advance(1_000);
  expect(await ask("/healthz")).toEqual({ status: 503, text: "the pass over cluster:shop/stuck runs for 301 s\n" });
  release();
  await clock.advance(1);
  expect((await ask("/healthz")).status).toBe(200);
  expect(await ask("/readyz")).toEqual({ status: 503, text: `${missing.join("\n")}\n` });
  missing = [];
  expect(await ask("/readyz")).toEqual({ status: 200, text: "ok\nstandby\n" });
  expect((await ask("/other")).status).toBe(404);
  await queue.shutDown();
  await running;
  await ops.stop();
});

test("an API server that is away is no reason to die: the Lease is tried again and again", async () => {
  const clock = new ManualClock();
  const away = async () => {
    throw new KubeError({ status: 0, reason: "Network", message: "connection refused" });
  };
  const elector = startElector({
    api: { get: away, create: away, update: away },
    namespace: "n",
    name: "l",
    identity: "me",
    clock,
    random: () => 0,
  });
  for (let minute = 0; minute < 30; minute++) {
    await clock.advance(60_000);
    expect(stuck({ ...well, leaseTriedMs: clock.monotonicMs() - elector.triedMs() })).toEqual([]);
  }
  await elector.release();
});

test("a Lease whose call never comes back is told: no deadline held", async () => {
  const clock = new ManualClock();
  const { promise: never, reject } = Promise.withResolvers<never>();
  const hangs = () => never;
  const elector = startElector({ api: { get: hangs, create: hangs, update: hangs }, namespace: "n", name: "l", identity: "me", clock });
  await clock.advance(75_000);
  const seen = () => stuck({ ...well, leaseTriedMs: clock.monotonicMs() - elector.triedMs() });
  expect(seen()).toEqual([]);
  await clock.advance(1_000);
  expect(seen()).toEqual(["the Lease was not tried for 76 s"]);
  reject(new Error("the test ends"));
  await elector.release();
});

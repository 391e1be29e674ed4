// Why: every pod must end at the same bundle whatever happens on the way; each way it can go wrong is provoked here.

import { describe, expect, test } from "bun:test";
import { storedOf } from "@nexus/operator/loop/boot-bucket.ts";
import { EMPTY_BUCKET, makeBuckets } from "@nexus/protocol/bundle.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { CLUSTER, entryOf, FakeLeadership, keyOf, openStage, syncedOf } from "./stage.ts";

const many = (count: number) => Array.from({ length: count }, (_, index) => entryOf(`t${index}`));

describe("a bundle reaches every pod", () => {
  test("whole at first, then only what changed", async () => {
    await using stage = await openStage();
    stage.pusher.change(CLUSTER, { put: many(300) });
    await stage.settled();
    const before = stage.pods.map((pod) => pod.received.length);
    stage.pusher.change(CLUSTER, { put: [entryOf("t7", "new", 2)], remove: [keyOf("t8")] });
    await stage.settled();
    for (const [index, pod] of stage.pods.entries()) {
      const after = pod.received.slice(before[index]);
      const buckets = after.flatMap(({ push }) => push.buckets);
      expect(buckets.map((bucket) => bucket.full)).toEqual(buckets.map(() => false));
      expect(buckets.flatMap((bucket) => bucket.entries.map((entry) => entry.id))).toEqual(["acme/t7"]);
      expect(buckets.flatMap((bucket) => bucket.removed)).toEqual([keyOf("t8")]);
      expect(pod.entry(keyOf("t7"))?.generation).toBe(2);
      expect(pod.entry(keyOf("t8"))).toBeUndefined();
      expect(pod.size()).toBe(299);
      expect(pod.received.map(({ status }) => status)).toEqual(pod.received.map(() => 200));
    }
    expect(stage.pusher.state(CLUSTER)).toMatchObject({ podsSynced: 3, podsTotal: 3, digest: stage.pods[0]?.digest() });
  });

  test("but not before somebody said what the whole bundle is: nobody is wiped by an operator that knows nothing yet", async () => {
    const clock = new ManualClock();
    await using stage = await openStage({ pods: 2, isKnown: false, clock });
    for (const pod of stage.pods) pod.restart(many(30));
    for (const bucket of makeBuckets(many(10))) stage.pusher.load(CLUSTER, storedOf(bucket));
    stage.pusher.change(CLUSTER, { put: [entryOf("t0", "new", 2)] });
    await clock.advance(120_000);
    expect(stage.pods.map((pod) => [pod.asked, pod.received.length])).toEqual([
      [0, 0],
      [0, 0],
    ]);
    stage.pusher.replace(CLUSTER, many(31));
    await eventually("they have it whole", async () => {
      await clock.advance(20);
      return stage.pusher.state(CLUSTER).podsSynced === 2;
    });
    expect(stage.pods.map((pod) => pod.size())).toEqual([31, 31]);
    expect(stage.of("failed")).toEqual([]);
  });

  test("over IPv6 as well", async () => {
    await using stage = await openStage({ pods: 1, ip: "::1" });
    stage.pusher.change(CLUSTER, { put: many(5) });
    await stage.settled();
    expect(stage.pods[0]?.size()).toBe(5);
  });

  test("and a pod that has it already is only told so", async () => {
    await using stage = await openStage({ pods: 0 });
    stage.pusher.change(CLUSTER, { put: many(40) });
    const pod = await stage.addPod();
    pod.restart(many(40));
    stage.pusher.setPods(
      CLUSTER,
      stage.podList((one) => ({ ...one, ready: false })),
    );
    await eventually("it is confirmed", () => pod.confirmed);
    expect(pod.received.flatMap(({ push }) => push.buckets)).toEqual([]);
    expect(stage.pusher.state(CLUSTER)).toMatchObject({ podsSynced: 0, podsTotal: 0 });
  });

  test("in order: sequences only grow, one request at a time", async () => {
    await using stage = await openStage({ pods: 2 });
    for (let round = 0; round < 50; round++) {
      stage.pusher.change(CLUSTER, { put: [entryOf("a", `text ${round}`, round)] });
      await Promise.resolve();
      if (round % 10 === 0) await stage.settled();
    }
    await stage.settled();
    for (const pod of stage.pods) {
      const sequences = pod.received.map(({ push }) => push.sequence);
      expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
      expect(new Set(sequences).size).toBe(sequences.length);
      expect(pod.entry(keyOf("a"))?.generation).toBe(49);
    }
    expect(stage.of("mismatch")).toEqual([]);
  });
});

describe("a pod that is not where it was left", () => {
  test("a restarted pod (409) gets the whole bucket with the next edit", async () => {
    await using stage = await openStage({ pods: 2 });
    stage.pusher.change(CLUSTER, { put: many(200) });
    await stage.settled();
    const [pod] = stage.pods;
    const before = pod!.received.length;
    pod!.restart();
    stage.pusher.change(CLUSTER, { put: [entryOf("t1", "new", 2)] });
    await stage.settled();
    expect(stage.of("mismatch")).toHaveLength(1);
    const answers = pod!.received.slice(before);
    expect(answers[0]?.status).toBe(409);
    expect(
      answers
        .slice(1)
        .flatMap(({ push }) => push.buckets)
        .find((bucket) => bucket.entries.some((entry) => entry.id === "acme/t1"))?.full,
    ).toBe(true);
    expect(pod!.size()).toBe(200);
  });

  test("a container restart that Kubernetes tells of is repaired at once, without any edit", async () => {
    await using stage = await openStage({ pods: 2 });
    stage.pusher.change(CLUSTER, { put: many(200) });
    await stage.settled();
    stage.pods[1]!.restart();
    stage.pusher.setPods(
      CLUSTER,
      stage.podList((pod, index) => ({ ...pod, restarts: index })),
    );
    await eventually("it is whole again", () => stage.pods[1]!.size() === 200 && stage.pods[1]!.confirmed);
    expect(stage.pods[1]!.received.at(-1)?.push.buckets.every((bucket) => bucket.full || bucket.from !== EMPTY_BUCKET)).toBe(true);
  });

  test("a pod that never answers is asked again and again, and nobody waits for it", async () => {
    await using stage = await openStage({ pods: 3, requestMs: 200 });
    stage.pods[0]!.mute(true);
    stage.pusher.change(CLUSTER, { put: many(20) });
    const startedMs = performance.now();
    await eventually("the others have it", () => stage.pods.slice(1).every((pod) => pod.size() === 20));
    const othersMs = performance.now() - startedMs;
    await eventually("its silence is noted twice", () => stage.of("failed").length >= 2);
    expect(stage.of("failed")[0]).toMatchObject({ pod: "live-server-0", error: { reason: "Timeout" } });
    expect(stage.pusher.state(CLUSTER)).toMatchObject({ podsSynced: 2, podsTotal: 3 });
    console.log(`one of three pods silent: the others had the bundle after ${othersMs.toFixed(0)} ms`);
    stage.pods[0]!.mute(false);
    await stage.settled();
  });

  test("a pod that is not there yet is told as soon as it listens", async () => {
    await using stage = await openStage({ pods: 1 });
    stage.pusher.change(CLUSTER, { put: many(3) });
    await stage.settled();
    const pods = [...stage.podList(), { uid: "later", name: "later", ip: "127.0.0.1", port: 1, ready: false }];
    stage.pusher.setPods(CLUSTER, pods);
    await eventually("it was tried", () => stage.of("failed").length > 0);
    expect(stage.of("failed")[0]).toMatchObject({ pod: "later", error: { reason: "Network" } });
    const pod = await stage.addPod();
    stage.pusher.setPods(CLUSTER, [stage.podList()[0]!, { ...pods[1]!, ip: pod.ip, port: pod.port }]);
    await eventually("it has the bundle", () => pod.size() === 3 && pod.confirmed);
  });

  test("a pod that goes away is forgotten", async () => {
    await using stage = await openStage({ pods: 2 });
    stage.pusher.change(CLUSTER, { put: many(3) });
    await stage.settled();
    stage.pusher.setPods(CLUSTER, stage.podList().slice(0, 1));
    stage.pusher.change(CLUSTER, { put: [entryOf("t0", "new", 2)] });
    await eventually("the first has the edit", () => stage.pods[0]!.entry(keyOf("t0"))?.generation === 2);
    expect(stage.pods[1]!.entry(keyOf("t0"))?.generation).toBe(1);
    expect(stage.pusher.state(CLUSTER).pods).toHaveLength(1);
  });
});

describe("fencing", () => {
  test("a leader that lost the Lease is refused and stops; the pods keep the new leader's word", async () => {
    await using stage = await openStage({ pods: 2, leadership: new FakeLeadership(100n) });
    stage.pusher.change(CLUSTER, { put: [entryOf("a", "old leader")] });
    await stage.settled();
    const rival = stage.rival(new FakeLeadership(200n));
    rival.change(CLUSTER, { put: [entryOf("a", "new leader", 2)] });
    await eventually("the new leader was heard", () => stage.pods.every((pod) => pod.entry(keyOf("a"))?.generation === 2));
    stage.leadership.next = undefined;
    stage.pusher.change(CLUSTER, { put: [entryOf("a", "a paused process wakes up", 3)] });
    await eventually("it was refused", () => stage.of("stale").length > 0);
    expect(stage.of("stale").every((event) => !event.raised)).toBe(true);
    expect(stage.pods.map((pod) => [pod.entry(keyOf("a"))?.generation, pod.fence().term])).toEqual([
      [2, "200"],
      [2, "200"],
    ]);
    expect(stage.leadership.current).toBeUndefined();
  });

  test("a leader that still holds the Lease raises its term once, for all pods", async () => {
    await using stage = await openStage({ pods: 3, leadership: new FakeLeadership(100n) });
    stage.pusher.change(CLUSTER, { put: [entryOf("a")] });
    await stage.settled();
    for (const pod of stage.pods) pod.hear("150", 9);
    stage.leadership.next = 160n;
    stage.pusher.change(CLUSTER, { put: [entryOf("a", "new", 2)] });
    await stage.settled();
    expect(stage.leadership.raised).toBe(1);
    expect(stage.pods.map((pod) => pod.fence().term)).toEqual(["160", "160", "160"]);
    expect(stage.of("reset")).toEqual([]);
  });

  test("after an etcd restore terms are lower: the pods are told to accept that, once each", async () => {
    await using stage = await openStage({ pods: 2, leadership: new FakeLeadership(100n) });
    for (const pod of stage.pods) pod.hear("99999", 7);
    stage.leadership.next = 101n;
    stage.pusher.change(CLUSTER, { put: [entryOf("a")] });
    await stage.settled();
    expect(stage.of("reset").length).toBe(2);
    for (const pod of stage.pods) {
      expect(pod.received.filter(({ push }) => push.reset)).toHaveLength(1);
      expect(pod.fence().term).not.toBe("99999");
    }
    stage.pusher.change(CLUSTER, { put: [entryOf("a", "new", 2)] });
    await stage.settled();
    expect(stage.of("reset").length).toBe(2);
  });

  test("nothing is sent without the lead, nor in the last moments of it", async () => {
    await using stage = await openStage({ pods: 1, leadership: new FakeLeadership(undefined) });
    stage.pusher.change(CLUSTER, { put: [entryOf("a")] });
    Object.assign(stage.leadership, { current: 5n, budget: 0 });
    const rival = stage.rival(new FakeLeadership(9n));
    rival.change(CLUSTER, { put: [entryOf("b")] });
    await eventually("the leader was heard", () => stage.pods[0]!.entry(keyOf("b")) !== undefined);
    expect(stage.pods[0]!.received.map(({ push }) => push.term)).not.toContain("5");
    expect(stage.of("pushed")).toEqual([]);
    stage.leadership.budget = 10_000;
    stage.leadership.next = 10n;
    await eventually("it pushes when it leads", () => stage.pods[0]!.entry(keyOf("a")) !== undefined);
  });
});

describe("answers", () => {
  test("an entry a pod cannot use is reported for that version alone, and the next version is acknowledged", async () => {
    await using stage = await openStage({ pods: 2 });
    stage.pods[1]!.refuse(keyOf("bad"), "/spec/engine: unknown");
    stage.pusher.change(CLUSTER, { put: [entryOf("bad"), entryOf("good")] });
    await eventually("the refusal is known", () => syncedOf(stage.pusher, "bad").status === "False");
    expect(syncedOf(stage.pusher, "bad")).toMatchObject({
      status: "False",
      reason: "PodsNotAcknowledged",
      message: "a pod refused it: live-server-1: /spec/engine: unknown",
    });
    await eventually("the other is acknowledged", () => syncedOf(stage.pusher, "good").status === "True");
    expect(stage.of("rejected")).toEqual([{ kind: "rejected", cluster: CLUSTER, pod: "live-server-1", entries: [keyOf("bad")] }]);
    expect(stage.pusher.state(CLUSTER).pods.map((pod) => pod.rejected)).toEqual([[], [keyOf("bad")]]);
    stage.pods[1]!.refuse(keyOf("bad"), undefined);
    stage.pusher.change(CLUSTER, { put: [entryOf("bad", "better", 2)] });
    await eventually("acknowledged", () => syncedOf(stage.pusher, "bad", 2).status === "True");
  });

  test("listeners hear which verdicts moved, and a scale-up moves none", async () => {
    await using stage = await openStage({ pods: 2 });
    const moved: string[] = [];
    stage.pusher.onChange((_cluster, keys) => moved.push(...keys));
    stage.pusher.change(CLUSTER, { put: many(100) });
    await stage.settled();
    await eventually("all were told of", () => new Set(moved).size === 100);
    expect(moved.length).toBe(100);
    for (let more = 0; more < 5; more++) await stage.addPod();
    stage.pusher.setPods(CLUSTER, stage.podList());
    await stage.settled();
    expect(moved.length).toBe(100);
    expect(syncedOf(stage.pusher, "t5")).toMatchObject({ status: "True" });
  });

  test("from edit to acknowledgement of three pods", async () => {
    await using stage = await openStage({ pods: 3 });
    stage.pusher.change(CLUSTER, { put: many(1000) });
    await stage.settled();
    const times: number[] = [];
    for (let round = 2; round < 52; round++) {
      const startedMs = performance.now();
      stage.pusher.change(CLUSTER, { put: [entryOf("t500", `edit ${round}`, round)] });
      await eventually("acknowledged", () => syncedOf(stage.pusher, "t500", round).status === "True", { intervalMs: 1 });
      times.push(performance.now() - startedMs);
    }
    times.sort((a, b) => a - b);
    console.log(`edit to acknowledgement by 3 pods over TLS: p50 ${times[25]?.toFixed(1)} ms, max ${times.at(-1)?.toFixed(1)} ms`);
    expect(stage.of("failed")).toEqual([]);
  }, 60_000);
});

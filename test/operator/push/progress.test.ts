// Why: "how old is what a ready pod lacks" has to be right in the cases in which nothing moves: no credentials, no bundle, no answer.
import { expect, test } from "bun:test";
import { AdminError, type AdminPort } from "@nexus/operator/loop/push-ports.ts";
import { createPusher, type PodView } from "@nexus/operator/loop/pusher.ts";
import { BUCKET_COUNT, BUNDLE_FORMAT, bundleDigest, EMPTY_BUCKET } from "@nexus/protocol/bundle.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { CLUSTER, entryOf, FakeLeadership } from "./stage.ts";

const TARGET = { key: CLUSTER, serverName: "admin.live.prod.nexus", ca: "", token: "t", port: 9091 };
const podOf = (name: string, ready = true): PodView => ({ uid: name, name, address: name, ready, restarts: 0 });

/** Pods that hold nothing and take every push, but for those that are `dead`. */
function setup() {
  const clock = new ManualClock();
  const dead = new Set<string>();
  const pushed: number[] = [];
  const refuse = (ip: string) => {
    if (dead.has(ip)) throw new AdminError("Timeout", "no answer in time");
  };
  const admin: AdminPort = {
    async status({ ip }) {
      refuse(ip);
      const buckets = Array.from({ length: BUCKET_COUNT }, () => EMPTY_BUCKET);
      return {
        ...{
          version: "1",
          cluster: CLUSTER,
          bundle_formats: [BUNDLE_FORMAT],
          buckets,
          digest: bundleDigest(buckets),
          term: "0",
          sequence: 0,
        },
        ...{ ready: true, draining: false, sessions: 0, uptime_seconds: 1 },
      };
    },
    async push({ ip }, { digest }) {
      refuse(ip);
      return { kind: "taken", result: { digest, rejected: [] } };
    },
  };
  const leadership = new FakeLeadership();
  const pusher = createPusher({
    ...{ admin, leadership, clock, random: () => 0.5, onChange: () => undefined },
    onPushed: ({ seconds }) => pushed.push(seconds),
  });
  const age = () => pusher.progress(CLUSTER).oldestSeconds;
  return { clock, pusher, dead, pushed, age, leadership };
}

test("nobody ready, nothing known: nothing is behind", async () => {
  const { clock, pusher, age } = setup();
  expect(pusher.progress("no/such")).toEqual({ podsSynced: 0, podsTotal: 0, oldestSeconds: 0 });
  pusher.setPods(CLUSTER, [podOf("a", false)]);
  await clock.advance(600_000);
  expect(age()).toBe(0);
});

test("ready pods that cannot be told, for want of credentials or of a bundle, grow old", async () => {
  const { clock, pusher, age } = setup();
  pusher.setPods(CLUSTER, [podOf("a")]);
  await clock.advance(10_000);
  expect(age()).toBe(10);
  pusher.setTarget(TARGET);
  await clock.advance(5_000);
  expect(pusher.progress(CLUSTER)).toEqual({ podsSynced: 0, podsTotal: 1, oldestSeconds: 15 });
  pusher.setEntries(CLUSTER, [entryOf("hello")]);
  await clock.advance(100);
  expect(pusher.progress(CLUSTER)).toEqual({ podsSynced: 1, podsTotal: 1, oldestSeconds: 0 });
});

test("one pod of three that does not answer makes the cluster as old as what it lacks, until it is gone or took it", async () => {
  const { clock, pusher, dead, pushed, age } = setup();
  pusher.setTarget(TARGET);
  pusher.setPods(
    CLUSTER,
    ["a", "b", "c"].map((name) => podOf(name)),
  );
  pusher.setEntries(CLUSTER, [entryOf("hello")]);
  await clock.advance(1_000);
  expect([age(), pushed.length]).toEqual([0, 3]);

  dead.add("b");
  for (let generation = 2; generation < 12; generation++) {
    pusher.change(CLUSTER, { put: [entryOf("hello", `edit ${generation}`, generation)] });
    await clock.advance(10_000);
  }
  expect(pusher.progress(CLUSTER)).toMatchObject({ podsSynced: 2, podsTotal: 3 });
  expect(age()).toBe(100);

  dead.delete("b");
  await clock.advance(11_000);
  expect(pusher.progress(CLUSTER)).toEqual({ podsSynced: 3, podsTotal: 3, oldestSeconds: 0 });

  dead.add("b");
  pusher.change(CLUSTER, { put: [entryOf("hello", "last", 20)] });
  await clock.advance(30_000);
  expect(age()).toBe(30);
  pusher.setPods(CLUSTER, [podOf("a"), podOf("c")]);
  expect(age()).toBe(0);
});

test("a leader that lost the lead pushes nothing, and says how old everything is", async () => {
  const { clock, pusher, leadership, age } = setup();
  pusher.setTarget(TARGET);
  pusher.setPods(CLUSTER, [podOf("a")]);
  pusher.setEntries(CLUSTER, [entryOf("hello")]);
  await clock.advance(1_000);
  leadership.budget = 0;
  pusher.change(CLUSTER, { put: [entryOf("hello", "edit", 2)] });
  await clock.advance(20_000);
  expect(age()).toBe(20);
});

// Why: the time until an edit is live is a promise; one that measures something else would hide that it is broken.
import { expect, test } from "bun:test";
import { LiveTimes } from "@nexus/operator/loop/live-times.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

type Known = { uid: string; generation: number; acknowledged: boolean };

function setup(most?: number) {
  const clock = new ManualClock();
  const marks = new Map<string, Known>();
  const seconds: number[] = [];
  const fleet = { isReady: true };
  const live = new LiveTimes({
    clock,
    mark: (cluster, entryKey) => marks.get(`${cluster} ${entryKey}`),
    hasReadyPods: () => fleet.isReady,
    observe: (one) => seconds.push(one),
    ...(most === undefined ? {} : { most }),
  });
  const edit = (name: string, generation: number) => live.seen(`template:${name}`, { metadata: { uid: name, generation } }, "shop/main");
  const say = (name: string, generation: number, acknowledged: boolean) => {
    marks.set(`shop/main entry-${name}`, { uid: name, generation, acknowledged });
    live.answered(`template:${name}`, "shop/main", `entry-${name}`);
  };
  return { clock, live, fleet, seconds, edit, say };
}

test("measures from the edit to the word of the last pod, once", async () => {
  const { clock, seconds, edit, say } = setup();
  edit("hello", 2);
  await clock.advance(200);
  say("hello", 2, false);
  await clock.advance(300);
  say("hello", 2, true);
  say("hello", 2, true);
  expect(seconds).toEqual([0.5]);
});

test("the word on an older version is not the word on the edit, and a newer edit replaces an older", async () => {
  const { clock, seconds, edit, say } = setup();
  edit("hello", 2);
  say("hello", 1, true);
  await clock.advance(1_000);
  edit("hello", 3);
  await clock.advance(1_000);
  say("hello", 2, true);
  expect(seconds).toEqual([]);
  say("hello", 3, true);
  expect(seconds).toEqual([1]);
});

test("an object made anew under the same name is another one", () => {
  const { live, seconds, edit, say } = setup();
  edit("hello", 1);
  live.forget("template:hello");
  say("hello", 1, true);
  expect(seconds).toEqual([]);
});

test("without a ready pod nobody waits: nothing is measured when one comes hours later", async () => {
  const { clock, seconds, fleet, edit, say } = setup();
  fleet.isReady = false;
  edit("hello", 2);
  await clock.advance(3_600_000);
  say("hello", 2, true);
  expect(seconds).toEqual([]);
});

test("edits that are never live do not pile up: the oldest is given up", () => {
  const { seconds, edit, say } = setup(2);
  for (const name of ["a", "b", "c"]) edit(name, 1);
  for (const name of ["a", "b", "c"]) say(name, 1, true);
  expect(seconds).toHaveLength(2);
});

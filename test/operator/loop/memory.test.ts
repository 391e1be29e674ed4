// Why: collecting too rarely ends at the pod's memory limit, too often in passes that wait.
import { expect, test } from "bun:test";
import { keepSmall } from "@nexus/operator/loop/memory.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

const MiB = 1024 * 1024;

test("collects when the process has grown by 64 MiB, at most every five seconds, and not while it is small", async () => {
  const clock = new ManualClock();
  let [bytes, collections] = [100 * MiB, 0];
  const collect = () => {
    collections++;
    bytes -= 50 * MiB;
  };
  const stop = keepSmall({ clock, residentBytes: () => bytes, collect });
  const grow = async (mebibytes: number, ms: number) => {
    bytes += mebibytes * MiB;
    await clock.advance(ms);
    return collections;
  };
  expect(await grow(50, 2_000)).toBe(0); // 150: small
  expect(await grow(20, 2_000)).toBe(1); // 170, 70 more than at the start
  expect(bytes).toBe(120 * MiB);
  expect(await grow(100, 2_000)).toBe(1); // too soon
  expect(await grow(0, 4_000)).toBe(2);
  expect(await grow(30, 10_000)).toBe(2); // not enough
  bytes = 120 * MiB; // the system took pages back
  await clock.advance(2_000);
  expect(await grow(65, 2_000)).toBe(3);
  stop();
  expect(await grow(500, 60_000)).toBe(3);
});

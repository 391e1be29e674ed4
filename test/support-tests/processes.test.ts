import { expect, test } from "bun:test";
import { identify, isRunning, killAll } from "../support/processes.ts";

test("knows this process, and none with a pid that is not in use", () => {
  const self = identify(process.pid);
  expect(self && isRunning(self)).toBe(true);
  expect(identify(2 ** 22 + 1)).toBeUndefined(); // above the kernel's largest pid
});

test("kills exactly the process it knows and waits until it is gone", async () => {
  await using child = Bun.spawn(["sleep", "60"]);
  const known = identify(child.pid);
  if (!known) throw new Error("the child is not there");
  await killAll([{ pid: known.pid, started: `${known.started}0` }]); // another process that once had this pid
  expect(isRunning(known)).toBe(true);
  await killAll([known]);
  expect(isRunning(known)).toBe(false);
});

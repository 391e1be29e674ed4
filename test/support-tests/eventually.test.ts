import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";

test("returns the first truthy answer of the probe", async () => {
  let asked = 0;
  expect(await eventually("third answer", () => (++asked === 3 ? `answer ${asked}` : undefined), { intervalMs: 1 })).toBe("answer 3");
});

test("asks again after a probe threw, and names the condition and the last error when it gives up", async () => {
  let asked = 0;
  const waiting = eventually(
    "the pod is Ready",
    () => {
      asked++;
      throw new Error("connection refused");
    },
    { timeoutMs: 30, intervalMs: 5 },
  );
  await expect(waiting).rejects.toThrow(/for: the pod is Ready; last error: connection refused/);
  expect(asked).toBeGreaterThan(1);
});

test("shows the last falsy answer when it gives up", async () => {
  await expect(eventually("a count", () => 0, { timeoutMs: 10, intervalMs: 2 })).rejects.toThrow(/last answer: 0/);
});

test("gives up on a probe that never comes back", async () => {
  await expect(eventually("an answer", () => new Promise<boolean>(() => undefined), { timeoutMs: 20 })).rejects.toThrow(/never came back/);
});

test("names the last answer when a later probe does not come back in time", async () => {
  let asked = 0;
  const probe = () => (++asked === 1 ? "" : new Promise<string>(() => undefined));
  await expect(eventually("an answer", probe, { timeoutMs: 40, intervalMs: 5 })).rejects.toThrow(/2 tries.*last answer: ""/);
});

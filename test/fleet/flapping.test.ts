// Why: links that drop all the time, on a fleet: everything arrives, once, on whatever node people come back to.
// `bun test/fleet/faults/record.ts` does it with 1,000.
import { expect, test } from "bun:test";
import { flap, sentenceOf } from "./faults/flap.ts";

test("200 people whose links drop every 2 to 5 s while 100 entries a second flow get all of them, each once", async () => {
  const flapped = await flap({ people: 200, seconds: 12 });
  console.log(sentenceOf(flapped));
  expect(flapped.examples).toEqual([]);
  expect(flapped).toMatchObject({ holes: 0, told: 0, repeated: 0, refusals: 0, delivered: flapped.owed });
  expect(flapped.drops).toBeGreaterThan(300);
  expect(flapped.missed).toBeGreaterThan(100);
  expect(flapped.accepted).toBeGreaterThan(1000);
}, 60_000);

// Why: a kind that seems to be gone for a moment (an API server that restarts, an aggregated backend that is down) must not change
// what a fleet is given; one that is installed later must be found without a restart.
import { expect, test } from "bun:test";
import { watchCapabilities } from "@nexus/operator/kube/capabilities.ts";
import { KINDS, OPTIONAL_KINDS } from "@nexus/operator/loop/kinds.ts";
import type { Discovery } from "@nexus/operator/loop/ports.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";

const { HTTPRoute, Certificate } = OPTIONAL_KINDS;
const MINUTE_MS = 60_000;

/** Discovery as the test says it. */
type Answer = Discovery | "silence";

function setting(first: Answer = { kinds: [], unavailable: [] }) {
  const clock = new ManualClock();
  const changes: string[] = [];
  const errors: unknown[] = [];
  let answer: Answer = first;
  let looks = 0;
  const capabilities = watchCapabilities({
    clock,
    random: () => 0.5,
    discover: async () => {
      looks++;
      if (answer === "silence") throw new Error("no answer");
      return answer;
    },
    onChange: (kind, isServed) => changes.push(`${isServed ? "+" : "-"}${kind.kind}`),
    onError: (error) => errors.push(error),
  });
  return {
    ...{ clock, capabilities, changes, errors },
    looks: () => looks,
    say: (next: Answer) => {
      answer = next;
    },
  };
}

const serving = (...kinds: Discovery["kinds"]): Discovery => ({ kinds, unavailable: [] });

test("a kind that is installed later is found within a minute and told once; kinds nobody asked about are nobody's business", async () => {
  const { clock, capabilities, changes, say } = setting(serving(KINDS.Pod));
  await capabilities.looked;
  expect(capabilities.has(HTTPRoute)).toBe(false);
  say(serving(KINDS.Pod, HTTPRoute));
  await clock.advance(MINUTE_MS);
  expect(capabilities.has(HTTPRoute)).toBe(true);
  await clock.advance(10 * MINUTE_MS);
  expect(changes).toEqual(["+HTTPRoute"]);
});

test("who misses a kind has it looked for at once, but not more often than every five seconds", async () => {
  const { clock, capabilities, say, looks } = setting();
  await capabilities.looked;
  await clock.advance(20_000);
  say(serving(Certificate));
  capabilities.look();
  capabilities.look();
  await clock.advance(1);
  expect(capabilities.has(Certificate)).toBe(true);
  const before = looks();
  for (let i = 0; i < 10; i++) {
    capabilities.look();
    await clock.advance(1000);
  }
  expect(looks() - before).toBe(2);
});

test("one answer that misses a kind takes nothing away; two within ten minutes do, and it can come back", async () => {
  const { clock, capabilities, changes, say } = setting(serving(HTTPRoute));
  await capabilities.looked;
  say(serving());
  await clock.advance(MINUTE_MS);
  expect(capabilities.has(HTTPRoute)).toBe(true);
  await clock.advance(MINUTE_MS);
  expect(capabilities.has(HTTPRoute)).toBe(false);
  say(serving(HTTPRoute));
  await clock.advance(MINUTE_MS);
  expect(changes).toEqual(["+HTTPRoute", "-HTTPRoute", "+HTTPRoute"]);
});

test("two answers in a moment count once: whoever asks often must not make a kind vanish", async () => {
  const { clock, capabilities, say } = setting(serving(HTTPRoute));
  await capabilities.looked;
  say(serving());
  for (let i = 0; i < 5; i++) {
    await clock.advance(5_000);
    capabilities.look();
  }
  expect(capabilities.has(HTTPRoute)).toBe(true);
});

test("absences far apart with the kind in between are none", async () => {
  const { clock, capabilities, say } = setting(serving(HTTPRoute));
  await capabilities.looked;
  for (let i = 0; i < 5; i++) {
    say(serving());
    await clock.advance(MINUTE_MS);
    say(serving(HTTPRoute));
    await clock.advance(MINUTE_MS);
  }
  expect(capabilities.has(HTTPRoute)).toBe(true);
});

test("no answer, and a group whose backend is down, are never read as absence", async () => {
  const { clock, capabilities, changes, errors, say } = setting(serving(HTTPRoute));
  await capabilities.looked;
  say("silence");
  await clock.advance(5 * MINUTE_MS);
  expect(errors.length).toBeGreaterThanOrEqual(4);
  say({ kinds: [], unavailable: ["gateway.networking.k8s.io/v1"] });
  await clock.advance(5 * MINUTE_MS);
  expect(capabilities.has(HTTPRoute)).toBe(true);
  expect(changes).toEqual(["+HTTPRoute"]);
});

test("a first look without an answer holds nobody up, and the next one finds what there is", async () => {
  const { clock, capabilities, errors, say } = setting("silence");
  await capabilities.looked;
  expect(errors).toHaveLength(1);
  say(serving(Certificate));
  await clock.advance(72_000);
  expect(capabilities.has(Certificate)).toBe(true);
});

test("after its end nothing is asked any more", async () => {
  const { clock, capabilities, looks } = setting();
  await capabilities.looked;
  capabilities.stop();
  capabilities.look();
  await clock.advance(10 * MINUTE_MS);
  expect(looks()).toBe(1);
  expect(clock.pending).toBe(0);
});

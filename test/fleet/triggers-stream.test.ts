// Why: entries of the trigger stream are done once, put off, given to others or laid aside, whatever ends in between. The
// consumer is the real one over a real Redis; what publishes is the test's.
import { afterAll, expect, test } from "bun:test";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { StreamTriggers } from "@nexus/server/adapters/redis/trigger-stream.ts";
import type { TriggerTake } from "@nexus/server/adapters/redis/trigger-use.ts";
import type { Trigger, TriggerOutcome } from "@nexus/server/core/trigger.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis/server.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const redis = await startRedis();
const open = () => openLink({ addresses: [redis.address], commandTimeoutMs: 2000, log: silent });
const link = await open();
afterAll(async () => {
  await link.close();
  await redis[Symbol.asyncDispose]();
});

const PUBLISHED: TriggerOutcome = { kind: "published" };
const LATER: TriggerOutcome = { kind: "later", code: "rate_limited", retryAfterSeconds: 0 };
/** Who has an entry says so every third of it: a machine that stands still for less than the rest takes nothing from anybody. */
const RETRY_MS = 800;
let streams = 0;

type Taken = { readonly body: string; readonly key: string | undefined; readonly remote: Trigger["remote"] };

/** A consumer of `key`; `answer` says what becomes of each body. */
function consumer(key: string, answer: (body: string, tries: number) => TriggerOutcome | Promise<TriggerOutcome>, change = {}) {
  const taken: Taken[] = [];
  const counts = new Map<string, number>();
  const take: TriggerTake = async (_form, { body, idempotencyKey, remote }) => {
    taken.push({ body, key: idempotencyKey, remote });
    return await answer(body, taken.filter((one) => one.body === body).length);
  };
  const triggers = new StreamTriggers({
    ...{ link, key, take, consumer: `consumer-${++streams}`, clock: systemClock, log: silent, isOneSlot: true },
    ...{ maxAttempts: 3, retryMs: RETRY_MS, ready: () => true },
    count: (_form, result) => void counts.set(result, (counts.get(result) ?? 0) + 1),
    ...change,
  });
  return { triggers, taken, counts, [Symbol.asyncDispose]: () => triggers.stop() };
}

const fresh = () => `triggers-${process.pid}-${++streams}`;
const add = async (key: string, body: string) => String(await link.call("XADD", key, "*", "body", body));
const lengthOf = async (key: string) => Number(await link.call("XLEN", key));
/** Nothing waits, and nobody holds anything. */
const isDone = async (key: string) => (await lengthOf(key)) === 0;

async function lettersOf(key: string): Promise<readonly Readonly<Record<string, string>>[]> {
  const rows = (await link.call("XRANGE", `${key}:dead`, "-", "+")) as [string, string[]][]; // as XRANGE answers
  return rows.map(([, fields]) =>
    Object.fromEntries(Array.from({ length: fields.length / 2 }, (_, at) => [fields[at * 2], fields[at * 2 + 1]])),
  );
}

test("what was added before anybody came is published once, and the stream is empty after", async () => {
  const key = fresh();
  for (let at = 0; at < 500; at++) await add(key, `b${at}`);
  await using one = consumer(key, () => PUBLISHED);
  await using other = consumer(key, () => PUBLISHED);
  await eventually("all are done", () => isDone(key));
  const bodies = [...one.taken, ...other.taken].map(({ body }) => body);
  expect([bodies.length, new Set(bodies).size]).toEqual([500, 500]);
  expect(new Set([...one.taken, ...other.taken].map(({ key: name }) => name)).size).toBe(500);
});

test("fields beside the body are the trace it belongs to, and no other", async () => {
  const key = fresh();
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  await link.call("XADD", key, "*", "traceparent", traceparent, "body", "both", "tracestate", "a=1", "body", "second");
  await link.call("XADD", key, "*", "tracestate", "a=1", "body", "state alone");
  await link.call("XADD", key, "*", "note", "traceparent", "body", "a value is no name");
  await using one = consumer(key, () => PUBLISHED);
  await eventually("all are done", () => isDone(key));
  expect(new Map(one.taken.map(({ body, remote }) => [body, remote]))).toEqual(
    new Map([
      ["both", { traceparent, tracestate: "a=1" }],
      ["state alone", undefined],
      ["a value is no name", undefined],
    ]),
  );
});

test("what is refused for ever is a dead letter with its reason, at once", async () => {
  const key = fresh();
  const reasons = { json: "invalid_json", tenant: "not_found" } as const;
  await using one = consumer(key, (body) =>
    body === "json" ? { kind: "invalid", code: reasons.json } : { kind: "refused", code: reasons.tenant },
  );
  const ids = [await add(key, "json"), await add(key, "tenant"), String(await link.call("XADD", key, "*", "other", "x"))];
  await eventually("all are done", () => isDone(key));
  const letters = await lettersOf(key);
  expect(letters.map(({ id, reason, attempts, body }) => [id, reason, attempts, body]).sort()).toEqual([
    [ids[0], "invalid_json", "1", "json"],
    [ids[1], "not_found", "1", "tenant"],
    [ids[2], "no_body", "1", ""],
  ]);
  expect(one.counts.get("dead")).toBe(3);
});

test("dead letters in another slot are written before the entry is acknowledged", async () => {
  const key = fresh();
  await using one = consumer(key, () => ({ kind: "invalid", code: "invalid_json" }), { isOneSlot: false });
  await add(key, "x");
  await eventually("it is done", () => isDone(key));
  expect(await lettersOf(key)).toMatchObject([{ reason: "invalid_json", body: "x" }]);
  expect(one.counts.get("dead")).toBe(1);
});

test("over a quota an entry is tried again until it succeeds, on the node that has it, and costs no attempt", async () => {
  const key = fresh();
  await using one = consumer(key, (_body, tries) => (tries < 3 ? LATER : PUBLISHED), { maxAttempts: 1 });
  await using other = consumer(key, (_body, tries) => (tries < 3 ? LATER : PUBLISHED), { maxAttempts: 1 });
  await add(key, "x");
  await eventually("it is done", () => isDone(key), { timeoutMs: 20_000 });
  expect([one.taken.length, other.taken.length].sort()).toEqual([0, 3]);
  expect(await lettersOf(key)).toEqual([]);
});

test("what fails again and again is a dead letter after so many attempts", async () => {
  const key = fresh();
  const fail = (): TriggerOutcome => ({ kind: "later", code: "internal", retryAfterSeconds: 1 });
  await using one = consumer(key, fail);
  await using other = consumer(key, fail);
  await add(key, "poison");
  await eventually("it is done", () => isDone(key));
  expect(one.taken.length + other.taken.length).toBe(3);
  expect(await lettersOf(key)).toMatchObject([{ reason: "internal", attempts: "3", body: "poison" }]);
});

test("what a node had when it died is done by another under the same key; one that only takes long is left alone", async () => {
  const key = fresh();
  const never = Promise.withResolvers<TriggerOutcome>();
  const dying = await open();
  const dead = consumer(key, () => never.promise, { link: dying });
  await eventually("it is there", async () => String(await link.call("EXISTS", key)) === "1");
  await add(key, "x");
  await eventually("it has it", () => dead.taken.length === 1);
  const slow = Promise.withResolvers<TriggerOutcome>();
  await using heir = consumer(key, () => slow.promise);
  await dying.close(); // from here on it neither works nor says so
  await eventually("another takes it over", () => heir.taken.length === 1);
  await using third = consumer(key, () => PUBLISHED);
  // Three times as long as it takes to inherit something that nobody works on.
  const began = performance.now();
  await eventually("a while passed", () => performance.now() - began > 3 * RETRY_MS);
  expect(third.taken).toEqual([]);
  slow.resolve(PUBLISHED);
  await eventually("it is done", () => isDone(key));
  expect(heir.taken).toEqual(dead.taken);
  expect(await lettersOf(key)).toEqual([]);
  never.resolve(PUBLISHED);
  await dead.triggers.stop();
});

test("an entry that ends every node it is given to is laid aside", async () => {
  const key = fresh();
  const fleet = [];
  const links = [];
  await link.call("XGROUP", "CREATE", key, "nexus", "0", "MKSTREAM");
  await add(key, "poison");
  for (let node = 0; node < 3; node++) {
    const own = await open();
    const never = Promise.withResolvers<TriggerOutcome>();
    const one = consumer(key, () => never.promise, { link: own });
    await eventually("it takes it", () => one.taken.length === 1);
    await own.close();
    fleet.push({ one, never });
    links.push(own);
  }
  await using last = consumer(key, () => PUBLISHED);
  await eventually("it is laid aside", () => isDone(key));
  expect(last.taken).toEqual([]);
  expect(await lettersOf(key)).toMatchObject([{ reason: "attempts", attempts: "4", body: "poison" }]);
  for (const { one, never } of fleet) {
    never.resolve(PUBLISHED);
    await one.triggers.stop();
  }
});

test("a node that stops finishes what runs, gives back what waits, and its name is gone", async () => {
  const key = fresh();
  const slow = Promise.withResolvers<TriggerOutcome>();
  const leaving = consumer(key, (body) => (body === "slow" ? slow.promise : LATER), { retryMs: 60_000 });
  await eventually("it is there", async () => String(await link.call("EXISTS", key)) === "1");
  await add(key, "slow");
  await add(key, "limited");
  await eventually("it has both", () => leaving.taken.length >= 2);
  const stopped = leaving.triggers.stop();
  slow.resolve(PUBLISHED);
  await stopped;
  const pending = (await link.call("XPENDING", key, "nexus", "-", "+", 10)) as [string, string, number, number][]; // as XPENDING answers
  expect(pending.length).toBe(1);
  await using heir = consumer(key, () => PUBLISHED, { retryMs: 60_000 });
  await eventually("what waited is done at once", () => isDone(key));
  expect(heir.taken.map(({ body }) => body)).toEqual(["limited"]);
  const other = consumer(key, () => PUBLISHED);
  await add(key, "more");
  await eventually("done", () => isDone(key));
  await other.triggers.stop();
  const names = (await link.call("XINFO", "CONSUMERS", key, "nexus")) as unknown[][]; // one list of fields per consumer
  expect(names.length).toBeLessThanOrEqual(2); // the heir, and the one that left with an entry in its name
});

test("a stream and a group that vanish (FLUSHALL) are made again", async () => {
  const key = fresh();
  await using one = consumer(key, () => PUBLISHED);
  await add(key, "before");
  await eventually("done", () => one.taken.length === 1);
  await link.call("DEL", key);
  await eventually("entries are taken again", async () => {
    await add(key, "after");
    return one.taken.some(({ body }) => body === "after");
  });
});

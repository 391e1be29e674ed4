// Why: announcements come back after everything that can happen to the connection they come on, and whoever may have
// missed some is told. Real Redis, real sockets; the network between them is ours.
import { afterAll, expect, test } from "bun:test";
import type { Primary } from "@nexus/server/adapters/redis/link.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { redisCommand, redisText } from "../support/redis/admin.ts";
import { startRedis } from "../support/redis/server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { type BusGround, busGround, channel, hears, idsOf, inbox, PROBE_MS, recorder } from "./bus-ground.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());

/** A ground whose bus hears through a proxy. */
async function proxied(options: { readonly listenTimeoutMs?: number } = {}) {
  const proxy = await startTcpProxy(redis);
  const through = (primary: Primary): Primary => ({ ...primary, host: "127.0.0.1", port: proxy.port });
  const ground = await busGround({
    ...{ addresses: [redis.address], ...options },
    dial: (link) => (primary) => link.dial(through(primary)),
  });
  return {
    ...{ ...ground, proxy },
    async [Symbol.asyncDispose]() {
      await ground[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

/** Streams with a listener each. */
async function listeners(ground: Pick<BusGround, "bus">, count: number) {
  const all = Array.from({ length: count }, (_, i) => ({ stream: inbox(`u${i}`), listener: recorder() }));
  await Promise.all(all.map(({ stream, listener }) => ground.bus.listen(stream, listener)));
  return all;
}

async function callsOf(command: string): Promise<number> {
  const stats = await redisText(redis, "INFO", "commandstats");
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, "m").exec(stats)?.[1] ?? 0);
}

const lags = (ground: Pick<BusGround, "bus">) => eventually("a probe came back", () => ground.bus.lagMs() !== undefined);

test("20,000 streams are asked for in a few hundred commands, and left in as many", async () => {
  await using ground = await busGround({ addresses: [redis.address], listenTimeoutMs: 30_000 });
  await lags(ground);
  const before = await callsOf("ssubscribe");
  const startedAt = performance.now();
  const all = await listeners(ground, 20_000);
  const tookMs = performance.now() - startedAt;
  const asked = (await callsOf("ssubscribe")) - before;
  expect(asked).toBeLessThanOrEqual(256 + 1); // one for each partition; the probe may be asked for again
  for (const i of [0, 9_999, 19_999]) {
    await ground.say(inbox(`u${i}`), `to-${i}`);
    await hears(all[i]?.listener ?? recorder(), `to-${i}`);
  }
  const left = await callsOf("sunsubscribe");
  await Promise.all(all.map(({ stream }) => ground.bus.leave(stream)));
  expect((await callsOf("sunsubscribe")) - left).toBeLessThanOrEqual(256);
  expect(ground.bus.counts()).toMatchObject({ streams: 0, interruptions: 0, dead: 0 });
  console.log(`20,000 listens: ${asked} SSUBSCRIBE commands, ${Math.round(tookMs)} ms`);
}, 60_000);

test("a connection that is reset is dialled again; every stream is told once, and flows", async () => {
  await using ground = await proxied();
  const all = await listeners(ground, 1000);
  const [first] = all;
  if (!first) throw new Error("no streams");
  await ground.say(first.stream, "before");
  await hears(first.listener, "before");
  ground.proxy.refuse();
  await eventually("the connection is lost", () => ground.bus.counts().interruptions === 1);
  await ground.say(first.stream, "missed");
  ground.proxy.accept();
  await eventually("all are told", () => all.every(({ listener }) => listener.gaps.length > 0));
  for (const { stream } of all.slice(0, 20)) await ground.say(stream, "after");
  for (const { listener } of all.slice(0, 20)) await hears(listener, "after");
  expect(idsOf(first.listener)).toEqual(["before", "after"]);
  expect(all.every(({ listener }) => listener.gaps.join() === "reconnected")).toBe(true);
}, 60_000);

test("no more than a few hundred streams are told in one turn of the loop", async () => {
  await using ground = await proxied();
  let told = 0;
  const listener = { onEntry: () => undefined, onGap: () => void told++ };
  await Promise.all(Array.from({ length: 5000 }, (_, i) => ground.bus.listen(inbox(`u${i}`), listener)));
  const perTurn: number[] = [];
  ground.proxy.cut();
  await new Promise<void>((resolve) => {
    let seen = 0;
    const look = () => {
      perTurn.push(told - seen);
      seen = told;
      if (told >= 5000) resolve();
      else setImmediate(look);
    };
    look();
  });
  expect(told).toBe(5000);
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(512);
}, 60_000);

test("a half-open connection is noticed by probes within three of them, though nothing closed it", async () => {
  await using ground = await proxied();
  const [one] = await listeners(ground, 1);
  if (!one) throw new Error("no stream");
  await lags(ground);
  let ticks = 0; // of the same loop: a slow machine delays both
  const timer = setInterval(() => ticks++, PROBE_MS);
  ground.proxy.stall();
  await ground.say(one.stream, "swallowed");
  await eventually("it is noticed", () => ground.bus.counts().dead === 1, { intervalMs: 5 });
  clearInterval(timer);
  expect(ticks).toBeLessThanOrEqual(4); // three, and what was left of the one before
  await eventually("the stream is told", () => one.listener.gaps.length === 1);
  await ground.say(one.stream, "after");
  await hears(one.listener, "after");
  expect(idsOf(one.listener)).toEqual(["after"]);
}, 60_000);

test("a connection that is silent from the start is given up, and dialled again", async () => {
  await using ground = await proxied({ listenTimeoutMs: 500 });
  const [one] = await listeners(ground, 1);
  if (!one) throw new Error("no stream");
  ground.proxy.blackhole();
  await eventually("it is noticed", () => ground.bus.counts().dead === 1);
  const accepted = ground.proxy.accepted;
  await eventually("it is dialled again", () => ground.proxy.accepted > accepted, { timeoutMs: 15_000 });
  await expect(ground.bus.listen(channel("later"), recorder())).rejects.toMatchObject({ refusal: { code: "broker_unavailable" } });
  ground.proxy.accept();
  await eventually("the stream is told", () => one.listener.gaps.length === 1, { timeoutMs: 15_000 });
  await ground.say(one.stream, "after");
  await hears(one.listener, "after");
}, 60_000);

test("CLIENT KILL TYPE pubsub costs a gap, not the streams", async () => {
  await using ground = await busGround({ addresses: [redis.address] });
  const all = await listeners(ground, 300);
  expect(await redisCommand(redis, ["CLIENT", "KILL", "TYPE", "pubsub"])).toBeGreaterThanOrEqual(1);
  await eventually("all are told", () => all.every(({ listener }) => listener.gaps.length === 1));
  for (const { stream } of all) await ground.say(stream, "after");
  for (const { listener } of all) await hears(listener, "after");
}, 60_000);

test("a connection to a server that does not hear us is given up at once", async () => {
  await using wrong = await startRedis();
  let isWrong = true;
  await using ground = await busGround({
    addresses: [redis.address],
    dial: (link) => (primary) => link.dial(isWrong ? { ...primary, port: wrong.port } : primary),
  });
  const [one] = await listeners(ground, 1); // the wrong server confirms it
  if (!one) throw new Error("no stream");
  await eventually("it is noticed", () => ground.bus.counts().dead > 0);
  isWrong = false;
  let said = 0;
  await eventually("announcements flow", async () => {
    await ground.say(one.stream, `after-${++said}`);
    return one.listener.heard.length > 0;
  });
  expect(one.listener.gaps.length).toBeGreaterThan(0);
}, 60_000);

test("while Redis is away listening fails in time and leaving does not; what flowed before comes back", async () => {
  const settings = { port: await freePort() };
  const first = await startRedis(settings);
  await using ground = await busGround({ addresses: [first.address], listenTimeoutMs: 400 });
  const kept = recorder();
  await ground.bus.listen(inbox("kept"), kept);
  await ground.bus.listen(inbox("left"), recorder());
  await first[Symbol.asyncDispose]();
  await eventually("the connection is lost", () => ground.bus.counts().interruptions === 1);
  await ground.bus.leave(inbox("left"));
  const startedAt = performance.now();
  await expect(ground.bus.listen(inbox("new"), recorder())).rejects.toMatchObject({ refusal: { code: "broker_unavailable" } });
  expect(performance.now() - startedAt).toBeWithin(400, 4000);
  expect(ground.bus.counts().streams).toBe(1);
  const patient = recorder();
  await using second = await startRedis(settings);
  await eventually("Redis takes streams again", async () => {
    await ground.bus.listen(inbox("patient"), patient);
    return true;
  });
  await eventually("what flowed is told", () => kept.gaps.join() === "reconnected");
  await eventually("the other node publishes again", async () => {
    await ground.say(inbox("kept"), "after");
    return true;
  });
  await hears(kept, "after");
  expect(patient.gaps).toEqual([]);
  expect(second.port).toBe(first.port);
}, 60_000);

test("a listen that waits during a short outage resolves when it is over", async () => {
  await using ground = await proxied({ listenTimeoutMs: 5000 });
  await ground.bus.listen(inbox("first"), recorder());
  ground.proxy.refuse();
  await eventually("the connection is lost", () => ground.bus.counts().interruptions === 1);
  const listener = recorder();
  const listening = ground.bus.listen(inbox("waits"), listener);
  ground.proxy.accept();
  await listening;
  await ground.say(inbox("waits"), "after");
  await hears(listener, "after");
  expect(listener.gaps).toEqual([]);
}, 60_000);

test("an announcement nobody can read is counted and told as a gap; the next ones flow", async () => {
  await using ground = await busGround({ addresses: [redis.address] });
  const listener = recorder();
  await ground.bus.listen(inbox("x"), listener);
  for (const text of ["garbage", "", "e 1\nid", 'e one\nid\n[1,"t",{}]\n1', "e 1\nid\n{}\n1"]) {
    await ground.link.call("SPUBLISH", ground.keys.of(inbox("x"), "s"), text);
  }
  await ground.say(inbox("x"), "after");
  await hears(listener, "after");
  expect(idsOf(listener)).toEqual(["after"]);
  expect(listener.gaps).toEqual(Array.from({ length: 5 }, () => "unreadable"));
  expect(ground.bus.counts().broken).toBe(5);
});

test("a listener that throws does not end the announcements behind", async () => {
  await using ground = await busGround({ addresses: [redis.address] });
  const listener = recorder();
  const throwing = {
    ...listener,
    onEntry(entry: Parameters<typeof listener.onEntry>[0]) {
      listener.onEntry(entry);
      throw new Error("on purpose");
    },
  };
  await ground.bus.listen(inbox("x"), throwing);
  for (const id of ["a", "b"]) await ground.say(inbox("x"), id);
  await hears(listener, "b");
  expect(idsOf(listener)).toEqual(["a", "b"]);
});

test("an offset that was given twice starts a new epoch, and is told", async () => {
  await using ground = await busGround({ addresses: [redis.address] });
  const listener = recorder();
  const stream = channel("went-back");
  await ground.bus.listen(stream, listener);
  await ground.say(stream, "kept");
  const keys = [ground.keys.of(stream, "m"), ground.keys.of(stream, "e")];
  const before = await Promise.all(keys.map((key) => ground.link.call("COPY", key, `${key}:backup`)));
  expect(before).toEqual([1, 1]);
  for (const id of ["lost-1", "lost-2", "lost-3"]) await ground.say(stream, id);
  await hears(listener, "lost-3");
  const { epoch } = await ground.other.store.top(stream);
  for (const key of keys) await ground.link.call("COPY", `${key}:backup`, key, "REPLACE");
  // More than were lost, before anybody can look: the store stands beyond what was announced by then.
  await Promise.all(Array.from({ length: 20 }, (_, i) => ground.say(stream, `new-${i}`)));
  await eventually("it is told", () => listener.gaps.length > 0);
  expect(listener.gaps).toEqual(["epoch_changed"]);
  const top = await ground.other.store.top(stream);
  expect(top.epoch).not.toBe(epoch);
  await ground.say(stream, "after");
  await hears(listener, "after");
  expect(listener.heard.at(-1)?.position).toEqual({ epoch: top.epoch, offset: top.offset + 1 });
  expect(ground.bus.counts().regressions).toBe(1);
});

test("where announcements may overtake each other, an offset that goes back is nothing", async () => {
  await using ground = await busGround({ addresses: [redis.address], ordered: ({ kind }) => kind !== "inbox" });
  const listener = recorder();
  await ground.bus.listen(inbox("late"), listener);
  for (const [offset, id] of [
    [2, "two"],
    [1, "one"],
  ]) {
    await ground.link.call("SPUBLISH", ground.keys.of(inbox("late"), "s"), `e ${offset}\n${id}\n[1,"t",{}]\n1`);
  }
  await hears(listener, "one");
  expect(idsOf(listener)).toEqual(["two", "one"]);
  expect(listener.gaps).toEqual([]);
});

test("close ends its connection and whoever waits", async () => {
  await using ground = await busGround({ addresses: [redis.address] });
  await ground.bus.listen(inbox("x"), recorder());
  const subscribers = async () => (await redisText(redis, "CLIENT", "LIST", "TYPE", "pubsub")).split("\n").filter(Boolean).length;
  const before = await subscribers();
  const listening = ground.bus.listen(inbox("y"), recorder());
  ground.bus.close();
  await expect(listening).rejects.toMatchObject({ refusal: { code: "broker_unavailable" } });
  await expect(ground.bus.listen(inbox("z"), recorder())).rejects.toMatchObject({ refusal: { code: "broker_unavailable" } });
  await ground.bus.leave(inbox("x"));
  await eventually("the connection is gone", async () => (await subscribers()) === before - 1);
});

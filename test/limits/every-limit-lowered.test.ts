// Why: a limit that is lowered meets sessions that were within the old one. None of them may end for it: what they hold they
// keep, and only what comes next is judged by the new value.
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import type { WsClient } from "../support/ws-client.ts";
import { type Pod, startPod } from "./every/pod.ts";
import { deafSocket, flood } from "./every/slow.ts";

const PING = { type: "Ping" };
const subscribe = (...channels: string[]) => ({ type: "Subscribe", payload: { channels } });
const KEPT = { match: "*", history: { size: 0, ttlSeconds: 1 }, subscribe: "Anyone", publish: "Nobody" } as const;
const channelOf = (pod: Pod, channel: string) => pod.rest("GET", `/api/v1/channels/${channel}`);

test("a silence that began under a longer staleSeconds is judged from the push on", async () => {
  await using pod = await startPod({ delivery: { heartbeatSeconds: 5, staleSeconds: 120 } });
  await using first = await pod.seated("ann"); // the first heartbeat of the first session comes after half of them
  const silentSince = performance.now();
  await eventually("a silence longer than the next staleSeconds", () => performance.now() - silentSince > 2100);
  await pod.push({ delivery: { heartbeatSeconds: 1, staleSeconds: 2 } });
  for (let beats = 0; beats < 2; beats++) await first.next("heartbeat");
  await first.ask(PING, "pong");
}, 30_000);

test("fewer sessions, for the node, a tenant and a user: those that are there stay, the next is refused", async () => {
  await using pod = await startPod();
  const clients = [await pod.seated("ann"), await pod.seated("ann"), await pod.seated("ann")];
  const refusedWith = async (client: WsClient) => {
    await using next = client;
    return next.answer.status === 101 ? (await next.ending()).code : next.answer.status;
  };
  await pod.push({ quotas: { connectionsPerUser: 1 } });
  expect(await refusedWith(await pod.socket("ann"))).toBe(4505);
  await pod.push({ quotas: { connections: 1 } });
  expect(await refusedWith(await pod.socket("bob"))).toBe(4505);
  await pod.push({ limits: { connectionsPerPod: 1 } });
  expect(await refusedWith(await pod.socket("bob"))).toBe(503);
  for (const client of clients) {
    await client.ask(PING, "pong");
    await client[Symbol.asyncDispose]();
  }
});

test("fewer subscriptions: channels that are held stay held", async () => {
  await using pod = await startPod();
  await using client = await pod.seated("ann");
  await client.ask(subscribe("a", "b"), "subscribed");
  await pod.push({ quotas: { subscriptionsPerConnection: 1 } });
  expect(await client.ask(subscribe("c"), "error")).toMatchObject({ code: "SUBSCRIPTION_ERROR" });
  expect(await client.ask(subscribe("a", "b"), "subscribed")).toMatchObject({ payload: ["a", "b"] });
  expect([(await channelOf(pod, "a")).status, (await channelOf(pod, "b")).status, (await channelOf(pod, "c")).status]).toEqual([
    200, 200, 404,
  ]);
});

test("smaller frames: an open session sends by the new size, and is not closed for what it sent before", async () => {
  await using pod = await startPod();
  await using client = await pod.seated("ann");
  await client.ask({ ...PING, pad: "x".repeat(60_000) }, "pong");
  await pod.push({ limits: { frameBytes: 1024 } });
  await client.ask({ ...PING, pad: "x".repeat(900) }, "pong");
});

test("a smaller queue: what waits already is kept until the next entry, which the channel's rule decides about", async () => {
  await using pod = await startPod({
    limits: { sendQueueBytes: 67_108_864 },
    channels: [
      { ...KEPT, match: "dropping", slowConsumer: "DropOldest" },
      { ...KEPT, match: "strict", slowConsumer: "Disconnect" },
    ],
  });
  await using dropping = await deafSocket(pod, "ann", "dropping");
  await using strict = await deafSocket(pod, "bob", "strict");
  await flood(pod, "dropping");
  await flood(pod, "strict");
  await pod.push({ limits: { sendQueueBytes: 131_072 } });
  expect(Number((await pod.admin("GET", "/admin/status")).body.sessions)).toBe(2);
  await flood(pod, "dropping", 1);
  await flood(pod, "strict", 1);
  expect(Number((await pod.admin("GET", "/admin/status")).body.sessions)).toBe(1);
  dropping.startReading();
  strict.startReading();
  expect(await dropping.next("gap", 20_000)).toMatchObject({ stream: "channel:dropping", reason: "slow_consumer" });
  expect(await strict.ending(20_000)).toMatchObject({ code: 4002 });
  await dropping.ask(PING, "pong");
}, 40_000);

test("frames that wait for a slow rate go at once when the rate is taken away", async () => {
  await using pod = await startPod({ limits: { framesPerSecond: 1 } });
  await using client = await pod.seated("ann");
  for (let id = 0; id < 30; id++) client.send({ ...PING, id });
  await client.next("pong");
  const before = performance.now();
  await pod.push({ limits: { framesPerSecond: 0 } });
  for (let id = 1; id < 30; id++) expect(await client.next("pong")).toMatchObject({ id });
  expect(performance.now() - before).toBeLessThan(15_000); // at the old rate it would be half a minute
}, 40_000);

test("drainSeconds of the last push counts for the drain that comes", async () => {
  await using pod = await startPod({ delivery: { drainSeconds: 600, reconnectJitterSeconds: 600 } });
  await using ann = await pod.seated("ann");
  await using bob = await pod.seated("bob");
  await pod.push({ delivery: { drainSeconds: 5, reconnectJitterSeconds: 0 } });
  await pod.admin("POST", "/admin/drain");
  for (const client of [ann, bob]) {
    expect(await client.next("shutdown", 10_000)).toMatchObject({ reconnect_after_seconds: 1 });
    expect(await client.ending()).toMatchObject({ code: 4000 });
  }
}, 30_000);

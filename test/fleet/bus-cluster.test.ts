// Why: in a Cluster announcements come on a connection to each primary, and the slots move between them. Only the streams
// that moved may be told of a gap, and none may fall silent.
import { afterAll, expect, test } from "bun:test";
import { partitionOf } from "@nexus/server/adapters/redis/keys.ts";
import type { StreamId } from "@nexus/server/core/ports.ts";
import { streamKey } from "@nexus/server/core/streams.ts";
import { eventually } from "../support/eventually.ts";
import { redisText } from "../support/redis/admin.ts";
import { slotOfPartition, startClusterRedis } from "../support/redis/cluster.ts";
import { type BusGround, busGround, hears, idsOf, inbox, PROBE_MS, recorder } from "./bus-ground.ts";

const cluster = await startClusterRedis();
afterAll(() => cluster[Symbol.asyncDispose]());

const STREAMS = 1500;
const ground = () => busGround({ addresses: cluster.addresses, topology: "cluster", listenTimeoutMs: 10_000 });
const partition = (stream: StreamId) => partitionOf(streamKey(stream));

async function listeners({ bus }: Pick<BusGround, "bus">) {
  const all = Array.from({ length: STREAMS }, (_, i) => ({ stream: inbox(`u${i}`), listener: recorder() }));
  await Promise.all(all.map(({ stream, listener }) => bus.listen(stream, listener)));
  return all;
}

/** The other node may be told "later" while the Cluster finds itself. */
const say = (node: Pick<BusGround, "say">, stream: StreamId, id: string) =>
  eventually(
    `${id} is taken`,
    async () => {
      await node.say(stream, id);
      return true;
    },
    { timeoutMs: 20_000 },
  );

let rounds = 0;
/** Every stream gets a new entry through. */
async function allFlow(node: BusGround, all: Awaited<ReturnType<typeof listeners>>) {
  const id = `round-${++rounds}`;
  for (const { stream } of all) await say(node, stream, id);
  for (const { listener } of all) await hears(listener, id);
}

test("every primary has one connection of the node, and streams of every slot flow", async () => {
  await using node = await ground();
  const all = await listeners(node);
  await allFlow(node, all.slice(0, 300));
  for (const place of await cluster.primaries()) {
    const clients = (await redisText(place, "CLIENT", "LIST", "TYPE", "pubsub")).split("\n").filter((line) => / ssub=[1-9]/.test(line));
    const own = clients.filter((line) => Number(/ ssub=(\d+)/.exec(line)?.[1]) > 100);
    expect(own).toHaveLength(1);
  }
  expect(node.bus.counts()).toMatchObject({ interruptions: 0, dead: 0 });
}, 60_000);

test("when a slot moves, its streams follow and are told; the others notice nothing", async () => {
  await using node = await ground();
  const all = await listeners(node);
  const [one] = all;
  if (!one) throw new Error("no stream");
  const moved = partition(one.stream);
  const affected = all.filter(({ stream }) => partition(stream) === moved);
  const others = all.filter(({ stream }) => partition(stream) !== moved);
  await cluster.migrateSlot(slotOfPartition(moved));
  await eventually("they are told", () => affected.every(({ listener }) => listener.gaps.length > 0));
  await allFlow(node, [...affected, ...others.slice(0, 300)]);
  expect(affected.every(({ listener }) => listener.gaps.join() === "reconnected")).toBe(true);
  expect(others.filter(({ listener }) => listener.gaps.length > 0)).toEqual([]);
  expect(node.bus.counts()).toMatchObject({ interruptions: 0, dead: 0 });
}, 60_000);

test("two slots that move one right after the other both follow", async () => {
  await using node = await ground();
  const all = await listeners(node);
  const partitions = [...new Set(all.map(({ stream }) => partition(stream)))].slice(0, 2);
  for (const number of partitions) await cluster.migrateSlot(slotOfPartition(number));
  const affected = all.filter(({ stream }) => partitions.includes(partition(stream)));
  await eventually("they are told", () => affected.every(({ listener }) => listener.gaps.length > 0));
  await allFlow(node, affected);
}, 60_000);

test("when a primary dies, its streams flow again from the one that takes over; the others notice nothing", async () => {
  await using node = await ground();
  const all = await listeners(node);
  const [one] = all;
  if (!one) throw new Error("no stream");
  const places = new Map<number, number>();
  for (const { stream } of all) {
    const number = partition(stream);
    if (!places.has(number)) places.set(number, (await cluster.primaryOf(slotOfPartition(number))).port);
  }
  const slot = slotOfPartition(partition(one.stream));
  const dead = await cluster.killPrimary(slot);
  const affected = all.filter(({ stream }) => places.get(partition(stream)) === dead.port);
  const others = all.filter(({ stream }) => places.get(partition(stream)) !== dead.port);
  const startedAt = performance.now();
  await cluster.failedOver(slot, dead);
  const failedOverMs = performance.now() - startedAt;
  await eventually("they are told", () => affected.every(({ listener }) => listener.gaps.length > 0), { timeoutMs: 20_000 });
  console.log(
    `failed over after ${Math.round(failedOverMs)} ms; ${affected.length} streams back after ${Math.round(performance.now() - startedAt)} ms`,
  );
  await allFlow(node, [...affected.slice(0, 200), ...others.slice(0, 200)]);
  expect(idsOf(one.listener).length).toBeGreaterThan(0);
  expect(others.filter(({ listener }) => listener.gaps.length > 0)).toEqual([]);
  await eventually("probes go on", () => node.bus.lagMs() !== undefined, { timeoutMs: PROBE_MS * 20 });
  await cluster.restart(dead);
}, 90_000);

// Why: several nodes on one Redis as one thing to load: their CPU summed, Redis' beside it. Nodes share the server's core,
// Redis shares the generator's. It must never count a round in which something did not arrive.
import { randomBytes } from "node:crypto";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { type RedisServer, startRedis } from "../../support/redis/server.ts";
import { cpuSeconds } from "../process.ts";
import type { Listeners } from "./listeners.ts";
import type { RequestsOptions } from "./requests.ts";
import { type Delivered, deliver, startTarget, type Target } from "./targets.ts";

export type RedisClient = Awaited<ReturnType<RedisLink["dial"]>>;

export type BenchRedis = AsyncDisposable & { readonly server: RedisServer; readonly client: RedisClient };

/** A Redis without persistence, and a connection that looks at it from outside. */
export async function benchRedis(): Promise<BenchRedis> {
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: console.error };
  const server = await startRedis();
  const link = await openLink({ addresses: [server.address], commandTimeoutMs: 5000, log });
  const [primary] = await link.primaries();
  if (!primary) throw new Error("no Redis");
  const client = await link.dial(primary);
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      client.disconnect();
      await link.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

export type Nodes = AsyncDisposable & { readonly all: readonly Target[]; readonly first: Target };

/** `redis`: undefined takes the memory engine, which only one node can have. All nodes take the same tokens and keys. */
export async function startNodes(count: number, redis: BenchRedis | undefined, flags: readonly string[] = []): Promise<Nodes> {
  await redis?.client.flushall();
  const secrets = ["--secret", randomBytes(32).toString("hex"), "--key", randomBytes(16).toString("hex")];
  const engine = redis ? ["--redis", redis.server.address] : [];
  const all = await Promise.all(Array.from({ length: count }, () => startTarget("nexus", [...engine, ...secrets, ...flags])));
  const [first] = all;
  if (!first) throw new Error("a fleet has at least one node");
  return {
    all,
    first,
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((one) => one[Symbol.asyncDispose]()));
    },
  };
}

/** A server that only does PUBLISH and SUBSCRIBE by hand, as a fleet of one: the floor of {@link startNodes}. */
export async function startFloor(redis: BenchRedis, kind: "floor" | "floor gathered 2 ms"): Promise<Nodes> {
  const first = await startTarget(kind, ["--redis", redis.server.address]);
  return { all: [first], first, [Symbol.asyncDispose]: () => first[Symbol.asyncDispose]() };
}

/** `count` users spread evenly over the nodes, as one crowd. `sampled`: of each node. */
export async function listenOn(
  nodes: readonly Target[],
  count: number,
  channelsOf: (index: number) => readonly string[],
  how: { readonly sampled?: number; readonly onSample?: (text: string) => void; readonly atOnce?: number } = {},
): Promise<Listeners> {
  const each = Math.ceil(count / nodes.length);
  const crowds: Listeners[] = [];
  for (const [at, node] of nodes.entries()) {
    crowds.push(await node.listen(Math.min(each, count - at * each), channelsOf, { ...how, firstUser: at * each }));
  }
  return {
    received: () => crowds.reduce((sum, crowd) => sum + crowd.received(), 0),
    lost: () => crowds.reduce((sum, crowd) => sum + crowd.lost(), 0),
    send: (index, text) => crowds[Math.floor(index / each)]?.send(index % each, text),
    async [Symbol.asyncDispose]() {
      for (const crowd of crowds) await crowd[Symbol.asyncDispose]();
    },
  };
}

/** `nodes`: the first is published through. `each`: listeners that every publish must reach. */
export type Crowd = {
  readonly nodes: readonly Target[];
  readonly redis?: BenchRedis;
  readonly listeners: Listeners;
  readonly each: number;
};

/** CPU in seconds: of all nodes together, and of Redis. */
export type FleetDelivered = Omit<Delivered, "cpuSeconds"> & { readonly nodesCpu: number; readonly redisCpu: number };

/** Publishes for `seconds`. Throws unless each publish that was answered reached everybody it had to. */
export async function deliverFleet(
  { nodes, redis, listeners, each }: Crowd,
  load: { requests: RequestsOptions; seconds: number; perSecond?: number },
): Promise<FleetDelivered> {
  const read = () => ({
    nodes: nodes.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0),
    redis: redis ? cpuSeconds(redis.server.pid) : 0,
  });
  const [publisher] = nodes;
  if (!publisher) throw new Error("nobody to publish through");
  const before = read();
  const { cpuSeconds: _first, ...delivered } = await deliver(publisher, listeners, load);
  const after = read();
  const { publishes, deliveries, lost } = delivered;
  if (lost > 0 || deliveries < publishes * each)
    throw new Error(`${publishes} publishes made ${deliveries} deliveries, ${lost} listeners lost`);
  return { ...delivered, nodesCpu: after.nodes - before.nodes, redisCpu: after.redis - before.redis };
}

// Why: what Redis between publisher and listener costs: CPU per delivered notification on several nodes against one node,
// same listeners, same rate, and against a server that does nothing but PUBLISH and SUBSCRIBE by hand. And to single users
// who are on another node than the publisher.
import {
  type BenchRedis,
  benchRedis,
  type Crowd,
  deliverFleet,
  type FleetDelivered,
  listenOn,
  type Nodes,
  startFloor,
  startNodes,
} from "./load/fleet.ts";
import { pinGenerator } from "./load/targets.ts";
import { type Timing, timing } from "./load/timing.ts";

const LISTENERS = 999; // divides by 3
const USERS = 1000;
const USERS_PER_SECOND = 2000;
/** Publishes a second; undefined: as many as are answered, 8 in flight. */
const RATES: readonly (number | undefined)[] = [50, 400, undefined];
const SECONDS = 6;
const WARM = { seconds: 2, perSecond: 100 };

/** `isRedis`: whether Redis' CPU is part of it. */
type Setting = { readonly name: string; readonly isRedis: boolean; start(redis: BenchRedis): Promise<Nodes> };
const MEMORY: Setting = { name: "memory, 1 node", isRedis: false, start: () => startNodes(1, undefined) };
const nodesOf = (name: string, count: number): Setting => ({ name, isRedis: true, start: (redis) => startNodes(count, redis) });
const floorOf = (kind: "floor" | "floor gathered 2 ms"): Setting => ({
  name: `${kind} through Redis`,
  isRedis: true,
  start: (redis) => startFloor(redis, kind),
});

const microseconds = (cpu: number, { deliveries }: FleetDelivered): number => (cpu / deliveries) * 1e6;

function print(name: string, result: FleetDelivered, { times, memory }: { readonly times: Timing; readonly memory: number }): void {
  const each = microseconds(result.nodesCpu, result);
  console.log(
    `${name.padEnd(52)} ${(result.publishes / result.seconds).toFixed(0).padStart(5)} publishes/s, ` +
      `${(result.deliveries / result.seconds / 1000).toFixed(1).padStart(6)}k deliveries/s: nodes ${each.toFixed(2)} us CPU each ` +
      `(${(each / memory).toFixed(2)} x memory), Redis ${microseconds(result.redisCpu, result).toFixed(3)} us; ` +
      `request to socket p50 ${times.at(0.5).toFixed(2)} ms, p99 ${times.at(0.99).toFixed(2)} ms`,
  );
}

async function toChannel(redis: BenchRedis): Promise<void> {
  const memory = new Map<number | undefined, number>();
  for (const setting of [MEMORY, floorOf("floor gathered 2 ms"), nodesOf("Redis, 1 node", 1), nodesOf("Redis, 3 nodes", 3)]) {
    await using nodes = await setting.start(redis);
    const times = timing();
    await using listeners = await listenOn(nodes.all, LISTENERS, () => ["channel-0"], { sampled: 10, onSample: times.onSample });
    const toOf = () => ({ channel: "channel-0" });
    const [closed, open] = [nodes.first.publishes(toOf, times.payload), nodes.first.publishes(toOf, times.payload, 64)];
    const crowd: Crowd = { nodes: nodes.all, ...(setting.isRedis ? { redis } : {}), listeners, each: LISTENERS };
    await deliverFleet(crowd, { requests: open, ...WARM });
    for (const perSecond of RATES) {
      times.reset();
      const load = perSecond === undefined ? { requests: closed } : { requests: open, perSecond };
      const result = await deliverFleet(crowd, { ...load, seconds: SECONDS });
      if (setting === MEMORY) memory.set(perSecond, microseconds(result.nodesCpu, result));
      print(`1 channel x ${LISTENERS}: ${setting.name}`, result, { times, memory: memory.get(perSecond) ?? Number.NaN });
    }
  }
}

async function toUsers(redis: BenchRedis): Promise<void> {
  let memory = Number.NaN;
  for (const setting of [MEMORY, floorOf("floor"), nodesOf("Redis, the same node", 1), nodesOf("Redis, another node", 2)]) {
    await using nodes = await setting.start(redis);
    const times = timing();
    const theirs = nodes.all.slice(-1);
    await using listeners = await listenOn(theirs, USERS, () => [], { sampled: 50, onSample: times.onSample });
    const requests = nodes.first.publishes((n) => ({ user: `user-${n % USERS}` }), times.payload, 64);
    const crowd: Crowd = { nodes: nodes.all, ...(setting.isRedis ? { redis } : {}), listeners, each: 1 };
    await deliverFleet(crowd, { requests, ...WARM, perSecond: USERS_PER_SECOND });
    times.reset();
    const result = await deliverFleet(crowd, { requests, seconds: SECONDS, perSecond: USERS_PER_SECOND });
    if (setting === MEMORY) memory = microseconds(result.nodesCpu, result);
    print(`single users: ${setting.name}`, result, { times, memory });
  }
}

export async function fleetDelivery(): Promise<void> {
  pinGenerator(); // and Redis with it, which this process starts
  await using redis = await benchRedis();
  await toChannel(redis);
  await toUsers(redis);
}

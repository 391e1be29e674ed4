// Why: what Redis between publisher and listener costs: CPU per delivered notification on several nodes against one node,
// same listeners, same rate. And to single users who are on another node than the publisher.
import { type BenchRedis, benchRedis, deliverFleet, type FleetDelivered, listenOn, startNodes } from "./load/fleet.ts";
import { pinGenerator } from "./load/targets.ts";
import { type Timing, timing } from "./load/timing.ts";

const LISTENERS = 999; // divides by 3
const USERS = 1000;
const USERS_PER_SECOND = 2000;
/** Publishes a second; undefined: as many as are answered, 8 in flight. */
const RATES: readonly (number | undefined)[] = [50, 400, undefined];
const SECONDS = 6;

type Setting = { readonly name: string; readonly nodes: number; readonly isRedis: boolean };
const SETTINGS: readonly Setting[] = [
  { name: "memory, 1 node ", nodes: 1, isRedis: false },
  { name: "Redis, 1 node  ", nodes: 1, isRedis: true },
  { name: "Redis, 3 nodes ", nodes: 3, isRedis: true },
];

const microseconds = (cpu: number, { deliveries }: FleetDelivered): number => (cpu / deliveries) * 1e6;

function print(name: string, result: FleetDelivered, { times, one }: { readonly times: Timing; readonly one: number }): void {
  const each = microseconds(result.nodesCpu, result);
  console.log(
    `${name} ${(result.publishes / result.seconds).toFixed(0).padStart(5)} publishes/s, ${(result.deliveries / result.seconds / 1000).toFixed(1).padStart(6)}k deliveries/s: ` +
      `nodes ${each.toFixed(2)} us CPU each (${(each / one).toFixed(2)} x memory), Redis ${microseconds(result.redisCpu, result).toFixed(3)} us; ` +
      `request to socket p50 ${times.at(0.5).toFixed(2)} ms, p99 ${times.at(0.99).toFixed(2)} ms`,
  );
}

async function toChannel(redis: BenchRedis): Promise<void> {
  const floor = new Map<number | undefined, number>();
  for (const { name, nodes: count, isRedis } of SETTINGS) {
    const engine = isRedis ? redis : undefined;
    await using nodes = await startNodes(count, engine);
    const times = timing();
    const how = { sampled: 10, onSample: times.onSample };
    await using listeners = await listenOn(nodes.all, LISTENERS, () => ["channel-0"], how);
    const toOf = () => ({ channel: "channel-0" });
    const [closed, open] = [nodes.first.publishes(toOf, times.payload), nodes.first.publishes(toOf, times.payload, 64)];
    const crowd = { nodes: nodes.all, redis: engine, listeners, each: LISTENERS };
    await deliverFleet(crowd, { requests: open, seconds: 1, perSecond: 100 }); // warm
    for (const perSecond of RATES) {
      times.reset();
      const load = perSecond === undefined ? { requests: closed } : { requests: open, perSecond };
      const result = await deliverFleet(crowd, { ...load, seconds: SECONDS });
      if (!isRedis) floor.set(perSecond, microseconds(result.nodesCpu, result));
      print(`1 channel x ${LISTENERS}: ${name}`, result, { times, one: floor.get(perSecond) ?? Number.NaN });
    }
  }
}

async function toUsers(redis: BenchRedis): Promise<void> {
  let floor = Number.NaN;
  for (const { name, count, isRedis } of [
    { name: "memory, 1 node ", count: 1, isRedis: false },
    { name: "Redis, the same node", count: 1, isRedis: true },
    { name: "Redis, another node ", count: 2, isRedis: true },
  ]) {
    const engine = isRedis ? redis : undefined;
    await using nodes = await startNodes(count, engine);
    const times = timing();
    const theirs = nodes.all.slice(-1);
    await using listeners = await listenOn(theirs, USERS, () => [], { sampled: 50, onSample: times.onSample });
    const requests = nodes.first.publishes((n) => ({ user: `user-${n % USERS}` }), times.payload, 64);
    const crowd = { nodes: nodes.all, redis: engine, listeners, each: 1 };
    await deliverFleet(crowd, { requests, seconds: 1, perSecond: USERS_PER_SECOND }); // warm
    times.reset();
    const result = await deliverFleet(crowd, { requests, seconds: SECONDS, perSecond: USERS_PER_SECOND });
    if (!isRedis) floor = microseconds(result.nodesCpu, result);
    print(`single users: ${name}`, result, { times, one: floor });
  }
}

export async function fleetDelivery(): Promise<void> {
  pinGenerator(); // and Redis with it, which this process starts
  await using redis = await benchRedis();
  await toChannel(redis);
  await toUsers(redis);
}

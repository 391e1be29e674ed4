// Why: what Redis between publisher and listener adds to a notification's way, at a load the fleet carries: half of what it
// took at full speed. Beside it a server that does nothing but PUBLISH and SUBSCRIBE through the same Redis.
import { type BenchRedis, benchRedis, deliverFleet, listenOn, startFloor, startNodes } from "./load/fleet.ts";
import { percentile, pinGenerator, type Target } from "./load/targets.ts";
import { timing } from "./load/timing.ts";

const LISTENERS = 1000;
const SAMPLED = 20;
const FULL_SECONDS = 4;
const SECONDS = 8;
const PUBLISHERS = 8;
/** Publishes a second that every setting carries, so that they can be compared at the same load. */
const SAME = 150;

async function measure(name: string, nodes: readonly Target[], redis: BenchRedis): Promise<void> {
  const [first] = nodes;
  if (!first) throw new Error("nobody to publish through");
  const times = timing();
  const sampled = Math.ceil(SAMPLED / nodes.length);
  await using listeners = await listenOn(nodes, LISTENERS, () => ["channel-0"], { sampled, onSample: times.onSample });
  const took: number[] = [];
  const requests = {
    ...first.publishes(() => ({ channel: "channel-0" }), times.payload, PUBLISHERS),
    onAnswer: (milliseconds: number) => took.push(milliseconds),
  };
  const crowd = { nodes, redis, listeners, each: LISTENERS };
  await deliverFleet(crowd, { requests, seconds: 1, perSecond: 50 }); // warm
  const full = await deliverFleet(crowd, { requests, seconds: FULL_SECONDS });
  const half = Math.max(1, Math.floor(full.publishes / full.seconds / 2));
  console.log(
    `${name} full speed ${(full.publishes / full.seconds).toFixed(0)} publishes/s, ${(full.deliveries / full.seconds / 1000).toFixed(0)}k deliveries/s, answered p50 ${percentile(took, 0.5).toFixed(1)} ms`,
  );
  const patient = { ...requests, connections: 64 };
  for (const [what, perSecond] of [
    ["half of it", half],
    ["the same for all", SAME],
  ] as const) {
    times.reset();
    const result = await deliverFleet(crowd, { requests: patient, seconds: SECONDS, perSecond });
    console.log(
      `${name}   ${what}: ${(result.publishes / result.seconds).toFixed(0)} publishes/s, ${(result.deliveries / result.seconds / 1000).toFixed(0)}k deliveries/s: ` +
        `request to socket p50 ${times.at(0.5).toFixed(2)} ms, p99 ${times.at(0.99).toFixed(2)} ms`,
    );
  }
}

export async function fleetLatency(): Promise<void> {
  pinGenerator(); // and Redis with it, which this process starts
  await using redis = await benchRedis();
  for (const kind of ["floor", "floor gathered 2 ms"] as const) {
    await using floor = await startFloor(redis, kind);
    await measure(`${kind} through Redis:`.padEnd(32), floor.all, redis);
  }
  for (const count of [1, 2]) {
    await using nodes = await startNodes(count, redis);
    await measure(`nexus, ${count} ${count === 1 ? "node" : "nodes"}:`.padEnd(32), nodes.all, redis);
  }
}

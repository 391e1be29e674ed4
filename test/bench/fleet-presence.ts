// Why: sessions that do nothing still cost Redis: their leases are renewed. What that is, by how many there are on one node;
// and whether all of them can come in the same moment.
import { type BenchRedis, benchRedis, listenOn, startNodes } from "./load/fleet.ts";
import { pinGenerator } from "./load/targets.ts";
import { cpuSeconds } from "./process.ts";

const SESSIONS = [1000, 5000, 10_000];
const SECONDS = 15;

/** Commands Redis did, scripts and what they call included; and calls from outside. */
async function commandsOf({ client }: BenchRedis): Promise<{ readonly all: number; readonly scripts: number }> {
  const found = { all: 0, scripts: 0 };
  for (const [, name, calls] of (await client.info("commandstats")).matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
    if (name === "info") continue;
    found.all += Number(calls);
    if (name === "evalsha") found.scripts += Number(calls);
  }
  return found;
}

export async function fleetPresence(): Promise<void> {
  pinGenerator(); // and Redis with it, which this process starts
  await using redis = await benchRedis();
  for (const sessions of SESSIONS) {
    await using nodes = await startNodes(1, redis);
    const began = performance.now();
    await using listeners = await listenOn(nodes.all, sessions, () => ["channel-0"], { atOnce: sessions });
    const entered = (performance.now() - began) / 1000;
    await Bun.sleep(4000); // everything was renewed once
    const read = async () => ({
      ...(await commandsOf(redis)),
      redis: cpuSeconds(redis.server.pid),
      node: cpuSeconds(nodes.first.pid),
      at: performance.now(),
    });
    const before = await read();
    await Bun.sleep(SECONDS * 1000); // the span that is measured
    const after = await read();
    const seconds = (after.at - before.at) / 1000;
    const [ofRedis, ofNode] = [(after.redis - before.redis) / seconds, (after.node - before.node) / seconds];
    console.log(
      `${sessions} sessions with one channel: all there after ${entered.toFixed(2)} s (${listeners.lost()} refused); idle: Redis ${(ofRedis * 100).toFixed(1)} % of a core, ` +
        `${((ofRedis / sessions) * 1e6).toFixed(2)} us per session and second, ${((after.scripts - before.scripts) / seconds).toFixed(0)} scripts/s, ` +
        `${((after.all - before.all) / seconds).toFixed(0)} commands/s; node ${(ofNode * 100).toFixed(1)} % of a core`,
    );
  }
}

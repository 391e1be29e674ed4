// Why: the least a publish through Redis can be: one SET and one SPUBLISH, pipelined by ioredis, nothing kept in step.
// It must never do more than that. Arguments: host:port, seconds. Prints one line of JSON.
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { cpuSeconds } from "../process.ts";

/** Publishers, and how many publishes each sends together: as many in flight as the server has. */
const PUBLISHERS = 8;
const TOGETHER = 8;
const [address = "", seconds = "5"] = process.argv.slice(2);
const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: console.error };
const link = await openLink({ addresses: [address], commandTimeoutMs: 5000, log });
const [primary] = await link.primaries();
if (!primary) throw new Error("no Redis");
const client = await link.dial(primary);
const text = "x".repeat(400);
const took: number[] = [];
let n = 0;

async function publisher(until: number): Promise<void> {
  while (performance.now() < until) {
    const began = performance.now();
    const pipeline = client.pipeline();
    for (let i = 0; i < TOGETHER; i++) {
      const user = `{p${n % 256}}:user-${n++ % 10_000}`;
      pipeline.set(user, text).spublish(user, text);
    }
    await pipeline.exec();
    const milliseconds = performance.now() - began;
    for (let i = 0; i < TOGETHER; i++) took.push(milliseconds);
  }
}

await publisher(performance.now() + 500);
took.length = 0;
const cpu = cpuSeconds(process.pid);
const began = performance.now();
await Promise.all(Array.from({ length: PUBLISHERS }, () => publisher(began + Number(seconds) * 1000)));
const cpuMicroseconds = ((cpuSeconds(process.pid) - cpu) / took.length) * 1e6;
const perSecond = (took.length / (performance.now() - began)) * 1000;
took.sort((a, b) => a - b);
const at = (share: number) => took[Math.floor(took.length * share)] ?? Number.NaN;
process.stdout.write(`${JSON.stringify({ perSecond, p50: at(0.5), p99: at(0.99), cpuMicroseconds })}\n`);
await new Promise(() => undefined); // until whoever started it has read this

// Why: what it costs to keep what is acknowledged: the same publishes into the memory engine (the floor) and into SQLite
// with both settings, in one process without HTTP, so that the engines are what differs. Disks differ more than machines:
// the cost of one flush to this disk is printed beside.
import { fsyncSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import { createSqliteEngine } from "@nexus/server/adapters/sqlite/engine.ts";
import type { Engine } from "@nexus/server/core/engine.ts";
import type { PublishRequest } from "@nexus/server/core/ports.ts";

const USERS = 10_000;
const PAYLOAD = JSON.stringify({ text: "x".repeat(180) });
const ROUNDS = 3;
const SECONDS = 3;
const MAX_BYTES = 1024 * 1024 * 1024;
const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: console.error };

const request = (n: number, isIdempotent: boolean): PublishRequest => ({
  stream: { kind: "inbox", tenant: "acme", user: `user-${(n * 7919) % USERS}` },
  notification: {
    id: systemIds.uuid(),
    occurredAt: systemClock.now(),
    eventType: "order.shipped",
    payloadJson: PAYLOAD,
    metadata: { source: "bench", priority: "Normal" },
  },
  retention: { entries: 100, ttlSeconds: 3600 },
  ...(isIdempotent ? { idempotency: { key: crypto.randomUUID(), fingerprint: "f" } } : {}),
});

type Load = { readonly inFlight: number; readonly isIdempotent: boolean };
type Figures = { readonly perSecond: number; readonly p50: number; readonly p99: number; readonly longestStall: number };

/** `inFlight` publishers, each waiting for its answer as a request does; every answer comes in a turn of its own. */
async function measure({ store }: Engine, { inFlight, isIdempotent }: Load): Promise<Figures> {
  const took: number[] = [];
  const until = performance.now() + SECONDS * 1000;
  let n = 0;
  let longestStall = 0;
  let lastTurn = performance.now();
  const beat = setInterval(() => {
    longestStall = Math.max(longestStall, performance.now() - lastTurn - 1);
    lastTurn = performance.now();
  }, 1);
  const publisher = async () => {
    while (performance.now() < until) {
      const began = performance.now();
      await store.publish(request(n++, isIdempotent));
      took.push(performance.now() - began);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: inFlight }, publisher));
  const seconds = (performance.now() - began) / 1000;
  clearInterval(beat);
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.floor(took.length * share)] ?? Number.NaN;
  return { perSecond: took.length / seconds, p50: at(0.5), p99: at(0.99), longestStall };
}

type Make = (folder: string) => Promise<Engine>;
const ENGINES: Readonly<Record<string, Make>> = {
  memory: async () => createMemoryEngine({ clock: systemClock, ids: systemIds, maxBytes: MAX_BYTES }),
  "sqlite NORMAL": (folder) => sqlite(folder, "NORMAL"),
  "sqlite FULL": (folder) => sqlite(folder, "FULL"),
};

const sqlite = (folder: string, synchronous: "FULL" | "NORMAL") =>
  createSqliteEngine({ ...{ clock: systemClock, ids: systemIds, log, synchronous, maxBytes: MAX_BYTES }, file: join(folder, "nexus.db") });

const LOADS: readonly Load[] = [
  { inFlight: 1, isIdempotent: false },
  { inFlight: 256, isIdempotent: false },
  { inFlight: 256, isIdempotent: true },
];

async function run(make: Make, load: Load): Promise<Figures> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-bench-"));
  const engine = await make(folder);
  try {
    return await measure(engine, load);
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Milliseconds until 4 KiB are on the disk. */
async function flushCost(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-bench-"));
  const file = openSync(join(folder, "flush"), "w");
  const block = Buffer.alloc(4096, 1);
  const took = Array.from({ length: 200 }, () => {
    const began = performance.now();
    writeSync(file, block);
    fsyncSync(file);
    return performance.now() - began;
  });
  await rm(folder, { recursive: true, force: true });
  return median(took);
}

export async function sqlitePublish(): Promise<void> {
  console.log(`one flush to this disk: ${(await flushCost()).toFixed(2)} ms (median of 200)`);
  for (const load of LOADS) {
    console.log(
      `${load.inFlight} in flight${load.isIdempotent ? ", each with an Idempotency-Key" : ""}, medians of ${ROUNDS} × ${SECONDS} s`,
    );
    const figures = new Map<string, Figures[]>();
    // In turns, so that a slow minute of the machine hits all alike.
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, make] of Object.entries(ENGINES)) figures.set(name, [...(figures.get(name) ?? []), await run(make, load)]);
    }
    const floor = median((figures.get("memory") ?? []).map(({ perSecond }) => perSecond));
    for (const [name, rounds] of figures) {
      const of = (key: keyof Figures) => median(rounds.map((one) => one[key]));
      console.log(
        `  ${name.padEnd(14)} ${of("perSecond").toFixed(0).padStart(7)}/s (${(of("perSecond") / floor).toFixed(2)} × memory), ` +
          `p50 ${of("p50").toFixed(2)} ms, p99 ${of("p99").toFixed(2)} ms, longest stall ${of("longestStall").toFixed(0)} ms`,
      );
    }
  }
}

// Why: what an inbox in PostgreSQL costs beside one in Redis: the same publishes into both, in one process without HTTP,
// every publish to a user who is away. Also what an entry takes on the disk. All on this machine's cores together.
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { announcesInOrder, createPostgresEngine } from "@nexus/server/adapters/postgres/engine.ts";
import { createRedisEngine } from "@nexus/server/adapters/redis/engine.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import type { Engine } from "@nexus/server/core/engine.ts";
import type { PublishRequest } from "@nexus/server/core/ports.ts";
import { SQL } from "bun";
import { type PostgresServer, startPostgres } from "../support/postgres.ts";
import { type RedisServer, startRedis } from "../support/redis/server.ts";
import { percentile } from "./load/targets.ts";

const USERS = 10_000;
const SECONDS = 4;
const ROUNDS = 3;
const PAYLOAD = JSON.stringify({ text: "x".repeat(180) });
const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: console.error };

type Load = { readonly inFlight: number; readonly isIdempotent: boolean };
const LOADS: readonly Load[] = [
  { inFlight: 1, isIdempotent: false },
  { inFlight: 64, isIdempotent: false },
  { inFlight: 512, isIdempotent: false },
  { inFlight: 512, isIdempotent: true },
];
type Figures = { readonly perSecond: number; readonly p50: number; readonly p99: number };

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

/** `inFlight` publishers, each waiting for its answer as a request does. */
async function measure({ store }: Engine, { inFlight, isIdempotent }: Load): Promise<Figures> {
  const took: number[] = [];
  const began = performance.now();
  const until = began + SECONDS * 1000;
  let n = Math.floor(Math.random() * USERS);
  const publisher = async () => {
    while (performance.now() < until) {
      const at = performance.now();
      await store.publish(request(n++, isIdempotent));
      took.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, publisher));
  const seconds = (performance.now() - began) / 1000;
  return { perSecond: took.length / seconds, p50: percentile(took, 0.5), p99: percentile(took, 0.99) };
}

let engines = 0;

async function redisEngine(redis: RedisServer, ordered?: typeof announcesInOrder) {
  const link = await openLink({ addresses: [redis.address], commandTimeoutMs: 5000, log });
  const shared = { link, clock: systemClock, ids: systemIds, log, prefix: `bench-${++engines}` };
  return { shared, redis: await createRedisEngine({ ...shared, node: "bench", probeMs: 2000, ...(ordered ? { ordered } : {}) }) };
}

async function postgresEngine(redis: RedisServer, postgres: PostgresServer): Promise<Engine> {
  const parts = await redisEngine(redis, announcesInOrder);
  return await createPostgresEngine({ ...parts.shared, redis: parts.redis, url: () => postgres.url, poolSize: 10 });
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Bytes per entry, with and without its indexes, as the tables stand. */
async function sizes(postgres: PostgresServer): Promise<string> {
  await using sql = new SQL(postgres.url, { max: 1 });
  await sql.unsafe("VACUUM ANALYZE nexus.entries");
  const [row] = await sql.unsafe(
    `SELECT count(*)::int AS entries, pg_relation_size('nexus.entries')::float8 AS heap, pg_indexes_size('nexus.entries')::float8 AS indexes,
       avg(octet_length(id) + octet_length(head) + octet_length(payload))::float8 AS content FROM nexus.entries`,
  );
  const each = (bytes: number) => (bytes / row.entries).toFixed(0);
  return `${row.entries} entries of ${row.content.toFixed(0)} bytes: ${each(row.heap)} bytes in the table and ${each(row.indexes)} in indexes each`;
}

export async function postgresPublish(): Promise<void> {
  await using redis = await startRedis();
  await using durable = await startPostgres({ isDurable: true, settings: ["shared_buffers = 256MB", "max_wal_size = 4GB"] });
  const makers: Readonly<Record<string, () => Promise<Engine>>> = {
    "redis inbox": async () => (await redisEngine(redis)).redis,
    "postgres inbox": () => postgresEngine(redis, durable),
  };
  for (const load of LOADS) {
    console.log(
      `${load.inFlight} in flight${load.isIdempotent ? ", each with an Idempotency-Key" : ""}, medians of ${ROUNDS} × ${SECONDS} s`,
    );
    const figures = new Map<string, Figures[]>();
    // In turns, so that a slow minute of the machine hits both alike.
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, make] of Object.entries(makers)) {
        const engine = await make();
        figures.set(name, [...(figures.get(name) ?? []), await measure(engine, load)]);
        await engine.close();
      }
    }
    for (const [name, rounds] of figures) {
      const of = (key: keyof Figures) => median(rounds.map((one) => one[key]));
      console.log(
        `  ${name.padEnd(15)} ${of("perSecond").toFixed(0).padStart(6)}/s, p50 ${of("p50").toFixed(2)} ms, p99 ${of("p99").toFixed(2)} ms`,
      );
    }
  }
  console.log(await sizes(durable));
}

// Why: suites run against inboxes in PostgreSQL through this. One PostgreSQL and one Redis serve a test file; subjects
// share a database, as nodes and tenants do. It must never share a key of Redis between two subjects.
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { announcesInOrder, createPostgresEngine, type PostgresEngine } from "@nexus/server/adapters/postgres/engine.ts";
import { createRedisEngine } from "@nexus/server/adapters/redis/engine.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import type { Clock } from "@nexus/server/core/ports.ts";
import type { Subject } from "../contract/subject.ts";
import { type ManualServerClock, manualServerClock } from "./manual-engine-clock.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export type PostgresSubject = Subject & { readonly engine: PostgresEngine; readonly link: RedisLink };

/** `open` makes a link of the subject's own, closed with it. Nodes of one fleet share `prefix`. */
export type PostgresSubjectOptions = {
  readonly url: string;
  readonly open: () => Promise<RedisLink>;
  readonly prefix?: string;
  readonly poolSize?: number;
  readonly timeoutMs?: number;
  readonly node?: string;
};

let subjects = 0;

export async function postgresNode(options: PostgresSubjectOptions, clock: Clock): Promise<{ engine: PostgresEngine; link: RedisLink }> {
  const { url, open, prefix = `postgres-${process.pid}-${++subjects}`, poolSize = 4, timeoutMs = 5000, node = "node" } = options;
  const link = await open();
  const shared = { link, clock, ids: systemIds, log: silent, prefix };
  const redis = await createRedisEngine({ ...shared, node, probeMs: 1000, ordered: announcesInOrder });
  return { engine: await createPostgresEngine({ ...shared, redis, url: () => url, poolSize, timeoutMs }), link };
}

export async function postgresSubject(
  options: PostgresSubjectOptions,
  clock: ManualServerClock = manualServerClock(),
): Promise<PostgresSubject> {
  const { engine, link } = await postgresNode(options, clock);
  return {
    ...{ engine, link, now: clock.now },
    advance: async (ms) => {
      clock.advance(ms);
      await engine.sweep();
    },
    [Symbol.asyncDispose]: () => engine.close(),
  };
}

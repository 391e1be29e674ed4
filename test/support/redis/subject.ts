// Why: every suite of an engine's part runs against the Redis engine through this. One Redis serves a test file; each
// subject has keys of its own. It must never share a key between two subjects.
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createRedisEngine, type RedisEngine } from "@nexus/server/adapters/redis/engine.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import type { Subject } from "../../contract/subject.ts";
import { manualServerClock } from "../manual-engine-clock.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export type RedisSubject = Subject & { readonly engine: RedisEngine; readonly link: RedisLink; readonly prefix: string };

let subjects = 0;

/** `open` makes a link of the subject's own, closed with it. */
export async function redisSubject(open: () => Promise<RedisLink>): Promise<RedisSubject> {
  const clock = manualServerClock();
  const link = await open();
  const prefix = `test-${process.pid}-${++subjects}`;
  const engine = await createRedisEngine({ link, clock, ids: systemIds, log: silent, node: "node", prefix, probeMs: 1000 });
  return {
    ...{ engine, link, prefix, now: clock.now },
    advance: async (ms) => clock.advance(ms),
    [Symbol.asyncDispose]: () => engine.close(),
  };
}

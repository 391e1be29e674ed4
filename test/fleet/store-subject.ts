// Why: tests of the stream store alone: a store over a real Redis, its keys, and what it sent there. It must never know of
// the other parts of the engine.
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { Keys } from "@nexus/server/adapters/redis/keys.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { createRedisStore } from "@nexus/server/adapters/redis/store.ts";
import type { PublishRequest, StreamId, StreamStore } from "@nexus/server/core/ports.ts";
import { manualServerClock } from "../support/manual-engine-clock.ts";

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export type StoreSubject = AsyncDisposable & {
  readonly store: StreamStore;
  readonly link: RedisLink;
  readonly keys: Keys;
  /** Names of the scripts that ran, in order. */
  readonly ran: string[];
  readonly clock: ReturnType<typeof manualServerClock>;
  /** Another node over the same keys. */
  sibling(): StreamStore;
  /** Publishes a notification `id`; ten entries of a minute are kept unless `change` says otherwise. */
  publish(stream: StreamId, id: string, change?: PublishChange): Promise<{ epoch: string; offset: number } | undefined>;
};

export type PublishChange = {
  readonly ttl?: number;
  readonly payloadJson?: string;
  readonly retention?: PublishRequest["retention"];
};

let subjects = 0;

/** `online`: what the directory answers for an audience. */
export async function storeSubject(address: string, online = 0): Promise<StoreSubject> {
  const opened = await openLink({ addresses: [address], commandTimeoutMs: 2000, log });
  const ran: string[] = [];
  const link: RedisLink = {
    ...opened,
    run: (script, keys, args) => {
      ran.push(script.name);
      return opened.run(script, keys, args);
    },
  };
  const clock = manualServerClock();
  const keys = new Keys(`store-${process.pid}-${++subjects}`);
  const parts = { link, clock, ids: systemIds, log, node: "node", self: `node/${subjects}`, probeMs: 1000, keys };
  const sibling = () => createRedisStore(parts, { directory: { online: async () => online } });
  const store = sibling();
  return {
    ...{ store, link, keys, ran, clock, sibling },
    async publish(stream, id, { ttl, payloadJson = "null", retention = { entries: 10, ttlSeconds: 60 } } = {}) {
      const metadata = { source: "test", priority: "Normal" as const, ...(ttl === undefined ? {} : { ttl }) };
      const notification = { id, occurredAt: clock.now(), eventType: "test", payloadJson, metadata };
      const outcome = await store.publish({ stream, notification, retention });
      return outcome.kind === "published" ? outcome.record.position : undefined;
    },
    [Symbol.asyncDispose]: () => link.close(),
  };
}

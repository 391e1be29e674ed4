// Why: what the tests of PostgreSQL's faults share: nodes over one Redis and one PostgreSQL, and the loads they get.

import { expect } from "bun:test";
import { Failure } from "@nexus/protocol/failures.ts";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import type { PostgresEngine } from "@nexus/server/adapters/postgres/engine.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import type { PublishRequest, StreamId, StreamStore } from "@nexus/server/core/ports.ts";
import { postgresNode } from "../support/postgres-subject.ts";
import type { RedisServer } from "../support/redis/server.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export const inboxOf = (user: string): StreamId => ({ kind: "inbox", tenant: "acme", user });
export const channelOf = (channel: string): StreamId => ({ kind: "channel", tenant: "acme", channel });

/** Published now, room for 10,000 entries of an hour. */
export const requestTo = (stream: StreamId, change: { readonly id?: string; readonly payloadJson?: string } = {}): PublishRequest => ({
  stream,
  notification: {
    ...{ id: change.id ?? systemIds.uuid(), occurredAt: systemClock.now(), eventType: "test", payloadJson: change.payloadJson ?? "null" },
    metadata: { source: "test", priority: "Normal" },
  },
  retention: { entries: 10_000, ttlSeconds: 3600 },
});

export type Node = AsyncDisposable & { readonly engine: PostgresEngine; readonly store: StreamStore };

export type NodeOptions = {
  readonly redis: RedisServer;
  readonly url: string;
  /** Nodes of one fleet share it. */
  readonly prefix?: string;
  readonly poolSize?: number;
  readonly timeoutMs?: number;
  /** Laid over the link to Redis. */
  readonly wrap?: (link: RedisLink) => RedisLink;
};

/** A link that logs nothing. */
export const openQuietly = (redis: RedisServer): Promise<RedisLink> =>
  openLink({ addresses: [redis.address], commandTimeoutMs: 2000, log: silent });

export async function startNode({ redis, wrap = (link) => link, ...options }: NodeOptions): Promise<Node> {
  const open = async () => wrap(await openQuietly(redis));
  const { engine } = await postgresNode({ open, ...options }, systemClock);
  return { engine, store: engine.store, [Symbol.asyncDispose]: () => engine.close() };
}

/** What a call was refused with; fails the test when it was not `broker_unavailable`. How long that took, in milliseconds. */
export async function refused(call: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  const error = await call().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).refusal.code).toBe("broker_unavailable");
  return performance.now() - began;
}

/** Whether a call goes through now. */
export const works = (call: () => Promise<unknown>): Promise<boolean> =>
  call().then(
    () => true,
    () => false,
  );

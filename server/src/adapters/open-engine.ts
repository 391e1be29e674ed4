// Why: the configuration names an engine; this opens it. It must never start one half: what was opened is closed again.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import type { Engine } from "../core/engine.ts";
import type { Clock, Ids, Log } from "../core/ports.ts";
import { createMemoryEngine } from "./memory/engine.ts";
import type { ServerMetrics } from "./metrics.ts";
import { addressFrom } from "./postgres/address.ts";
import { announcesInOrder, createPostgresEngine, type PostgresEngine, type PostgresHealth } from "./postgres/engine.ts";
import { createRedisEngine } from "./redis/engine.ts";
import { followLink } from "./redis/follow-link.ts";
import { Keys, LAYOUT } from "./redis/keys.ts";
import { type LayoutUse, useLayout } from "./redis/layout.ts";
import { openLink } from "./redis/open-link.ts";
import type { RedisEngineOptions } from "./redis/parts.ts";
import type { TriggerUse } from "./redis/trigger-use.ts";
import { startTriggers, type Triggers } from "./redis/triggers.ts";
import { createSqliteEngine } from "./sqlite/engine.ts";

export type OpenEngineOptions = {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  /** What this server is called in answers. */
  readonly node: string;
  readonly metrics: Pick<ServerMetrics, "timeRedis" | "observeRedis" | "timePostgres" | "observePostgres">;
  /** Told what the engine waits for before it can be opened; it holds no secret. */
  readonly waiting?: (reason: string) => void;
};

/**
 * `degraded`: what it keeps cannot be reached now. `waiting`: entries that their users have not had, and how many users those
 * are. `postgres`: where inboxes lie there.
 */
export type OpenedEngine = Engine & {
  degraded(): boolean;
  waiting(): { readonly messages: number; readonly users: number };
  postgres?(): PostgresHealth;
  /** Takes what is published through the engine's own product; absent where it has no such way in. Stopped before `close`. */
  triggers?(use: TriggerUse): Triggers;
};

/** @throws Error, fit to be shown, when the engine cannot be used as configured */
export async function openEngine({ config, clock, ids, log, node, metrics, waiting }: OpenEngineOptions): Promise<OpenedEngine> {
  if (config.engine === "sqlite") return await createSqliteEngine({ clock, ids, log, node, ...config.sqlite });
  if (config.engine === "redis") return await openRedis({ config, clock, ids, log, node, metrics, ...(waiting ? { waiting } : {}) });
  const engine = createMemoryEngine({ clock, ids, node, maxBytes: config.memory.maxBytes });
  return { ...engine, degraded: () => false };
}

async function openRedis({ config, metrics, waiting, ...deps }: OpenEngineOptions): Promise<OpenedEngine> {
  const { prefix, probeMilliseconds: probeMs, commandTimeoutMilliseconds: commandTimeoutMs } = config.redis;
  const { log } = deps;
  const replication = { replicas: config.redis.replicas, timeoutMs: Math.ceil(commandTimeoutMs / 2) };
  const told = { timed: metrics.timeRedis(), ...(waiting ? { onWaiting: waiting } : {}) };
  const link = await (config.redis.connectionFile === ""
    ? openLink({ ...config.redis, commandTimeoutMs, log, ...told })
    : followLink({ ...config.redis, commandTimeoutMs, log, ...told }));
  let use: LayoutUse | undefined;
  try {
    use = await useLayout({ link, key: new Keys(prefix).layout(prefix), layout: LAYOUT, prefix, log });
    const options = { ...deps, link, prefix, probeMs, replication, listenTimeoutMs: commandTimeoutMs };
    const engine = config.inbox === "postgres" ? await openBoth(options, config.postgres, metrics) : await createRedisEngine(options);
    const facts = () => ({
      ...{ ...link.health(), ...engine.losses(), calls: link.calls(), announcements: engine.announcements() },
      isLayoutInConflict: use?.isInConflict() ?? false,
    });
    metrics.observeRedis(facts, (observe) => engine.onLag(observe));
    const close = async () => {
      use?.close();
      await engine.close();
    };
    const keys = new Keys(prefix);
    // Where it may become a Cluster at any time, it is treated as one.
    const topology = config.redis.connectionFile === "" ? link.topology() : "cluster";
    const triggering = { ...deps, link, keys, self: `${deps.node}/${deps.ids.epoch()}`, topology };
    return { ...engine, close, triggers: (sink) => startTriggers({ ...triggering, settings: config.triggers }, sink) };
  } catch (error) {
    use?.close();
    await link.close();
    throw error;
  }
}

/** Inboxes in PostgreSQL, everything else in Redis. */
async function openBoth(
  options: RedisEngineOptions,
  { urlFile, poolSize }: ServerConfig["postgres"],
  metrics: OpenEngineOptions["metrics"],
): Promise<PostgresEngine> {
  const url = addressFrom(urlFile, options.log);
  const redis = await createRedisEngine({ ...options, ordered: announcesInOrder });
  const engine = await createPostgresEngine({ ...options, redis, url, poolSize, timed: metrics.timePostgres() });
  const facts = () => ({ connected: engine.postgres().connected, calls: engine.statements(), unannounced: engine.unannounced() });
  metrics.observePostgres(facts);
  return engine;
}

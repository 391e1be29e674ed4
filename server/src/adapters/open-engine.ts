// Why: the configuration names an engine; this opens it. It must never start one half: what was opened is closed again.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import type { Engine } from "../core/engine.ts";
import type { Clock, Ids, Log } from "../core/ports.ts";
import { createMemoryEngine } from "./memory/engine.ts";
import { createRedisEngine } from "./redis/engine.ts";
import { openLink } from "./redis/open-link.ts";
import { createSqliteEngine } from "./sqlite/engine.ts";

export type OpenEngineOptions = {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  /** What this server is called in answers. */
  readonly node: string;
};

/** `degraded`: what it keeps cannot be reached now. `waiting`: entries that their users have not had, and how many users those are. */
export type OpenedEngine = Engine & {
  degraded(): boolean;
  waiting(): { readonly messages: number; readonly users: number };
};

/** @throws Error, fit to be shown, when the engine cannot be used as configured */
export async function openEngine({ config, clock, ids, log, node }: OpenEngineOptions): Promise<OpenedEngine> {
  if (config.engine === "sqlite") return await createSqliteEngine({ clock, ids, log, node, ...config.sqlite });
  if (config.engine === "redis") {
    const { prefix, probeMilliseconds: probeMs, commandTimeoutMilliseconds: commandTimeoutMs, addresses } = config.redis;
    const link = await openLink({ addresses, commandTimeoutMs, log });
    try {
      return await createRedisEngine({ link, clock, ids, log, node, prefix, probeMs });
    } catch (error) {
      await link.close();
      throw error;
    }
  }
  const engine = createMemoryEngine({ clock, ids, node, maxBytes: config.memory.maxBytes });
  return { ...engine, degraded: () => false };
}

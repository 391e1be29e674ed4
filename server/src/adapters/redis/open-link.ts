// Why: connections to Redis as the configuration names them.
// It must never keep a command waiting for a Redis that is away: callers are told at once.
import { Failure } from "@nexus/protocol/failures.ts";
import { Redis } from "ioredis";
import type { Log } from "../../core/ports.ts";
import { PARTITIONS } from "./keys.ts";
import type { RedisLink, Reply, Script } from "./link.ts";

export type LinkOptions = { readonly addresses: readonly string[]; readonly commandTimeoutMs: number; readonly log: Log };

const COMMAND = /^[a-z]+$/i;

/** Resolves once Redis answers. @throws Failure `broker_unavailable` when it does not */
export async function openLink({ addresses, commandTimeoutMs, log }: LinkOptions): Promise<RedisLink> {
  const [host = "127.0.0.1", port = "6379"] = (addresses[0] ?? "").split(":");
  const place = { host, port: Number(port) };
  const client = new Redis({
    ...place,
    ...{ commandTimeout: commandTimeoutMs, maxRetriesPerRequest: 0, enableOfflineQueue: false, lazyConnect: true },
    enableAutoPipelining: true,
  });
  client.on("error", (error: Error) => log.warn("redis.connection_failed", { error: error.message }));
  const known = new Map<string, (...args: readonly (string | number)[]) => Promise<Reply>>();
  const guard = async (work: () => Promise<unknown>): Promise<Reply> => {
    try {
      return (await work()) as Reply; // what RESP without maps, doubles and booleans can say
    } catch (cause) {
      throw new Failure({ code: "broker_unavailable", detail: "Redis did not take the command" }, cause);
    }
  };
  const define = ({ name, lua }: Script) => {
    client.defineCommand(name, { lua });
    const method: unknown = Reflect.get(client, name);
    if (typeof method !== "function") throw new Error(`no script ${name}`);
    const run = (...args: readonly (string | number)[]): Promise<Reply> => Reflect.apply(method, client, args);
    known.set(name, run);
    return run;
  };
  await guard(() => client.connect());
  return {
    run: (script, keys, args) => guard(() => (known.get(script.name) ?? define(script))(keys.length, ...keys, ...args)),
    call: (command, ...args) => guard(() => (COMMAND.test(command) ? client.call(command, ...args) : Promise.reject(new Error(command)))),
    primaries: async () => [{ id: `${host}:${port}`, ...place, partitions: Array.from({ length: PARTITIONS }, (_, i) => i) }],
    async dial() {
      const own = new Redis({ ...place, lazyConnect: true, retryStrategy: () => null, autoResubscribe: false, maxRetriesPerRequest: 0 });
      own.on("error", (error: Error) => log.debug("redis.connection_failed", { error: error.message }));
      await own.connect();
      return own;
    },
    health: () => ({
      ...{ status: client.status === "ready" ? "healthy" : "reconnecting", connected: client.status === "ready" },
      ...{ breaker: "closed", failures: 0, reconnectionAttempts: 0, reconnections: 0 },
    }),
    async close() {
      client.disconnect();
    },
  };
}

// Why: what a server would be started with, from its variables or from two addresses, becomes what has to be looked at. It must
// never show a value that may be a secret.

import type { ServerConfig } from "@nexus/protocol/config.ts";
import { parseConfig } from "@nexus/protocol/config-parse.ts";
import { TRIGGER_PATTERNS } from "@nexus/protocol/triggers.ts";
import { addressFrom } from "@nexus/server/adapters/postgres/address.ts";
import { credentialsOf, readConnection } from "@nexus/server/adapters/redis/connection-file.ts";
import { createCredentials } from "@nexus/server/adapters/redis/credentials.ts";
import { placeOf } from "@nexus/server/adapters/redis/topology.ts";
import { type Check, fail, guarded, ok } from "./check.ts";
import { nameChecks, type Resolve } from "./names.ts";
import { checkPostgres } from "./postgres.ts";
import { checkRedis, type RedisTarget } from "./redis.ts";
import { fileCheck, filesOf } from "./secret-files.ts";

export type Env = Readonly<Record<string, string | undefined>>;
export type Outside = { readonly resolve: Resolve; readonly nowMs: () => number };

/** Overrides from flags; an address in a flag counts more than the variable. */
export type Given = { readonly redisUrl?: string; readonly topology?: string; readonly masterName?: string; readonly postgresUrl?: string };

/** `redis://user:password@host:port/database`, several hosts separated by commas; `rediss` talks TLS. Undefined: not such an address. */
export function redisFromUrl(text: string): Pick<RedisTarget, "addresses" | "database" | "credentials"> | undefined {
  const parts = /^(rediss?):\/\/(?:([^@/]*)@)?([^/?#]+)(?:\/(\d+))?$/.exec(text);
  if (!parts) return undefined;
  const [, scheme, userInfo = "", hosts = "", database = "0"] = parts;
  const colon = userInfo.indexOf(":");
  const decoded = (part: string): string | undefined => (part === "" ? undefined : decodeURIComponent(part));
  const username = decoded(colon < 0 ? "" : userInfo.slice(0, colon));
  const password = decoded(colon < 0 ? userInfo : userInfo.slice(colon + 1));
  const withPort = (host: string): string => (/:\d+$/.test(host) ? host : `${host}:6379`);
  return {
    addresses: hosts.split(",").map(withPort),
    database: Number(database),
    credentials: {
      username: () => username,
      password: () => password,
      sentinelPassword: () => undefined,
      tls: () => (scheme === "rediss" ? {} : undefined),
    },
  };
}

/** Everything a server with these variables needs. */
export async function checkSettings(env: Env, given: Given, outside: Outside): Promise<readonly Check[]> {
  const isGiven = given.redisUrl !== undefined || given.postgresUrl !== undefined;
  const parsed = parseConfig({ env: isGiven ? withoutEngines(env) : env });
  if (!parsed.ok)
    return parsed.errors.map((error) => fail("settings", error, "correct the variable; docs/reference/configuration.md has all"));
  const { config } = parsed;
  const files = isGiven ? [] : await Promise.all(filesOf(config).map((file) => fileCheck(file, outside.nowMs())));
  const first = isGiven ? [] : [ok("settings", `engine ${config.engine}, inbox ${config.inbox}, ${config.processes} processes`)];
  const redis = isGiven && given.redisUrl === undefined ? [] : await redisPart(config, given, outside);
  const postgres = isGiven && given.postgresUrl === undefined ? [] : await postgresPart(config, given, outside);
  return [...first, ...files, ...redis, ...postgres];
}

/** An address in a flag is the only one looked at: other engine settings of this shell must not get in its way. */
const withoutEngines = (env: Env): Env =>
  Object.fromEntries(Object.entries(env).filter(([name]) => /^NEXUS_REDIS_(PREFIX|REPLICAS|COMMAND_TIMEOUT_MILLISECONDS)$/.test(name)));

async function redisPart(config: ServerConfig, given: Given, outside: Outside): Promise<readonly Check[]> {
  if (config.engine !== "redis" && given.redisUrl === undefined) return [];
  return await guarded(
    "Redis",
    async () => {
      const target = targetOf(config, given);
      if (target === undefined) return [fail("--redis-url", "cannot be read", "write it as redis://user:password@host:6379/0")];
      const names = await nameChecks(
        target.addresses.map((address) => placeOf(address).host),
        outside.resolve,
        true,
      );
      return [...names, ...(await checkRedis(target, outside.nowMs))];
    },
    "correct the setting that is named, or start Redis",
  );
}

/** @throws Error naming the setting whose file cannot be used */
function targetOf(config: ServerConfig, { redisUrl, topology, masterName }: Given): RedisTarget | undefined {
  const { prefix, replicas, commandTimeoutMilliseconds: commandTimeoutMs } = config.redis;
  const { pubsub, stream, streamKey } = config.triggers;
  // An address alone says nothing of triggers.
  const triggers = {
    ...(stream && redisUrl === undefined ? { triggerStream: streamKey } : {}),
    ...(pubsub && redisUrl === undefined ? { triggerPatterns: TRIGGER_PATTERNS } : {}),
  };
  const common = { prefix, replicas, commandTimeoutMs, ...triggers };
  if (redisUrl !== undefined) {
    const read = redisFromUrl(redisUrl);
    const kind = topology === "sentinel" || topology === "cluster" ? topology : "standalone";
    return read && { ...common, ...read, topology: kind, masterName: masterName ?? config.redis.masterName };
  }
  if (config.redis.connectionFile !== "") {
    const said = readConnection(config.redis.connectionFile);
    return { ...common, ...said, masterName: said.masterName ?? config.redis.masterName, credentials: credentialsOf(() => said) };
  }
  return { ...common, ...config.redis, credentials: createCredentials(config.redis, { warn: () => undefined }) };
}

async function postgresPart(config: ServerConfig, { postgresUrl }: Given, outside: Outside): Promise<readonly Check[]> {
  if (config.inbox !== "postgres" && postgresUrl === undefined) return [];
  return await guarded(
    "PostgreSQL",
    async () => {
      const url = postgresUrl ?? addressFrom(config.postgres.urlFile, { warn: () => undefined })();
      const host = URL.canParse(url) ? new URL(url).hostname : "";
      const names = await nameChecks([host], outside.resolve, true);
      return [...names, ...(await checkPostgres({ url, poolSize: config.postgres.poolSize }, outside.nowMs))];
    },
    "correct NEXUS_POSTGRES_URL_FILE",
  );
}

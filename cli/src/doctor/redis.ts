// Why: a Redis that answers may still lose, evict or refuse what Nexus gives it. Everything is asked the way a server asks, with its
// settings and credentials. It must never change a key, and never show a password.
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { check, contradictions } from "@nexus/server/adapters/redis/connect-check.ts";
import { connected, createOwn } from "@nexus/server/adapters/redis/connect-client.ts";
import { createDeadlines } from "@nexus/server/adapters/redis/connect-deadlines.ts";
import type { Credentials } from "@nexus/server/adapters/redis/credentials.ts";
import { Keys, LAYOUT } from "@nexus/server/adapters/redis/keys.ts";
import { addressOf, type Place, placeOf, primariesOf, type Topology } from "@nexus/server/adapters/redis/topology.ts";
import { type Check, clockCheck, fail, ok, skip, warn } from "./check.ts";
import { type Asked, COMMANDS, rightsCheck, TRIGGER_COMMANDS } from "./redis-commands.ts";
import { factsOf, layoutCheck, memoryCheck, persistenceCheck, replicationCheck } from "./redis-facts.ts";

/** As a server's settings say it. `triggerStream`: only where triggers are taken from a stream. */
export type RedisTarget = {
  readonly topology: Topology;
  readonly addresses: readonly string[];
  readonly masterName: string;
  readonly database: number;
  readonly credentials: Credentials;
  readonly prefix: string;
  readonly replicas: number;
  readonly commandTimeoutMs: number;
  readonly triggerStream?: string;
  /** Patterns of channels that are listened to; none where triggers are not taken. */
  readonly triggerPatterns?: readonly string[];
};

const SLOW_MS = 20;
const SETTINGS = "correct the setting that is named";

/** Of every primary. `nowMs`: the wall clock. */
export async function checkRedis(target: RedisTarget, nowMs: () => number): Promise<readonly Check[]> {
  const what = `Redis ${target.addresses.join(",")}`;
  const wrong = contradictions(target);
  if (wrong.length > 0) return [fail(what, wrong.join("; "), SETTINGS)];
  const found = await check(target);
  if (found.kind !== "ready") return [fail(what, found.reason, reachFix(found.kind))];
  const reached = ok(what, `reachable, ${target.topology}, Redis 7 or newer`);
  const places = await primaries(target);
  const each = await Promise.all(places.map((place) => withRedis(target, place, (client) => checkPrimary(target, place, client, nowMs))));
  return [reached, ...each.flat()];
}

const reachFix = (kind: "wait" | "wrong"): string =>
  kind === "wrong" ? SETTINGS : "start Redis, or correct the address; a firewall or a NetworkPolicy may be between";

async function withRedis<T>(target: RedisTarget, place: Place, work: (client: Asked) => Promise<T>, asSentinel = false): Promise<T> {
  const { credentials, commandTimeoutMs } = target;
  const who = asSentinel ? { ...credentials, username: () => undefined, password: credentials.sentinelPassword } : credentials;
  const client = createOwn(place, { database: asSentinel ? 0 : target.database, credentials: who, commandTimeoutMs, name: "nexus-doctor" });
  client.options.enableReadyCheck = false;
  const deadlines = createDeadlines(10 * commandTimeoutMs, systemClock);
  try {
    return await deadlines.within(connected(client).then(() => work(client)));
  } finally {
    deadlines.close();
    client.disconnect();
  }
}

/** The first address that answers says who they are. */
async function primaries(target: RedisTarget): Promise<readonly Place[]> {
  const [first = ""] = target.addresses;
  if (target.topology === "standalone") return [placeOf(first)];
  let last: unknown;
  for (const address of target.addresses) {
    const place = placeOf(address);
    try {
      if (target.topology === "cluster")
        return await withRedis(target, place, async (client) => primariesOf(await client.cluster("SLOTS"), place));
      const answer = await withRedis(
        target,
        place,
        (client) => client.call("SENTINEL", "get-master-addr-by-name", target.masterName),
        true,
      );
      if (Array.isArray(answer)) return [{ host: String(answer[0]), port: Number(answer[1]) }];
    } catch (error) {
      last = error; // the next may answer; the last error is told when nobody does
    }
  }
  throw last instanceof Error ? last : new Error("nobody says who is primary");
}

async function checkPrimary(target: RedisTarget, place: Place, client: Asked, nowMs: () => number): Promise<readonly Check[]> {
  const name = `Redis ${addressOf(place)}`;
  const keys = new Keys(target.prefix);
  const key = keys.fleet("doctor");
  const facts = factsOf(String(await client.info()));
  const version = facts.get("redis_version") ?? "?";
  const topology = target.topology === "cluster" ? [await coverage(client, `${name} cluster`)] : [];
  const triggers = target.triggerStream === undefined ? [] : TRIGGER_COMMANDS(target.triggerStream);
  return [
    ok(name, `${facts.get("server_name") === "valkey" ? "Valkey" : "Redis"} ${facts.get("valkey_version") ?? version}`),
    ...topology,
    await timeChecks(client, name, nowMs),
    memoryCheck(`${name} memory`, facts),
    persistenceCheck(`${name} persistence`, facts, await savePoints(client)),
    ...(target.topology === "standalone" ? [] : [replicationCheck(`${name} replication`, facts, target.replicas)]),
    await rightsCheck({
      client,
      what: `${name} rights`,
      commands: [...COMMANDS(key, key), ...triggers],
      channels: [key],
      patterns: target.triggerPatterns ?? [],
    }),
    await layout(client, `${name} prefix ${target.prefix}`, keys.layout(target.prefix)),
  ].flat();
}

async function coverage(client: Asked, what: string): Promise<Check> {
  const facts = factsOf(String(await client.cluster("INFO")));
  const covered = Number(facts.get("cluster_slots_ok") ?? 0);
  if (facts.get("cluster_state") === "ok" && covered === 16_384) return ok(what, "all slots are served");
  return fail(what, `state ${facts.get("cluster_state")}, ${covered} of 16384 slots are served`, "redis-cli --cluster fix <address>");
}

/** TIME is asked twice: the second answer has no connection to set up. */
async function timeChecks(client: Asked, name: string, nowMs: () => number): Promise<readonly Check[]> {
  await client.call("TIME");
  const before = nowMs();
  const started = performance.now();
  const answer = await client.call("TIME");
  const roundTripMs = performance.now() - started;
  const [seconds = 0, micros = 0] = Array.isArray(answer) ? answer.map(Number) : [];
  const theirs = seconds * 1000 + micros / 1000;
  const clock = clockCheck(`${name} clock`, theirs - (before + roundTripMs / 2), roundTripMs);
  const slow = `${roundTripMs.toFixed(1)} ms there and back`;
  return [
    clock,
    roundTripMs > SLOW_MS
      ? warn(`${name} distance`, slow, "run Redis near the servers: every publish waits for it")
      : ok(`${name} distance`, slow),
  ];
}

async function savePoints(client: Asked): Promise<string | undefined> {
  const answer = await client.call("CONFIG", "GET", "save").catch(() => undefined); // seldom allowed, and then not known
  return Array.isArray(answer) ? String(answer[1] ?? "") : undefined;
}

async function layout(client: Asked, what: string, key: string): Promise<Check> {
  try {
    const [time, held] = [await client.call("TIME"), await client.call("HGETALL", key)];
    const flat = Array.isArray(held) ? held.map(Number) : [];
    const layouts = new Map(flat.flatMap((layout, at) => (at % 2 === 0 ? [[layout, flat[at + 1] ?? 0] as const] : [])));
    return layoutCheck(what, layouts, Array.isArray(time) ? Number(time[0]) * 1000 : 0, LAYOUT);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    if (/^(MOVED|NOPERM)/.test(text)) return skip(what, /^MOVED/.test(text) ? "lies on another node" : "may not be read");
    throw error;
  }
}

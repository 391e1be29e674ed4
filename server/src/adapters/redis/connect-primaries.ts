// Why: those who listen dial the primaries themselves, and ask anew each time who they are: after a failover the last answer
// is the one that is wrong. It must never answer from a cache.
import { Cluster, type Redis } from "ioredis";
import { type ClientOptions, connected, createOwn } from "./connect-client.ts";
import type { Primary } from "./link.ts";
import { onlyPrimary, type Place, placeOf, primariesOf } from "./topology.ts";

/** Rejects with the last cause when nobody could be asked. `within` bounds one question in time. */
export type Within = <T>(work: Promise<T>) => Promise<T>;

export async function findPrimaries(client: Redis | Cluster, options: ClientOptions, within: Within): Promise<readonly Primary[]> {
  const { addresses, topology } = options;
  if (client instanceof Cluster) return await firstOf(shuffled(client.nodes("master"), options.random), (node) => askNode(node, within));
  if (topology === "sentinel") return [onlyPrimary(await firstOf(addresses.map(placeOf), (place) => askSentinel(place, options, within)))];
  return [onlyPrimary(placeOf(addresses[0] ?? ""))];
}

async function askNode(node: Redis, within: Within): Promise<readonly Primary[]> {
  const { host = "", port = 0 } = node.options;
  return primariesOf(await within(node.cluster("SLOTS")), { host, port });
}

async function askSentinel(sentinel: Place, { credentials, commandTimeoutMs, masterName }: ClientOptions, within: Within): Promise<Place> {
  const asSentinel = { ...credentials, username: () => undefined, password: credentials.sentinelPassword };
  const client = createOwn(sentinel, { database: 0, credentials: asSentinel, commandTimeoutMs, name: "nexus-primary" });
  client.options.enableReadyCheck = false;
  try {
    await within(connected(client));
    const answer = await within(client.call("SENTINEL", "get-master-addr-by-name", masterName));
    if (!Array.isArray(answer)) throw new Error(`a Sentinel knows no ${masterName}`);
    return { host: String(answer[0]), port: Number(answer[1]) };
  } finally {
    client.disconnect();
  }
}

/** The first that answers. */
async function firstOf<T, R>(candidates: readonly T[], ask: (candidate: T) => Promise<R>): Promise<R> {
  let last: unknown = new Error("there is nobody to ask");
  for (const candidate of candidates) {
    try {
      return await ask(candidate);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

function shuffled<T>(list: readonly T[], random: () => number): readonly T[] {
  return list
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

// Why: what the three ways to run Redis have in common for callers: addresses, and which partition lies where.
// It must never open a connection.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import { PARTITIONS } from "./keys.ts";
import type { Primary } from "./link.ts";

export type Topology = ServerConfig["redis"]["topology"];
export type Place = { readonly host: string; readonly port: number };

/** `host:port` or `[v6]:port`, as the configuration schema allows. */
export function placeOf(address: string): Place {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon);
  return { host: host.startsWith("[") ? host.slice(1, -1) : host, port: Number(address.slice(colon + 1)) };
}

export const addressOf = ({ host, port }: Place): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);

const ALL = Array.from({ length: PARTITIONS }, (_, partition) => partition);
/** The slot of each partition. */
export const SLOTS: readonly number[] = ALL.map((partition) => slotOf(`p${partition}`));

/** CRC-16/XMODEM of the tag, modulo 16384, as the Redis Cluster specification has it ("Key distribution model"). */
function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc % 16_384;
}

/** One server with everything. */
export const onlyPrimary = (place: Place): Primary => ({ id: addressOf(place), ...place, partitions: ALL });

/** The slot of a key of ours, without hashing it: the tag names the partition. Undefined for keys outside partitions. */
export function slotOfKey(key: string): number | undefined {
  const open = key.indexOf("{p");
  return open < 0 ? undefined : SLOTS[Number.parseInt(key.slice(open + 2, open + 5), 10)];
}

/**
 * Primaries from what `CLUSTER SLOTS` answered `[[from, to, [host, port, id, …], …replicas], …]`, those without a partition
 * left out. `asked`: who answered; a node that does not know its own address leaves it empty.
 * @throws Error when the answer has another shape
 */
export function primariesOf(answer: unknown, asked: Place): readonly Primary[] {
  if (!Array.isArray(answer)) throw new Error("CLUSTER SLOTS: no list");
  const found = new Map<string, { readonly place: Place; readonly partitions: number[] }>();
  for (const range of answer) {
    const [from, to, primary]: unknown[] = Array.isArray(range) ? range : [];
    const [host, port]: unknown[] = Array.isArray(primary) ? primary : [];
    if (typeof from !== "number" || typeof to !== "number" || typeof port !== "number") throw new Error("CLUSTER SLOTS: no range");
    const place = { host: typeof host === "string" && host !== "" && host !== "?" ? host : asked.host, port };
    const entry = found.get(addressOf(place)) ?? { place, partitions: [] };
    for (const [partition, slot] of SLOTS.entries()) if (slot >= from && slot <= to) entry.partitions.push(partition);
    found.set(addressOf(place), entry);
  }
  const primaries = [...found].map(([id, { place, partitions }]) => ({ id, ...place, partitions }));
  return primaries.filter(({ partitions }) => partitions.length > 0);
}

// Why: where everything lies in Redis: 256 partitions, each with its hash tag, so that whatever one script touches shares a
// slot. The layout is versioned, and named in docs/redis.md. It must never put a name into a key that another tenant can forge.
import type { StreamId } from "../../core/ports.ts";
import { streamKey } from "../../core/streams.ts";

/** Raised when the meaning of a key changes. Two adjacent layouts may share one Redis. */
export const LAYOUT = 1;
export const PARTITIONS = 256;

/** CRC-32 of the UTF-8 name, lowest byte: the same in every release and language. */
export const partitionOf = (name: string): number => Bun.hash.crc32(name) % PARTITIONS;

/**
 * What a key holds. `e` entries (list), `m` meta (hash), `a` acknowledged offsets (sorted set), `k` idempotency record (string),
 * `s` announcements (sharded channel), `u` sessions of a user (hash), `l` listeners of a channel or broadcast by node (hash),
 * `c` channel names of a tenant (sorted set), `t` templates (hash), `w` write record (string), `x` ticket (string),
 * `r` receipts, `n` counters (hash), `q` shared rates, `f` the fleet: nodes, control, probes, triggers.
 */
export type KeyKind = "e" | "m" | "a" | "k" | "s" | "u" | "l" | "c" | "t" | "w" | "x" | "r" | "n" | "q" | "f";

export class Keys {
  readonly #root: string;

  /** `prefix`: what this installation's keys begin with; two installations on one Redis need two. */
  constructor(prefix: string) {
    this.#root = `${prefix}:${LAYOUT}:`;
  }

  /** `nexus:1:{p42}:e:u/acme/jane` */
  at(partition: number, kind: KeyKind, name: string): string {
    return `${this.#root}{p${partition}}:${kind}:${name}`;
  }

  /** Of a stream: everything about it lies in the partition of its name. */
  of(stream: StreamId, kind: KeyKind, more = ""): string {
    const name = streamKey(stream);
    return this.at(partitionOf(name), kind, more === "" ? name : `${name}\n${more}`);
  }

  /** Of a tenant as a whole. */
  ofTenant(tenant: string, kind: KeyKind, more = ""): string {
    return this.at(tenantPartition(tenant), kind, more === "" ? tenant : `${tenant}/${more}`);
  }

  /** Of the whole fleet, in partition 0. */
  fleet(name: string): string {
    return this.at(0, "f", name);
  }

  /** Outside partitions: what tells layouts apart before any of them is read. */
  layout(prefix: string): string {
    return `${prefix}:layout`;
  }
}

export const tenantPartition = (tenant: string): number => partitionOf(`t/${tenant}`);
export const streamPartition = (stream: StreamId): number => partitionOf(streamKey(stream));

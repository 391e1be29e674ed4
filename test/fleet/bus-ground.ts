// Why: a bus of one node whose announcements come through a network that can fail, while commands and another node's
// publishes do not. It must never leave a connection or a process behind.
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { RedisBus, type RedisBusOptions } from "@nexus/server/adapters/redis/bus.ts";
import { createRedisEngine, type RedisEngine } from "@nexus/server/adapters/redis/engine.ts";
import { Keys } from "@nexus/server/adapters/redis/keys.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import type { BusListener, Entry, StreamId } from "@nexus/server/core/ports.ts";
import { eventually } from "../support/eventually.ts";

export const PROBE_MS = 200;

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export type BusGround = AsyncDisposable & {
  readonly bus: RedisBus;
  readonly link: RedisLink;
  readonly keys: Keys;
  /** Another node of the same fleet, whose connections are undisturbed. */
  readonly other: RedisEngine;
  /** The other node publishes; `id` of the notification. */
  say(stream: StreamId, id: string): Promise<void>;
};

export type BusGroundOptions = {
  readonly addresses: readonly string[];
  readonly topology?: "standalone" | "sentinel" | "cluster";
  readonly masterName?: string;
  /** In place of the link's own: where the bus's connections lead. */
  readonly dial?: (link: RedisLink) => RedisLink["dial"];
} & Partial<Pick<RedisBusOptions, "probeMs" | "listenTimeoutMs" | "ordered">>;

let grounds = 0;

export async function busGround({
  addresses,
  topology = "standalone",
  masterName = "mymaster",
  dial,
  ...options
}: BusGroundOptions): Promise<BusGround> {
  const open = () => openLink({ addresses, topology, masterName, commandTimeoutMs: 2000, log: silent });
  const [link, otherLink] = [await open(), await open()];
  const prefix = `bus-${process.pid}-${++grounds}`;
  const keys = new Keys(prefix);
  const parts = { clock: systemClock, ids: systemIds, log: silent, prefix, probeMs: 60_000 };
  const other = await createRedisEngine({ ...parts, link: otherLink, node: "other" });
  const bus = new RedisBus({
    ...{ clock: systemClock, log: silent, keys, self: "node/1", store: other.store, probeMs: PROBE_MS, ...options },
    link: {
      call: (command, ...args) => link.call(command, ...args),
      primaries: () => link.primaries(),
      dial: dial?.(link) ?? ((primary) => link.dial(primary)),
    },
  });
  return {
    ...{ bus, link, keys, other },
    async say(stream, id) {
      const notification = { id, occurredAt: Date.now(), eventType: "test", payloadJson: '{"a":1}' };
      const metadata = { source: "test", priority: "Normal" } as const;
      await other.store.publish({ stream, notification: { ...notification, metadata }, retention: { entries: 100, ttlSeconds: 600 } });
    },
    async [Symbol.asyncDispose]() {
      bus.close();
      await other.close();
      await link.close();
    },
  };
}

export type Recorder = BusListener & { readonly heard: Entry[]; readonly gaps: string[] };

/** Keeps what it hears, and the reasons of gaps. */
export function recorder(): Recorder {
  const heard: Entry[] = [];
  const gaps: string[] = [];
  return { heard, gaps, onEntry: (entry) => void heard.push(entry), onGap: (_, reason) => void gaps.push(reason) };
}

export const idsOf = ({ heard }: Recorder): string[] => heard.map(({ notification: { id } }) => id);

export const hears = (listener: Recorder, id: string) =>
  eventually(`${id} is announced`, () => idsOf(listener).includes(id), { intervalMs: 5 });

export const inbox = (user: string): StreamId => ({ kind: "inbox", tenant: "acme", user });
export const channel = (name: string): StreamId => ({ kind: "channel", tenant: "acme", channel: name });

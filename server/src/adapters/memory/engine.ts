// Why: the engine of one node that keeps nothing beyond its process: `nexus dev`, tests, fleets of one.
// Every step is synchronous inside, so order is the order of calls. It must never keep more than its byte budget.
import { Failure } from "@nexus/protocol/failures.ts";
import type { Engine } from "../../core/engine.ts";
import type {
  Bus,
  BusListener,
  Clock,
  Entry,
  Ids,
  PublishOutcome,
  PublishRecord,
  PublishRequest,
  StreamId,
  StreamStore,
} from "../../core/ports.ts";
import { isStreamOf, streamKey } from "../../core/streams.ts";
import { ByteBudget } from "./byte-budget.ts";
import { MemoryDirectory } from "./directory.ts";
import { createMemoryFleet } from "./fleet.ts";
import { IdempotencyRecords } from "./idempotency.ts";
import { Logs } from "./logs.ts";
import { purgeInSlices } from "./purge.ts";
import { MemoryRateLimits } from "./rate-limits.ts";
import { MemoryReceipts } from "./receipts.ts";
import { MemoryStats } from "./stats.ts";
import { MemoryTemplateStore } from "./template-store.ts";
import { MemoryTickets } from "./tickets.ts";
import { MemoryWriteRecords } from "./write-records.ts";

/** `maxBytes`: what entries, inbox marks and records of idempotent requests may take together, roughly. `node`: its name in answers. */
export type MemoryEngineOptions = { readonly clock: Clock; readonly ids: Ids; readonly maxBytes: number; readonly node?: string };

export type MemoryEngine = Engine & {
  /** For metrics. `evicted`: entries and records let go because the budget was over. */
  usage(): { readonly bytes: number; readonly evicted: number };
  /** Entries in inboxes that their users have not had, and how many users those are. Counted at most once a second. */
  waiting(): { readonly messages: number; readonly users: number };
};

export function createMemoryEngine({ clock, ids, maxBytes, node = "node" }: MemoryEngineOptions): MemoryEngine {
  const budget = new ByteBudget(maxBytes);
  const directory = new MemoryDirectory({ node, clock });
  const listeners = new Map<string, BusListener>();
  const logs = new Logs({ epoch: ids.epoch(), budget });
  const records = new IdempotencyRecords(budget);
  let closed = false;
  let counted = { at: Number.NEGATIVE_INFINITY, waiting: { messages: 0, users: 0 } };
  const open = () => {
    if (closed) throw new Failure({ code: "broker_unavailable", detail: "The engine is closed" });
  };

  function publish(request: PublishRequest): PublishOutcome {
    const { stream, notification, idempotency } = request;
    const now = clock.now();
    const key = streamKey(stream);
    const earlier = idempotency && records.find(key, idempotency, now);
    if (earlier) return earlier;
    const record = append(request, key);
    if (idempotency) records.keep(key, idempotency, { record, now });
    if (notification.metadata.ttl !== 0) {
      const entry: Entry = record.position ? { stream, notification, position: record.position } : { stream, notification };
      listeners.get(key)?.onEntry(entry);
    }
    return { kind: "published", record };
  }

  function append({ stream, notification, retention }: PublishRequest, key: string): PublishRecord {
    const facts = { notificationId: notification.id, occurredAt: notification.occurredAt };
    if (notification.metadata.ttl === 0) return { ...facts, deliveredTo: 0, queued: false };
    const deliveredTo = directory.count(stream, notification.metadata.audience);
    if (retention.entries === 0) return { ...facts, deliveredTo, queued: false };
    const { position } = logs.open(stream, key).append(notification, retention);
    logs.tidy(clock.now());
    return { ...facts, deliveredTo, queued: deliveredTo === 0 && stream.kind === "inbox", ...(position ? { position } : {}) };
  }

  const logOf = (stream: StreamId) => {
    open();
    return logs.find(streamKey(stream));
  };

  const store: StreamStore = {
    publish: async (request) => {
      open();
      return publish(request);
    },
    read: async (stream, since) => {
      const log = logOf(stream);
      if (log) return log.read(since, clock.now());
      const top = logs.emptyTop();
      if (since.epoch !== top.epoch) return { kind: "not_recovered", reason: "epoch_changed", top };
      return since.offset === 0 ? { kind: "recovered", entries: [], top } : { kind: "not_recovered", reason: "unverifiable", top };
    },
    top: async (stream) => logOf(stream)?.top ?? logs.emptyTop(),
    seen: async (stream) => logOf(stream)?.top ?? logs.emptyTop(),
    unread: async (inbox) => {
      const log = logOf(inbox);
      return { entries: log?.unread(clock.now()) ?? [], top: log?.top ?? logs.emptyTop() };
    },
    setMark: async (inbox, { epoch, offset }) => {
      const log = logOf(inbox);
      if (log && log.epoch === epoch) log.mark = Math.max(log.mark, Math.min(offset, log.top.offset));
    },
    has: async (inbox, notificationId) => logOf(inbox)?.has(notificationId) ?? false,
    page: async (stream, request) => logOf(stream)?.page(request, clock.now()) ?? { entries: [], top: logs.emptyTop(), more: false },
    unreadCount: async (inbox) => logOf(inbox)?.unreadCount(clock.now()) ?? 0,
    remove: async (inbox, notificationId) => logOf(inbox)?.remove(notificationId, clock.now()) ?? false,
    acknowledge: async (inbox, notificationId) => logOf(inbox)?.acknowledge(notificationId, clock.now()) ?? false,
  };
  const bus: Bus = {
    listen: async (stream, listener) => {
      open();
      listeners.set(streamKey(stream), listener);
    },
    leave: async (stream) => {
      listeners.delete(streamKey(stream));
    },
  };
  const templates = new MemoryTemplateStore();
  const tickets = new MemoryTickets(clock);
  const receipts = new MemoryReceipts(clock);
  const stats = new MemoryStats(clock);
  const writes = new MemoryWriteRecords(clock, budget);
  return {
    ...{ store, bus, directory, templates, tickets, receipts, stats, writes },
    rates: new MemoryRateLimits(clock),
    async purge({ tenant }, signal) {
      open();
      const isTheirs = isStreamOf(tenant);
      for (const one of [templates, tickets, stats]) one.forget(tenant);
      return await purgeInSlices([logs.purge(isTheirs), records.purge(isTheirs), writes.purge(tenant), receipts.purge(tenant)], signal);
    },
    fleet: createMemoryFleet({ node, clock, directory }),
    waiting() {
      const now = clock.monotonic();
      if (now - counted.at >= 1000) counted = { at: now, waiting: logs.waiting() }; // anyone may ask for /health
      return counted.waiting;
    },
    usage: () => ({ bytes: budget.bytes, evicted: budget.evicted }),
    close: async () => {
      closed = true;
      listeners.clear();
    },
  };
}

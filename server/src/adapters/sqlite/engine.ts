// Why: the engine of one node that survives restarts: what was acknowledged is in a file. Order is the order of commits.
// It must never announce or acknowledge what a crash could take back (with `FULL`: also a power cut).

import type { Engine } from "../../core/engine.ts";
import type { Bus, BusListener, Clock, Ids, StreamStore } from "../../core/ports.ts";
import { streamKey } from "../../core/streams.ts";
import { MemoryDirectory } from "../memory/directory.ts";
import { createMemoryFleet } from "../memory/fleet.ts";
import { purgeInSlices } from "../memory/purge.ts";
import { MemoryRateLimits } from "../memory/rate-limits.ts";
import { MemoryReceipts } from "../memory/receipts.ts";
import { MemoryStats } from "../memory/stats.ts";
import { MemoryTickets } from "../memory/tickets.ts";
import { GroupCommit } from "./group-commit.ts";
import { type OpenStoreOptions, openStore } from "./open-store.ts";
import { PublishRecords } from "./publish-records.ts";
import { createPublish } from "./publishing.ts";
import { Purge } from "./purge.ts";
import { StreamTable } from "./stream-table.ts";
import { Sweep } from "./sweep.ts";
import { SqliteTemplateStore } from "./template-store.ts";
import { countWaiting, type WaitingCounts } from "./waiting.ts";
import { SqliteWriteRecords } from "./write-records.ts";

/**
 * `file`: the database; `file-wal` and `file-seal` lie beside it. `synchronous`: `FULL` acknowledges what a power cut
 * leaves, `NORMAL` what a crash of the process leaves. `maxBytes`: what rows may take. `node`: its name in answers.
 */
export type SqliteEngineOptions = OpenStoreOptions & {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly maxBytes: number;
  readonly node?: string;
};

export type SqliteEngine = Engine & {
  /** For metrics. `evicted`: entries let go because of `maxBytes`. */
  usage(): { readonly bytes: number; readonly evicted: number };
  waiting(): WaitingCounts;
  /** The last write failed: publishes that need the store are refused. */
  degraded(): boolean;
  /** Lets go of what has expired, in steps. Runs by itself every second; resolves when nothing is left to let go. Never rejects. */
  sweep(): Promise<void>;
};

const SWEEP_MS = 1000;

/** @throws Error, fit to be shown, when the file cannot be used: in use, damaged, not ours, from a newer version, not writable */
export async function createSqliteEngine(options: SqliteEngineOptions): Promise<SqliteEngine> {
  const { clock, log, file, synchronous, maxBytes, node = "node" } = options;
  const { db, meta, seal, sync, close } = await openStore(options);
  const streams = new StreamTable(db, meta);
  const records = new PublishRecords(db);
  const sweeper = new Sweep(db, meta, maxBytes);
  const commit = new GroupCommit({
    ...{ db, file, log },
    ...(synchronous === "FULL" ? { sync } : {}),
    seal: () => {
      sweeper.makeRoom(clock.now());
      meta.seal();
    },
    settled: (isCommitted) => meta.settled(isCommitted),
  });
  const directory = new MemoryDirectory({ node, clock });
  const listeners = new Map<string, BusListener>();
  const waiting = countWaiting(db, clock);
  let closing: Promise<void> | undefined;
  let lastWaiting: WaitingCounts = { messages: 0, users: 0 };

  const store: StreamStore = {
    publish: createPublish({ commit, streams, records, directory, listeners, clock }),
    read: (stream, since) => commit.read(() => streams.read(stream, since, clock.now())),
    top: (stream) => commit.read(() => streams.top(stream)),
    seen: (stream) => commit.read(() => streams.top(stream)),
    unread: (inbox) => commit.read(() => streams.unread(inbox, clock.now())),
    setMark: (inbox, position) => commit.write(() => streams.setMark(inbox, position)),
    has: (inbox, notificationId) => commit.read(() => streams.has(inbox, notificationId)),
    acknowledge: (inbox, notificationId) => commit.write(() => streams.acknowledge(inbox, notificationId, clock.now())),
    page: (stream, request) => commit.read(() => streams.page(stream, request, clock.now())),
    unreadCount: (inbox) => commit.read(() => streams.unreadCount(inbox, clock.now())),
    remove: (inbox, notificationId) => commit.write(() => streams.remove(inbox, notificationId, clock.now())),
  };
  const bus: Bus = {
    listen: async (stream, listener) => {
      commit.assertOpen();
      listeners.set(streamKey(stream), listener);
    },
    leave: async (stream) => {
      listeners.delete(streamKey(stream));
    },
  };

  let sweeping: Promise<void> | undefined;
  async function sweepAll(): Promise<void> {
    try {
      while (closing === undefined && (await commit.write(() => sweeper.step(clock.now()))));
      if (closing === undefined) await seal.write();
    } catch (error) {
      log.debug("sqlite.sweep_failed", { error }); // a failed write was told by the commit; a seal that lags behind is safe
    } finally {
      sweeping = undefined;
    }
  }
  const sweep = () => (sweeping ??= sweepAll());
  const timer = setInterval(() => void sweep(), SWEEP_MS);
  timer.unref();

  async function end(): Promise<void> {
    clearInterval(timer);
    await commit.close();
    listeners.clear();
    await sweeping; // it may be writing the seal
    await close(!commit.isFailing);
  }

  const tickets = new MemoryTickets(clock);
  const receipts = new MemoryReceipts(clock);
  const stats = new MemoryStats(clock);
  return {
    ...{ store, bus, directory, sweep, tickets, receipts, stats },
    rates: new MemoryRateLimits(clock),
    templates: new SqliteTemplateStore(db, commit),
    async purge({ tenant }, signal) {
      const purge = new Purge(db, meta, tenant);
      while (await commit.write(() => purge.step())) if (signal.aborted) return "stopped";
      for (const one of [tickets, stats]) one.forget(tenant);
      return await purgeInSlices([receipts.purge(tenant)], signal);
    },
    writes: new SqliteWriteRecords(db, commit, clock),
    fleet: createMemoryFleet({ node, clock, directory }),
    usage: () => ({ bytes: sweeper.bytes(), evicted: sweeper.evicted }),
    waiting: () => {
      if (closing === undefined) lastWaiting = waiting();
      return lastWaiting;
    },
    degraded: () => commit.isFailing,
    close: () => (closing ??= end()),
  };
}

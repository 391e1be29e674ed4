// Why: inboxes for years lie in PostgreSQL; who listens, who is online and every announcement stay with Redis.
// It must never acknowledge what is not committed. Not for channels: those stay with the other engine.

import type { Position } from "@nexus/protocol/cursor.ts";
import type { Clock, Directory, Ids, Log, PublishRequest, ReadResult, StreamStore } from "../../core/ports.ts";
import { streamKey } from "../../core/streams.ts";
import type { Keys } from "../redis/keys.ts";
import type { RedisLink } from "../redis/link.ts";
import { Announcer } from "./announcer.ts";
import { Batches } from "./batches.ts";
import { mayHeal } from "./failure.ts";
import { migrate } from "./migrate.ts";
import { Pool, type PoolCalls, type PoolHealth, type PoolTiming } from "./pool.ts";
import { createPublishing } from "./publishing.ts";
import { purgeInboxes } from "./purge.ts";
import { Reading } from "./reading.ts";
import { type HeadRow, type Inbox, recipientOf, topOf } from "./rows.ts";
import { Sweeper } from "./sweeper.ts";

/** `url`: postgres://, credentials included; asked for again when connections are made anew. `timeoutMs`: the longest a caller waits for one statement. */
export type PostgresInboxOptions = {
  readonly url: () => string;
  readonly poolSize: number;
  readonly timeoutMs?: number;
  readonly timed?: PoolTiming["timed"];
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly link: Pick<RedisLink, "call">;
  readonly keys: Keys;
  readonly directory: Pick<Directory, "online">;
};

/** As `StreamStore`, of inboxes only. */
type InboxCalls = {
  readonly [Name in Exclude<keyof StreamStore, "publish">]: StreamStore[Name] extends (stream: never, ...more: infer More) => infer Answer
    ? (inbox: Inbox, ...more: More) => Answer
    : never;
};

export type PostgresInbox = InboxCalls & {
  publish(inbox: Inbox, request: PublishRequest): ReturnType<StreamStore["publish"]>;
  health(): PoolHealth;
  /** Statements since the start, by how they ended. */
  calls(): PoolCalls;
  /** Inboxes whose newest announcement Redis has not taken yet. */
  unannounced(): number;
  sweep(): Promise<void>;
  /** Removes everything of a tenant, in batches; false when the signal stopped it. Rejects with `Failure` `broker_unavailable`. */
  purge(tenant: string, signal: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
};

const TIMEOUT_MS = 5000;
const RETRY_MS = 1000;
const MARKS = "SELECT nexus.mark_1($1::text[], $2::text[], $3::text[], $4::bigint[])";

/**
 * Resolves once the database is there and migrated; waits, saying so in the log, for what may heal by itself.
 * @throws Error, fit to be shown, for what cannot: wrong credentials, missing rights, a database that is too new
 */
export async function openPostgresInbox(options: PostgresInboxOptions): Promise<PostgresInbox> {
  const { url, poolSize, timeoutMs = TIMEOUT_MS, clock, ids, log, link, keys, directory } = options;
  const pool = new Pool({ url, size: poolSize, timeoutMs, log, timed: options.timed });
  try {
    await prepared(pool, options);
  } catch (error) {
    await pool.close();
    throw error;
  }
  const announcer = new Announcer({ link, keys, log });
  const publishing = createPublishing({ pool, poolSize, timeoutMs, directory, announcer, clock });
  const reading = new Reading(pool);
  const sweeper = new Sweeper({ pool, clock, ids, log });
  const asked = (inbox: Inbox) => ({ inbox, now: clock.now() });
  type Mark = { readonly inbox: Inbox; readonly position: Position };
  const marks = new Batches<Mark, true>({
    run: async (items) => {
      const columns = [(one: Mark) => one.inbox.tenant, (one: Mark) => recipientOf(one.inbox), (one: Mark) => one.position.epoch];
      const values = [...columns.map((column) => pool.texts(items.map(column))), pool.numbers(items.map((one) => one.position.offset))];
      await pool.run(MARKS, values);
      return items.map(() => true);
    },
    ...{ lanes: 1, maxItems: 1000, maxBytes: Number.POSITIVE_INFINITY, waitMs: timeoutMs },
  });
  const one = async (name: "acknowledge_1" | "remove_1", inbox: Inbox, notificationId: string): Promise<boolean> => {
    const values = [inbox.tenant, recipientOf(inbox), notificationId, clock.now()];
    const [row] = await pool.run<{ readonly done: boolean }>(
      `SELECT nexus.${name}($1::text, $2::text, $3::text, $4::bigint) AS done`,
      values,
    );
    return row?.done === true;
  };
  return {
    publish: publishing.publish,
    read: (inbox, since): Promise<ReadResult> => reading.read(asked(inbox), since),
    top: (inbox) => reading.top(inbox),
    async seen(inbox, { epoch, offset }) {
      const values = [inbox.tenant, recipientOf(inbox), epoch, offset, ids.epoch(), clock.now()];
      const text = "SELECT epoch, top FROM nexus.seen_1($1::text, $2::text, $3::text, $4::bigint, $5::text, $6::bigint)";
      const [row] = await pool.run<HeadRow>(text, values);
      return row ? topOf(row) : await reading.top(inbox);
    },
    unread: (inbox) => reading.unread(asked(inbox)),
    async setMark(inbox, position) {
      pool.assertOpen();
      await marks.add(streamKey(inbox), { inbox, position }, 0);
    },
    has: (inbox, notificationId) => reading.has(inbox, notificationId),
    acknowledge: (inbox, notificationId) => one("acknowledge_1", inbox, notificationId),
    page: (inbox, request) => reading.page(asked(inbox), request),
    unreadCount: (inbox) => reading.unreadCount(asked(inbox)),
    remove: (inbox, notificationId) => one("remove_1", inbox, notificationId),
    health: () => pool.health(),
    calls: () => pool.calls(),
    unannounced: () => announcer.pending,
    sweep: () => sweeper.sweep(),
    purge: (tenant, signal) => purgeInboxes({ pool, ids }, tenant, signal),
    async close() {
      await sweeper.close();
      await Promise.all([publishing.settle(), marks.settle()]);
      announcer.close();
      await pool.close();
    },
  };
}

async function prepared(pool: Pool, { ids, log }: PostgresInboxOptions): Promise<void> {
  for (;;) {
    try {
      return await migrate({ sql: pool.sql, epoch: ids.epoch(), log });
    } catch (error) {
      if (!mayHeal(error)) throw error;
      log.warn("postgres.not_there_yet", { error: String(error) });
      await Bun.sleep(RETRY_MS * (0.5 + Math.random())); // jittered: a fleet starts at the same moment
    }
  }
}

// Why: what an inbox holds, each question answered by one statement and so from one moment.
// It must never answer a part as if it were whole: what was lost in between is told.
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Entry, Page, PageRequest, ReadResult } from "../../core/ports.ts";
import type { Pool } from "./pool.ts";
import { type EntryRow, entryOf, type HeadRow, type Inbox, recipientOf, topOf } from "./rows.ts";

/** The inbox, or where a reader of one that nobody wrote to would start. */
const HEAD = `SELECT s.id AS stream, nexus.epoch_1(coalesce(s.epoch, m.value)) AS epoch, coalesce(s.top, 0) AS top, coalesce(s.lost, 0) AS lost,
  coalesce(greatest(s.mark, s.trimmed), 0) AS mark
  FROM nexus.meta m LEFT JOIN nexus.streams s ON s.tenant = $1::text AND s.recipient = $2::text WHERE m.name = 'epoch'`;
const ENTRY = "e.place, e.id, e.head, e.payload";
const UNREAD = "e.stream = h.stream AND e.place > h.mark AND e.until > $3::bigint AND NOT e.acknowledged";

const SQL = {
  top: `SELECT epoch, top FROM (${HEAD}) h`,
  // What outlived its inbox, and not its own ttl, is lost, whether or not it was swept already.
  read: `SELECT h.epoch, h.top, ${ENTRY}, $4::bigint < h.lost OR EXISTS (
      SELECT 1 FROM nexus.entries o WHERE o.stream = h.stream AND o.place > $4::bigint AND o.until <= $3::bigint AND o.own_until > $3::bigint
    ) AS is_lost
    FROM (${HEAD}) h LEFT JOIN nexus.entries e
      ON e.stream = h.stream AND h.epoch = $5::text AND e.place > $4::bigint AND e.until > $3::bigint ORDER BY e.place`,
  unread: `SELECT h.epoch, h.top, ${ENTRY} FROM (${HEAD}) h LEFT JOIN nexus.entries e ON ${UNREAD} ORDER BY e.place`,
  unreadCount: `SELECT count(e.place)::int AS count FROM (${HEAD}) h LEFT JOIN nexus.entries e ON ${UNREAD}`,
  page: `SELECT h.epoch, h.top, ${ENTRY}, e.place > h.own_mark AND NOT e.acknowledged AS unread
    FROM (${HEAD.replace("AS mark", "AS mark, coalesce(s.mark, 0) AS own_mark")}) h LEFT JOIN LATERAL (
      SELECT * FROM nexus.entries o WHERE o.stream = h.stream AND o.place < $4::bigint AND o.until > $3::bigint ORDER BY o.place DESC LIMIT $5::int
    ) e ON true ORDER BY e.place DESC`,
  has: `SELECT 1 AS found FROM nexus.streams s JOIN nexus.entries e ON e.stream = s.id
    WHERE s.tenant = $1::text AND s.recipient = $2::text AND e.id = $3::text LIMIT 1`,
} as const;

type Asked = { readonly inbox: Inbox; readonly now: number };
type PageRow = EntryRow & { readonly unread: boolean | null };

const nameOf = (inbox: Inbox) => [inbox.tenant, recipientOf(inbox)] as const;

/** Of an inbox; `now` in milliseconds since 1970. Each rejects with `Failure` `broker_unavailable`. */
export class Reading {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async top(inbox: Inbox): Promise<Position> {
    return topOf(first(await this.#pool.run<HeadRow>(SQL.top, nameOf(inbox))));
  }

  async read({ inbox, now }: Asked, since: Position): Promise<ReadResult> {
    const values = [...nameOf(inbox), now, since.offset, since.epoch];
    const rows = await this.#pool.run<EntryRow & { readonly is_lost: boolean }>(SQL.read, values);
    const head = first(rows);
    const top = topOf(head);
    if (top.epoch !== since.epoch) return { kind: "not_recovered", reason: "epoch_changed", top };
    if (since.offset > top.offset) return { kind: "not_recovered", reason: "unverifiable", top };
    if (head.is_lost) return { kind: "not_recovered", reason: "window_exceeded", top };
    return { kind: "recovered", entries: entriesOf(inbox, rows), top };
  }

  async unread({ inbox, now }: Asked): Promise<{ readonly entries: readonly Entry[]; readonly top: Position }> {
    const rows = await this.#pool.run<EntryRow>(SQL.unread, [...nameOf(inbox), now]);
    return { entries: entriesOf(inbox, rows), top: topOf(first(rows)) };
  }

  async unreadCount({ inbox, now }: Asked): Promise<number> {
    return first(await this.#pool.run<{ readonly count: number }>(SQL.unreadCount, [...nameOf(inbox), now])).count;
  }

  async page({ inbox, now }: Asked, { before, limit }: PageRequest): Promise<Page> {
    const values = [...nameOf(inbox), now, before ?? Number.MAX_SAFE_INTEGER, limit + 1];
    const rows = await this.#pool.run<PageRow>(SQL.page, values);
    const entries = rows.slice(0, limit).flatMap((row) => {
      const entry = entryOf(inbox, row);
      return entry ? [{ entry, unread: row.unread === true }] : [];
    });
    return { entries, top: topOf(first(rows)), more: rows.length > limit };
  }

  async has(inbox: Inbox, notificationId: string): Promise<boolean> {
    return (await this.#pool.run(SQL.has, [...nameOf(inbox), notificationId])).length > 0;
  }
}

function entriesOf(inbox: Inbox, rows: readonly EntryRow[]): readonly Entry[] {
  return rows.flatMap((row) => entryOf(inbox, row) ?? []);
}

/** Every question gets at least one row: `nexus.meta` has one. */
function first<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error("nexus.meta is empty");
  return row;
}

// Why: streams in the file: contiguous offsets, marks, what was lost. The rules are those of the memory engine's log, as
// statements. Whatever changes something here runs inside a transaction of `GroupCommit`, never outside of one.
import type { Database } from "bun:sqlite";
import type { Position } from "@nexus/protocol/cursor.ts";
import { expiryOf } from "../../core/frame.ts";
import type { Entry, Notification, Page, PageRequest, ReadResult, Retention, StreamId } from "../../core/ports.ts";
import { streamKey } from "../../core/streams.ts";
import type { Meta } from "./meta.ts";
import { ENTRY_COLUMNS, type EntryRow, entryOf, type GoneRow, metadataText, NEVER, type StreamRow } from "./rows.ts";

type Found = { readonly offset: number; readonly acknowledged: number };

export class StreamTable {
  readonly #meta: Meta;
  readonly #sql: ReturnType<typeof statements>;

  constructor(db: Database, meta: Meta) {
    this.#meta = meta;
    this.#sql = statements(db);
  }

  append(stream: StreamId, notification: Notification, { retention, now }: { retention: Retention; now: number }): Position {
    const row = this.#find(stream) ?? this.#create(stream, now);
    const position = { epoch: row.epoch, offset: row.top + 1 };
    const entry: Entry = { stream, notification, position };
    const until = notification.occurredAt + retention.ttlSeconds * 1000;
    const ownEnd = Math.min(expiryOf(entry), NEVER);
    const { id, occurredAt, eventType, payloadJson } = notification;
    const place = [this.#meta.nextSeq(), row.id, position.offset, id] as const;
    this.#sql.insert.run(...place, Math.min(until, ownEnd), ownEnd, occurredAt, eventType, metadataText(notification), payloadJson);
    const cut = Math.max(position.offset - retention.entries, row.gone);
    const trimmed = cut > row.gone ? this.#sql.trim.all(row.id, cut) : [];
    const lost = trimmed.reduce((most, one) => (one.own_expires_at > now ? Math.max(most, one.offset) : most), row.lost);
    this.#sql.advance.run(position.offset, lost, cut, now, row.id);
    return position;
  }

  top(stream: StreamId): Position {
    const row = this.#find(stream);
    return row ? topOf(row) : this.#meta.emptyTop();
  }

  read(stream: StreamId, since: Position, now: number): ReadResult {
    const row = this.#find(stream);
    const top = row ? topOf(row) : this.#meta.emptyTop();
    if (since.epoch !== top.epoch) return { kind: "not_recovered", reason: "epoch_changed", top };
    if (since.offset > top.offset) return { kind: "not_recovered", reason: "unverifiable", top };
    if (!row) return { kind: "recovered", entries: [], top };
    // What outlived the stream's retention, and not its own ttl, is lost, whether or not it was swept already.
    if (since.offset < row.lost || this.#sql.outlived.get(row.id, since.offset, now, now)) {
      return { kind: "not_recovered", reason: "window_exceeded", top };
    }
    const rows = this.#sql.after.all(row.id, since.offset, now);
    return { kind: "recovered", entries: rows.map((one) => entryOf(stream, row.epoch, one)), top };
  }

  unread(inbox: StreamId, now: number): { readonly entries: readonly Entry[]; readonly top: Position } {
    const row = this.#find(inbox);
    if (!row) return { entries: [], top: this.#meta.emptyTop() };
    const rows = this.#sql.unread.all(row.id, row.mark, now);
    return { entries: rows.map((one) => entryOf(inbox, row.epoch, one)), top: topOf(row) };
  }

  unreadCount(inbox: StreamId, now: number): number {
    const row = this.#find(inbox);
    return row ? (this.#sql.unreadCount.get(row.id, row.mark, now)?.count ?? 0) : 0;
  }

  page(stream: StreamId, { before, limit }: PageRequest, now: number): Page {
    const row = this.#find(stream);
    if (!row) return { entries: [], top: this.#meta.emptyTop(), more: false };
    const rows = this.#sql.page.all(row.id, before ?? row.top + 1, now, limit + 1);
    const entries = rows.slice(0, limit).map((one) => ({
      entry: entryOf(stream, row.epoch, one),
      unread: stream.kind === "inbox" && one.offset > row.mark && one.acknowledged === 0,
    }));
    return { entries, top: topOf(row), more: rows.length > limit };
  }

  has(inbox: StreamId, notificationId: string): boolean {
    const row = this.#find(inbox);
    return row !== undefined && this.#entry(row, notificationId, 0) !== undefined;
  }

  setMark(inbox: StreamId, { epoch, offset }: Position): void {
    this.#sql.mark.run(offset, streamKey(inbox), epoch);
  }

  acknowledge(inbox: StreamId, notificationId: string, now: number): boolean {
    const row = this.#find(inbox);
    const found = row && this.#entry(row, notificationId, 0);
    if (!row || !found) return false;
    if (found.acknowledged === 0) this.#sql.acknowledge.run(row.id, found.offset);
    this.#raiseMark(row, now);
    return true;
  }

  remove(inbox: StreamId, notificationId: string, now: number): boolean {
    const row = this.#find(inbox);
    const found = row && this.#entry(row, notificationId, now);
    if (!row || !found) return false;
    this.#sql.remove.run(row.id, found.offset);
    this.#raiseMark(row, now);
    return true;
  }

  /** Over every leading entry that nobody waits for any more: acknowledged, removed or expired. */
  #raiseMark(row: StreamRow, now: number): void {
    const next = this.#sql.awaited.get(row.id, row.mark, now)?.offset ?? row.top + 1;
    if (next - 1 > row.mark) this.#sql.raise.run(next - 1, row.id);
  }

  /** Also one that expired and was not swept yet, unless `now` says not. */
  #entry(row: StreamRow, notificationId: string, now: number): Found | undefined {
    return this.#sql.byId.get(row.id, notificationId, now) ?? undefined;
  }

  #find(stream: StreamId): StreamRow | undefined {
    return this.#sql.find.get(streamKey(stream)) ?? undefined;
  }

  #create(stream: StreamId, now: number): StreamRow {
    const { epoch } = this.#meta.emptyTop();
    const { lastInsertRowid } = this.#sql.create.run(streamKey(stream), epoch, now);
    return { id: Number(lastInsertRowid), epoch, top: 0, lost: 0, gone: 0, mark: 0 };
  }
}

const topOf = ({ epoch, top }: StreamRow): Position => ({ epoch, offset: top });

function statements(db: Database) {
  type Place = [number, number, number];
  const ofStream = `SELECT ${ENTRY_COLUMNS} FROM entries WHERE stream = ?1`;
  const unread = "stream = ?1 AND offset > ?2 AND expires_at > ?3 AND acknowledged = 0";
  return {
    find: db.query<StreamRow, [string]>("SELECT id, epoch, top, lost, gone, mark FROM streams WHERE key = ?1"),
    create: db.query<unknown, [string, string, number]>("INSERT INTO streams (key, epoch, used_at) VALUES (?1, ?2, ?3)"),
    advance: db.query<unknown, [number, number, number, number, number]>(
      "UPDATE streams SET top = ?1, lost = ?2, gone = ?3, used_at = ?4 WHERE id = ?5",
    ),
    insert: db.query<unknown, [number, number, number, string, number, number, number, string, string, string]>(
      `INSERT INTO entries (seq, stream, offset, id, expires_at, own_expires_at, occurred_at, event_type, metadata, payload)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`,
    ),
    trim: db.query<GoneRow, [number, number]>(
      "DELETE FROM entries WHERE stream = ?1 AND offset <= ?2 RETURNING stream, offset, own_expires_at",
    ),
    outlived: db.query<unknown, [number, number, number, number]>(
      "SELECT 1 FROM entries WHERE stream = ?1 AND offset > ?2 AND expires_at <= ?3 AND own_expires_at > ?4 LIMIT 1",
    ),
    after: db.query<EntryRow, Place>(`${ofStream} AND offset > ?2 AND expires_at > ?3 ORDER BY offset`),
    unread: db.query<EntryRow, Place>(`SELECT ${ENTRY_COLUMNS} FROM entries WHERE ${unread} ORDER BY offset`),
    unreadCount: db.query<{ count: number }, Place>(`SELECT count(*) AS count FROM entries WHERE ${unread}`),
    awaited: db.query<{ offset: number | null }, Place>(`SELECT min(offset) AS offset FROM entries WHERE ${unread}`),
    page: db.query<EntryRow, [number, number, number, number]>(
      `${ofStream} AND offset < ?2 AND expires_at > ?3 ORDER BY offset DESC LIMIT ?4`,
    ),
    byId: db.query<Found, [number, string, number]>(
      `SELECT offset, acknowledged FROM entries INDEXED BY entries_place
       WHERE stream = ?1 AND id = ?2 AND expires_at > ?3 ORDER BY offset DESC LIMIT 1`,
    ),
    mark: db.query<unknown, [number, string, string]>("UPDATE streams SET mark = max(mark, min(?1, top)) WHERE key = ?2 AND epoch = ?3"),
    raise: db.query<unknown, [number, number]>("UPDATE streams SET mark = ?1 WHERE id = ?2"),
    acknowledge: db.query<unknown, [number, number]>("UPDATE entries SET acknowledged = 1 WHERE stream = ?1 AND offset = ?2"),
    remove: db.query<unknown, [number, number]>("DELETE FROM entries WHERE stream = ?1 AND offset = ?2"),
  };
}

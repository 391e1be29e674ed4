// Why: where the application stands in each stream, so that every connection can go on from there, also one of another page.
// No I/O. It must never hold a place the server did not name, nor judge by itself whether something is missing.
import { decodeCursor, encodeCursor, encodeHashes, type Position, streamHash } from "@nexus/protocol/cursor.ts";
import type { StreamState } from "@nexus/protocol/frames.ts";
import type { Gap } from "./events.ts";
import { channelOf } from "./frames.ts";

/** The epoch of a stream that keeps nothing: there is nothing to go on from. */
const KEEPS_NOTHING = "0";
/** So that each part of an exported cursor is one the server reads too: 40 streams have at most 1,800 characters or so. */
const STREAMS_PER_PART = 40;
/** Streams taken from an exported cursor: channels that are never subscribed again must not pile up over the years. */
const MAX_IMPORTED = 200;
const PART_SEPARATOR = ".";
/** Streams every session holds. */
const ALWAYS_HELD = ["user", "broadcast"];

export class Positions {
  readonly #places = new Map<string, Position>();
  /** Of an earlier life, by hash of the stream's name, until the server says where the stream stands now. */
  readonly #imported: Map<bigint, Position>;

  /** `imported` comes from {@link readCursor}. */
  constructor(imported: ReadonlyMap<bigint, Position> = new Map()) {
    this.#imported = new Map(imported);
  }

  /** Undefined for a stream that was not held before. */
  get(stream: string): Position | undefined {
    return this.#places.get(stream) ?? (this.#imported.size > 0 ? this.#imported.get(streamHash(stream)) : undefined);
  }

  /** Where a connection may go on from; undefined where nothing is kept. */
  since(stream: string): Position | undefined {
    const place = this.get(stream);
    return place?.epoch === KEEPS_NOTHING ? undefined : place;
  }

  /** What the server said of a stream that was joined. */
  join({ stream, epoch, offset }: StreamState): void {
    this.#put(stream, { epoch, offset });
  }

  /** As `join`, for what nobody has received yet: a stream that keeps nothing stays unknown. */
  expect(state: StreamState): void {
    if (state.epoch !== KEEPS_NOTHING) this.join(state);
  }

  /** A notification arrived. One that comes late, or again, moves nothing. */
  advance(stream: string, offset: number | undefined): void {
    const place = this.#places.get(stream);
    if (place && offset !== undefined && offset > place.offset) this.#places.set(stream, { epoch: place.epoch, offset });
  }

  /** A gap moves the place: what is before it is lost. A stream that is not held stays unknown. */
  move(stream: string, place: Position): void {
    if (this.#places.has(stream)) this.#put(stream, place);
  }

  forget(stream: string): void {
    this.#places.delete(stream);
    if (this.#imported.size > 0) this.#imported.delete(streamHash(stream));
  }

  /** Another user has other streams. */
  clear(): void {
    this.#places.clear();
    this.#imported.clear();
  }

  /** For `?cursor=`: inbox and broadcast; channels say it when they are subscribed. */
  query(): string | undefined {
    const known = ALWAYS_HELD.flatMap((stream) => {
      const place = this.since(stream);
      return place ? [[stream, place] as const] : [];
    });
    return known.length > 0 ? encodeCursor(known) : undefined;
  }

  /**
   * Everything a later client can go on from, for {@link readCursor}; undefined when that is nothing.
   * `done`: where the inbox is to go on instead, when it is known better.
   */
  export(done?: Position): string | undefined {
    const inbox = this.#places.get("user");
    const places = done && inbox?.epoch === done.epoch ? new Map(this.#places).set("user", done) : this.#places;
    const named = [...places].filter(([, { epoch }]) => epoch !== KEEPS_NOTHING);
    const all = [...named.map(([stream, place]) => [streamHash(stream), place] as const), ...this.#imported];
    const parts: string[] = [];
    for (let at = 0; at < all.length; at += STREAMS_PER_PART) {
      const part = encodeHashes(all.slice(at, at + STREAMS_PER_PART));
      if (part !== undefined) parts.push(part);
    }
    return parts.length > 0 ? parts.join(PART_SEPARATOR) : undefined;
  }

  #put(stream: string, { epoch, offset }: Position): void {
    if (this.#imported.size > 0) this.#imported.delete(streamHash(stream));
    this.#places.set(stream, { epoch, offset });
  }
}

/** What {@link Positions.export} wrote, or one cursor of the server. Undefined when it is neither. */
export function readCursor(text: string): ReadonlyMap<bigint, Position> | undefined {
  const found = new Map<bigint, Position>();
  for (const part of text.split(PART_SEPARATOR)) {
    const places = decodeCursor(part);
    if (!places) return undefined;
    for (const [stream, place] of places) if (found.size < MAX_IMPORTED) found.set(stream, place);
  }
  return found;
}

/** Entries of this stream may be missing, and will not come by themselves. */
export function gapOf(stream: string, reason: string): Gap {
  const channel = channelOf(stream);
  return { stream, reason, recovered: false, ...(channel === undefined ? {} : { channel }) };
}

/**
 * What the server's answer means for a stream that was held before: undefined when nothing is missing. Reasons beside the
 * server's: `not_kept` (the stream has no history to recover from), `not_resumed` (the server did not say).
 */
export function lossOf(stream: string, state: StreamState | undefined): Gap | undefined {
  if (state?.outcome === "recovered") return undefined;
  return gapOf(stream, state?.reason ?? (state?.epoch === KEEPS_NOTHING ? "not_kept" : "not_resumed"));
}

// Why: where a reader stands in its streams, as one opaque text that survives SSE's `Last-Event-ID` and a URL.
// It must never claim more than it knows: what cannot be read is refused, not guessed.

/** A place in a stream. `epoch` changes whenever entries may have been lost; `offset` grows by one per entry. */
export type Position = { readonly epoch: string; readonly offset: number };

/** Streams by their wire name: `user`, `broadcast`, `channel:<name>`. */
export type CursorEntry = { readonly stream: bigint; readonly position: Position };

const VERSION = 1;
/** Longest cursor on the wire, in characters of base64url. */
export const MAX_CURSOR_CHARACTERS = 2048;
const EPOCH = /^[A-Za-z0-9_-]{1,16}$/;

export const isEpoch = (text: string): boolean => EPOCH.test(text);

/** 64-bit FNV-1a of a stream's name: names a stream inside a cursor in 8 bytes. */
export function streamHash(name: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(name)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}

/**
 * Layout: version byte, then per stream 8 bytes hash (big endian), 1 byte epoch length, epoch (ASCII), offset (LEB128).
 * Returns undefined when the text would pass {@link MAX_CURSOR_CHARACTERS}: the caller leaves streams out.
 */
export function encodeCursor(positions: Iterable<readonly [stream: string, position: Position]>): string | undefined {
  return encodeHashes([...positions].map(([stream, position]) => [streamHash(stream), position] as const));
}

/** As {@link encodeCursor}, for callers who keep the hashes. */
export function encodeHashes(positions: Iterable<readonly [stream: bigint, position: Position]>): string | undefined {
  let bytes = String.fromCharCode(VERSION);
  for (const [hash, { epoch, offset }] of positions) {
    const high = Number(hash >> 32n);
    const low = Number(hash & 0xffffffffn);
    bytes += String.fromCharCode(high >>> 24, (high >>> 16) & 0xff, (high >>> 8) & 0xff, high & 0xff);
    bytes += String.fromCharCode(low >>> 24, (low >>> 16) & 0xff, (low >>> 8) & 0xff, low & 0xff);
    bytes += String.fromCharCode(epoch.length) + epoch;
    let rest = offset;
    while (rest >= 0x80) {
      bytes += String.fromCharCode((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    bytes += String.fromCharCode(rest);
  }
  // `btoa` takes one character per byte, in browsers as here.
  const text = btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return text.length <= MAX_CURSOR_CHARACTERS ? text : undefined;
}

/** Undefined when the text is no cursor of ours (`invalid_cursor`). A stream that is not in it starts fresh. */
export function decodeCursor(text: string): ReadonlyMap<bigint, Position> | undefined {
  if (text.length === 0 || text.length > MAX_CURSOR_CHARACTERS || !/^[A-Za-z0-9_-]+$/.test(text) || text.length % 4 === 1) return undefined;
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  if (bytes[0] !== VERSION) return undefined;
  const found = new Map<bigint, Position>();
  let at = 1;
  while (at < bytes.length) {
    if (at + 9 > bytes.length) return undefined;
    const hash = view.getBigUint64(at);
    const length = bytes[at + 8] ?? 0;
    const epoch = String.fromCharCode(...bytes.subarray(at + 9, at + 9 + length));
    at += 9 + length;
    if (epoch.length !== length || !isEpoch(epoch)) return undefined;
    const read = readVarint(bytes, at);
    if (!read) return undefined;
    at = read.next;
    found.set(hash, { epoch, offset: read.value });
  }
  return found;
}

function readVarint(bytes: Uint8Array, start: number): { value: number; next: number } | undefined {
  let value = 0;
  let scale = 1;
  for (let at = start; at < bytes.length && at < start + 8; at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * scale;
    if (!Number.isSafeInteger(value)) return undefined;
    if (byte < 0x80) return { value, next: at + 1 };
    scale *= 0x80;
  }
  return undefined;
}

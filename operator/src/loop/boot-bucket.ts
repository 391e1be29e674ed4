// Why: a bucket as it lies in a boot Secret: zstd of canonical JSON, below what a Secret may hold. Pure. When not everything
// fits, the cluster and its tenants come first, then templates in id order: a pod that boots alone can still serve people.
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { BUNDLE_FORMAT, type Bucket, type BundleEntry, bucketDigest, entryKey, isIntact } from "@nexus/protocol/bundle.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";

/** A Secret holds 1 MiB in all; this leaves room for nothing else than its data. */
export const BOOT_BYTES = 1_000_000;
/** Largest bucket we decompress, against a hostile or broken Secret. */
const MAX_BUCKET_BYTES = 64 * 1024 * 1024;

export type Line = { readonly key: string; readonly json: string };
/** `digest` is that of what is in it; `left` counts entries that did not fit. */
export type BootBucket = { readonly digest: string; readonly data: Buffer; readonly left: number };

const compress = (text: string): Buffer => zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: 3 } });
const digestOfLine = ({ json }: Line): string => (JSON.parse(json) as BundleEntry).digest; // written by us
const isTemplate = ({ key }: Line): boolean => key.startsWith("template:");

/** An entry as it was stored, not taken apart. `json` is all of it. */
export type StoredEntry = {
  readonly key: string;
  readonly uid: string;
  readonly generation: number;
  readonly digest: string;
  readonly json: string;
};
export type StoredBucket = { readonly index: number; readonly digest: string; readonly entries: readonly StoredEntry[] };

export const storedOf = ({ index, digest, entries }: Bucket): StoredBucket => ({
  index,
  digest,
  entries: entries.map((entry) => {
    const { uid, generation } = entry;
    return { key: entryKey(entry), uid, generation, digest: entry.digest, json: JSON.stringify(entry) };
  }),
});

/** JSON texts hold no line breaks, so that entries can be told apart without being read. */
const SEPARATOR = ",\n";
/** How an entry that we wrote begins and ends. */
const HEAD = /^\{"kind":"([a-z]+)","id":"([^"\\]*)","uid":"([^"\\]*)","generation":(\d{1,15}),/;
const TAIL = /"digest":"([0-9a-f]{64})"\}$/;

/**
 * A bucket from a Secret; undefined when it is none of ours. With the checksum that we wrote the entries are taken as they are:
 * a hundred thousand of them need not be read, parsed and hashed before a new leader may speak. Otherwise each is.
 */
export function readStored(index: number, data: Uint8Array, checksum: string | undefined): StoredBucket | undefined {
  const asWritten = checksum !== undefined && checksum === sha256(data) ? takenAsWritten(index, data) : undefined;
  if (asWritten) return asWritten;
  const bucket = unpackBucket(index, data);
  return bucket && storedOf(bucket);
}

/** Undefined when it was written in another form than today's. */
function takenAsWritten(index: number, data: Uint8Array): StoredBucket | undefined {
  const text = zstdDecompressSync(data, { maxOutputLength: MAX_BUCKET_BYTES }).toString();
  const head = `{"format":${BUNDLE_FORMAT},"index":${index},"digest":"`;
  const [digestEnd, middle] = [head.length + 64, '","entries":['];
  const digest = text.slice(head.length, digestEnd);
  if (!text.startsWith(head) || !text.startsWith(middle, digestEnd) || !text.endsWith("]}")) return undefined;
  const body = text.slice(digestEnd + middle.length, -2);
  const entries: StoredEntry[] = [];
  for (const json of body === "" ? [] : body.split(SEPARATOR)) {
    const [, kind, id, uid, generation] = HEAD.exec(json) ?? [];
    const [, entryDigest] = TAIL.exec(json.slice(-96)) ?? [];
    if (id === undefined || uid === undefined || entryDigest === undefined) return undefined;
    entries.push({ key: `${kind}:${id}`, uid, generation: Number(generation), digest: entryDigest, json });
  }
  return bucketDigest(entries.map((entry) => entry.digest)) === digest ? { index, digest, entries } : undefined;
}

/** `lines` are a bucket's entries sorted by key. */
export function packBucket(index: number, lines: readonly Line[], maxBytes = BOOT_BYTES): BootBucket {
  const ordered = [...lines.filter((line) => !isTemplate(line)), ...lines.filter(isTemplate)];
  const whole = pack(index, ordered);
  if (whole.data.length <= maxBytes) return { ...whole, left: 0 };
  let [low, high] = [0, ordered.length - 1]; // the most entries that fit lie in between
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (pack(index, ordered.slice(0, middle)).data.length <= maxBytes) low = middle;
    else high = middle - 1;
  }
  return { ...pack(index, ordered.slice(0, low)), left: ordered.length - low };
}

function pack(index: number, lines: readonly Line[]): { digest: string; data: Buffer } {
  const digest = bucketDigest(lines.map(digestOfLine));
  const head = `{"format":${BUNDLE_FORMAT},"index":${index},"digest":"${digest}","entries":[`;
  return { digest, data: compress(`${head}${lines.map(({ json }) => json).join(SEPARATOR)}]}`) };
}

/** A bucket from a Secret; undefined when it is not a bucket of this index, of our format, or was changed by others. */
export function unpackBucket(index: number, data: Uint8Array): Bucket | undefined {
  try {
    const value: unknown = JSON.parse(zstdDecompressSync(data, { maxOutputLength: MAX_BUCKET_BYTES }).toString());
    return isBucket(value, index) ? value : undefined;
  } catch {
    return undefined; // not zstd, not JSON, or too large: the caller writes it anew
  }
}

function isBucket(value: unknown, index: number): value is Bucket {
  if (typeof value !== "object" || value === null) return false;
  // What is asked below decides whether it is one.
  const bucket = value as Bucket;
  if (bucket.format !== BUNDLE_FORMAT || bucket.index !== index || !Array.isArray(bucket.entries)) return false;
  return bucket.entries.every(isIntact) && bucket.digest === bucketDigest(bucket.entries.map((entry) => entry.digest));
}

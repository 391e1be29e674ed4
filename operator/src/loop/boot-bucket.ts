// Why: a bucket as it lies in a boot Secret: zstd of canonical JSON, below what a Secret may hold. Pure. When not everything
// fits, the cluster and its tenants come first, then templates in id order: a pod that boots alone can still serve people.
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { BUNDLE_FORMAT, type Bucket, type BundleEntry, bucketDigest, isIntact } from "@nexus/protocol/bundle.ts";

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
  return { digest, data: compress(`${head}${lines.map(({ json }) => json).join(",")}]}`) };
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

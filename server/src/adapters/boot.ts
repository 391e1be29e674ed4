// Why: a pod starts with the last good configuration even while the operator is dead: 64 mounted files, each a bucket of
// the bundle. It must never fail a start because of one file, and never read beyond its bounds.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { BUCKET_COUNT, Bucket, bucketName } from "@nexus/protocol/bundle.ts";
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { EntryEnvelope } from "../core/bundle-entries.ts";
import type { Log } from "../core/ports.ts";

const decompress = promisify(zstdDecompress);
/** A bucket after decompression; a Secret holds at most 1 MiB of it compressed. */
const MAX_BUCKET_BYTES = 64 * 1024 * 1024;

/** Text read between two collections. What parsing leaves behind would otherwise grow the process once and for all. */
const COLLECT_EVERY_BYTES = 16 * 1024 * 1024;

/** A bucket whose entries are known by their envelope only: each is judged by itself when it is loaded. */
const BucketShell = Type.Object({ ...Bucket.properties, entries: Type.Array(EntryEnvelope) });

/**
 * Reads the files `00` to `63` of `directory` and hands each bucket to `take` before it reads the next: the copy is never
 * in memory as a whole. Missing files are no failure; others that cannot be read are logged. Returns how many those were.
 */
export async function readBootCopy(directory: string, options: { log: Log; take: (bucket: Bucket) => void }): Promise<number> {
  let failed = 0;
  let bytes = 0;
  for (let index = 0; index < BUCKET_COUNT; index++) {
    const read = await readBucket(directory, index);
    if (read === undefined) continue;
    if ("reason" in read) {
      failed++;
      options.log.error("boot.bucket_unreadable", { bucket: index, reason: read.reason });
      continue;
    }
    options.take(read.bucket);
    bytes += read.bytes;
    if (bytes < COLLECT_EVERY_BYTES) continue;
    bytes = 0;
    Bun.gc(true);
  }
  return failed;
}

type ReadBucket = { readonly bucket: Bucket; readonly bytes: number } | { readonly reason: string };

async function readBucket(directory: string, index: number): Promise<ReadBucket | undefined> {
  let compressed: Buffer;
  try {
    compressed = await readFile(join(directory, bucketName(index)));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? undefined : { reason: `cannot be read (${code ?? "unknown"})` };
  }
  let value: unknown;
  let bytes: number;
  try {
    const text = await decompress(compressed, { maxOutputLength: MAX_BUCKET_BYTES });
    bytes = text.byteLength;
    // A file that was cut off decompresses without complaint: then the text is no JSON.
    value = JSON.parse(text.toString());
  } catch {
    return { reason: "is not JSON compressed with zstd" };
  }
  if (!Value.Check(BucketShell, value)) return { reason: "is not a bucket" };
  if (value.index !== index) return { reason: `says it is bucket ${value.index}` };
  // Entries are checked one by one when they are loaded; here they are only carried.
  return { bucket: value as Bucket, bytes };
}

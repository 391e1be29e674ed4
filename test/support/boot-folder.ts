// Why: a server that is started as a program gets its configuration as a pod does: bucket files in a folder.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { type BundleEntry, bucketName, makeBuckets } from "@nexus/protocol/bundle.ts";

/** Writes the boot copy of these entries into a folder that is there; buckets without any have no file. */
export async function writeBuckets(directory: string, entries: Iterable<BundleEntry>): Promise<void> {
  for (const bucket of makeBuckets(entries)) {
    if (bucket.entries.length === 0) continue;
    await writeFile(join(directory, bucketName(bucket.index)), zstdCompressSync(Buffer.from(JSON.stringify(bucket))));
  }
}

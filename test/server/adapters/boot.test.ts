// Why: a pod starts with whatever of its boot copy is whole.
import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { bucketName, bucketOf, makeBuckets } from "@nexus/protocol/bundle.ts";
import { readBootCopy } from "@nexus/server/adapters/boot.ts";
import type { Log } from "@nexus/server/core/ports.ts";
import { apiKey, clusterEntry, templateEntry, tenantEntry } from "../../support/bundle-entries.ts";
import { eventually } from "../../support/eventually.ts";
import { startRealServer } from "../../support/real-server.ts";

const entries = [clusterEntry(), tenantEntry("acme", { api_keys: [apiKey("backend", "k1")] }), templateEntry("acme", "welcome")];
const zip = (value: unknown) => zstdCompressSync(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));

async function bootFolder() {
  const directory = await mkdtemp(join(tmpdir(), "nexus-boot-"));
  for (const bucket of makeBuckets(entries)) {
    if (bucket.entries.length > 0) await writeFile(join(directory, bucketName(bucket.index)), zip(bucket));
  }
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

test("a server serves what its boot copy says", async () => {
  await using boot = await bootFolder();
  await using real = await startRealServer({ env: { NEXUS_BOOT_DIRECTORY: boot.directory } });
  expect(real.server.live.counts()).toEqual({ tenants: 1, templates: 1, rejected: 0 });
  await eventually("readiness", () => real.server.readiness.isReady());
});

test("broken files are logged and left out, missing ones are no failure, and the rest is served", async () => {
  await using boot = await bootFolder();
  const put = (index: number, content: Uint8Array) => writeFile(join(boot.directory, bucketName(index)), content);
  const used = new Set(entries.map(({ id }) => bucketOf(id)));
  const free = Array.from({ length: 64 }, (_, index) => index).filter((index) => !used.has(index));
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = free;
  await put(a, Buffer.from("no zstd"));
  await put(b, zip("no json"));
  await put(c, zip({ some: "thing" }));
  await put(d, zip({ ...makeBuckets([])[e], index: e }));
  await put(e, zip({ format: 99, index: e, digest: "x", entries: [] }));
  await put(bucketOf("acme"), zip({ ...makeBuckets(entries)[bucketOf("acme")], entries: [{ kind: "tenant", id: "acme" }] }));
  await using real = await startRealServer({ env: { NEXUS_BOOT_DIRECTORY: boot.directory } });
  real.expectErrors("boot.bucket_unreadable", "boot.bucket_skipped");
  expect(real.server.live.counts()).toEqual({ tenants: 0, templates: 1, rejected: 0 });
  const failed = real.lines.filter(({ event }) => event.startsWith("boot.bucket_")).map(({ bucket }) => Number(bucket));
  expect(failed.sort((x, y) => x - y)).toEqual([a, b, c, d, e, bucketOf("acme")].sort((x, y) => x - y));
  expect(real.lines.find(({ event }) => event === "boot.loaded")).toMatchObject({ failed: 6 });
});

test("a folder that is not there is an empty copy", async () => {
  const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const taken: unknown[] = [];
  expect(await readBootCopy("/nowhere/at/all", { log, take: (bucket) => taken.push(bucket) })).toBe(0);
  expect(taken).toEqual([]);
});

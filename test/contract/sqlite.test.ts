// Why: the SQLite engine keeps what the ports promise, in the words every engine is asked in.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createSqliteEngine } from "@nexus/server/adapters/sqlite/engine.ts";
import { manualServerClock } from "../support/manual-engine-clock.ts";
import { busSuite } from "./bus.ts";
import { directorySuite } from "./directory.ts";
import { inboxSuite } from "./inbox.ts";
import { inboxModelSuite } from "./inbox-model.ts";
import { purgeSuite } from "./purge.ts";
import { rateLimitsSuite } from "./rate-limits.ts";
import { receiptsSuite } from "./receipts.ts";
import { statsSuite } from "./stats.ts";
import { streamStoreSuite } from "./stream-store.ts";
import type { Subject } from "./subject.ts";
import { templatesSuite } from "./templates.ts";
import { ticketsSuite } from "./tickets.ts";
import { writesSuite } from "./writes.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function sqlite(synchronous: "FULL" | "NORMAL" = "FULL"): Promise<Subject> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-sqlite-"));
  const clock = manualServerClock();
  const engine = await createSqliteEngine({
    ...{ clock, ids: systemIds, log: silent, file: join(folder, "nexus.db") },
    ...{ synchronous, maxBytes: 64 * 1024 * 1024 },
  });
  return {
    engine,
    now: clock.now,
    advance: async (ms) => {
      clock.advance(ms);
      await engine.sweep();
    },
    async [Symbol.asyncDispose]() {
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

streamStoreSuite("sqlite", () => sqlite());
inboxSuite("sqlite", () => sqlite());
inboxModelSuite("sqlite", () => sqlite("NORMAL")); // thousands of steps, one after the other
busSuite("sqlite", () => sqlite());
directorySuite("sqlite", () => sqlite());
rateLimitsSuite("sqlite", () => sqlite());
templatesSuite("sqlite", () => sqlite());
ticketsSuite("sqlite", () => sqlite());
receiptsSuite("sqlite", () => sqlite());
statsSuite("sqlite", () => sqlite());
writesSuite("sqlite", () => sqlite());
purgeSuite("sqlite", () => sqlite());

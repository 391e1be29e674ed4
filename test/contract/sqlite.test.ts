// Why: the SQLite engine keeps what the ports promise, in the words every engine is asked in.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createSqliteEngine } from "@nexus/server/adapters/sqlite/engine.ts";
import { manualServerClock } from "../support/manual-engine-clock.ts";
import { directorySuite } from "./directory.ts";
import { rateLimitsSuite } from "./rate-limits.ts";
import { streamStoreSuite } from "./stream-store.ts";
import type { Subject } from "./subject.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function sqlite(): Promise<Subject> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-sqlite-"));
  const clock = manualServerClock();
  const engine = await createSqliteEngine({
    ...{ clock, ids: systemIds, log: silent, file: join(folder, "nexus.db") },
    ...{ synchronous: "FULL", maxBytes: 64 * 1024 * 1024 },
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

streamStoreSuite("sqlite", sqlite);
directorySuite("sqlite", sqlite);
rateLimitsSuite("sqlite", sqlite);

// Why: tests of the SQLite engine that open, kill and put back the same file again and again. It must leave nothing behind:
// every engine that was opened is closed, and the folder goes.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createSqliteEngine, type SqliteEngine, type SqliteEngineOptions } from "@nexus/server/adapters/sqlite/engine.ts";
import type { Log } from "@nexus/server/core/ports.ts";
import { manualServerClock } from "../support/manual-engine-clock.ts";

const PARTS = ["", "-wal", "-seal"];

export type Line = { readonly level: keyof Log; readonly event: string; readonly fields: Readonly<Record<string, unknown>> };

export function sqliteFolder() {
  const path = mkdtempSync(join(tmpdir(), "nexus-sqlite-"));
  const file = join(path, "nexus.db");
  const clock = manualServerClock();
  const lines: Line[] = [];
  const opened: SqliteEngine[] = [];
  const at =
    (level: keyof Log) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}) =>
      void lines.push({ level, event, fields });
  const log: Log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  return {
    path,
    file,
    clock,
    lines,
    now: clock.now,
    events: () => lines.map(({ event }) => event),
    async open(change: Partial<SqliteEngineOptions> = {}): Promise<SqliteEngine> {
      const defaults = { clock, ids: systemIds, log, file, synchronous: "FULL" as const, maxBytes: 64 * 1024 * 1024 };
      const engine = await createSqliteEngine({ ...defaults, ...change });
      opened.push(engine);
      return engine;
    },
    /** What a killed process would leave now, as files of another folder; answers the database in it. */
    image(name: string): string {
      mkdirSync(join(path, name), { recursive: true });
      const copy = join(path, name, "nexus.db");
      for (const part of PARTS) if (existsSync(file + part)) copyFileSync(file + part, copy + part);
      return copy;
    },
    async [Symbol.asyncDispose]() {
      for (const engine of opened) await engine.close();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

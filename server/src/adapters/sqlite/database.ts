// Why: one file, opened by one process, refused with words when it cannot be used. It must never open a file that another
// process has, one it cannot read whole, or one of a newer version.
import { Database } from "bun:sqlite";
import { closeSync, fdatasync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { isEmpty, migrate } from "./schema.ts";

/** Larger files are not read through at start: what is damaged in them is found when it is used. */
const CHECKED_BYTES = 64 * 1024 * 1024;
/** How long a start waits for an earlier process to let go of the file, in milliseconds. */
const LOCK_WAIT_MS = 2000;
/** A write-ahead log that grew beyond this is cut back when it was worked off. */
const LOG_BYTES = 16 * 1024 * 1024;

export type OpenDatabase = {
  readonly db: Database;
  /** The file was empty or not there. */
  readonly isNew: boolean;
  /** Resolves once everything committed so far is on the disk, beyond the page cache. Does not block the event loop. */
  sync(): Promise<void>;
  /** Works off the write-ahead log and lets go of the file. */
  close(): void;
};

/**
 * Opens or creates `file` and the folders above it, readable for this user only.
 * @throws Error, fit to be shown, when the file cannot be used
 */
export function openDatabase(file: string): OpenDatabase {
  let db: Database | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    closeSync(openSync(file, "a", 0o600)); // before SQLite has it: closing any handle of a file gives up the locks on it
    db = new Database(file, { readwrite: true, create: false });
    db.run(`PRAGMA busy_timeout = ${LOCK_WAIT_MS}`);
    db.run("PRAGMA locking_mode = EXCLUSIVE");
    const isNew = isEmpty(db, file); // before anything is changed in a file that may be somebody else's
    db.query("PRAGMA journal_mode = WAL").get();
    // The log is written at every commit and brought to the disk by `sync`, in a thread of its own.
    db.run("PRAGMA synchronous = NORMAL");
    db.run("PRAGMA temp_store = MEMORY"); // the root file system may be read-only
    db.run(`PRAGMA journal_size_limit = ${LOG_BYTES}`);
    if (statSync(file).size <= CHECKED_BYTES) check(db);
    migrate(db);
    db.run("BEGIN IMMEDIATE");
    db.run("UPDATE meta SET value = value WHERE name = ''"); // takes the lock for good, and makes the log
    db.run("COMMIT");
    const log = openSync(`${file}-wal`, "r");
    const open = db;
    return {
      db,
      isNew,
      sync: () => datasync(log),
      close() {
        open.close();
        closeSync(log);
      },
    };
  } catch (error) {
    db?.close();
    throw new Error(reasonOf(error, file), { cause: error });
  }
}

const datasync = promisify(fdatasync);

function check(db: Database): void {
  const found = db.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get()?.quick_check;
  if (found !== "ok") throw Object.assign(new Error(found ?? "no answer"), { code: "SQLITE_CORRUPT" });
}

/** The result code of SQLite or of the operating system; empty for anything else. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

export const isDamage = (error: unknown): boolean => /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error));

/** Why the file cannot be used, for people. */
export function reasonOf(error: unknown, file: string): string {
  const code = codeOf(error);
  const text = error instanceof Error ? error.message : String(error);
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return `${file} is in use by another process; a file belongs to one server`;
  if (isDamage(error)) {
    return `${file} is damaged (${text}); put back a backup, or move it away together with ${file}-wal to start empty`;
  }
  if (/^(SQLITE_(READONLY|CANTOPEN|PERM)|EACCES|EPERM|EROFS)/.test(code)) {
    return `${file} cannot be written (${code}); the folder has to belong to the user the server runs as`;
  }
  return code === "" ? text : `${file} cannot be opened (${code}: ${text})`;
}

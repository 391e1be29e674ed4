// Why: what a server says of PostgreSQL and of the SQLite file, as rows of the log catalogue.
import { type LogCatalogue, logRow } from "@nexus/protocol/log-line.ts";

const BUG = "A bug: report it with this line and the version.";
const POSTGRES = "Check that PostgreSQL runs and is reachable; nexus doctor says what is wrong.";
const DISK = "Check the disk: full, read-only or broken. Publishes are refused until it works again.";

export const STORE_EVENTS = {
  "postgres.not_there_yet": logRow("warn", ["error"], "PostgreSQL is not usable yet; it is tried again.", POSTGRES),
  "postgres.away": logRow("warn", ["error"], "PostgreSQL does not answer; inboxes are not written.", POSTGRES),
  "postgres.back": logRow("info", [], "PostgreSQL answers again."),
  "postgres.address_not_read": logRow("warn", ["error"], "The mounted address cannot be read; the last one is used.", "Check the Secret."),
  "postgres.connections_replaced": logRow(
    "warn",
    ["timeoutMs"],
    "Calls did not end in time; the connections are replaced.",
    "Slow queries or a full server: look at pg_stat_activity.",
  ),
  "postgres.newer_schema": logRow("info", ["version", "known"], "A newer release migrated the schema; this one can work with it."),
  "postgres.not_durable": logRow(
    "warn",
    ["setting"],
    "PostgreSQL may lose what it confirmed.",
    "Set synchronous_commit to on, or accept it.",
  ),
  "postgres.sweep_failed": logRow("debug", ["error"], "Deleting expired entries failed; it is tried again."),
  "postgres.announcement_failed": logRow("warn", ["error"], "An entry was kept but not announced; it is tried again."),
  "postgres.announcements_left": logRow(
    "warn",
    ["count"],
    "Announcements were left at the end; people get these entries when they reconnect.",
  ),
  "sqlite.epochs_renewed": logRow("warn", ["file", "reason"], "The file may have lost entries: clients are told that there may be gaps."),
  "sqlite.sweep_failed": logRow("debug", ["error"], "Deleting expired entries failed; it is tried again."),
  "sqlite.read_failed": logRow("error", ["file", "reason", "error"], "The file cannot be read.", DISK),
  "sqlite.write_failed": logRow("error", ["file", "reason", "error"], "The file cannot be written.", DISK),
  "sqlite.sync_failed": logRow(
    "error",
    ["file", "reason", "error"],
    "What was written may not be on the disk; only a restart can tell.",
    "Restart the server when the disk works.",
  ),
  "sqlite.damaged": logRow(
    "error",
    ["file", "reason", "error"],
    "The file is damaged.",
    "Restore it, or move it away and start with an empty one.",
  ),
  "sqlite.recovered": logRow("info", ["file"], "The file can be written again."),
  "sqlite.listener_failed": logRow("error", ["error"], "Handing out an entry failed; it is stored.", BUG),
} as const satisfies LogCatalogue;

// Why: whatever topology Redis is run in, the engine keeps what the ports promise, in the words every engine is asked in.
// It must never leave a suite out for one of them.
import { type LinkOptions, openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { busSuite } from "../contract/bus.ts";
import { directorySuite } from "../contract/directory.ts";
import { inboxSuite } from "../contract/inbox.ts";
import { inboxModelSuite } from "../contract/inbox-model.ts";
import { purgeSuite } from "../contract/purge.ts";
import { rateLimitsSuite } from "../contract/rate-limits.ts";
import { receiptsSuite } from "../contract/receipts.ts";
import { statsSuite } from "../contract/stats.ts";
import { streamStoreSuite } from "../contract/stream-store.ts";
import type { MakeSubject } from "../contract/subject.ts";
import { templatesSuite } from "../contract/templates.ts";
import { ticketsSuite } from "../contract/tickets.ts";
import { writesSuite } from "../contract/writes.ts";
import { redisSubject } from "../support/redis/subject.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** `how`: where Redis is, and how it is run. */
export function redisSuites(name: string, how: Omit<LinkOptions, "commandTimeoutMs" | "log">): void {
  const make: MakeSubject = () => redisSubject(() => openLink({ ...how, commandTimeoutMs: 2000, log: silent }));
  streamStoreSuite(name, make);
  inboxSuite(name, make);
  inboxModelSuite(name, make);
  busSuite(name, make);
  directorySuite(name, make);
  rateLimitsSuite(name, make);
  templatesSuite(name, make);
  ticketsSuite(name, make);
  receiptsSuite(name, make);
  statsSuite(name, make);
  writesSuite(name, make);
  purgeSuite(name, make);
}

// Why: inboxes in PostgreSQL keep what the ports promise, in the words every engine is asked in.
import { afterAll } from "bun:test";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { inboxSuite } from "../contract/inbox.ts";
import { inboxModelSuite } from "../contract/inbox-model.ts";
import { purgeSuite } from "../contract/purge.ts";
import { streamStoreSuite } from "../contract/stream-store.ts";
import { startPostgres } from "../support/postgres.ts";
import { postgresSubject } from "../support/postgres-subject.ts";
import { startRedis } from "../support/redis/server.ts";

const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
afterAll(async () => {
  await Promise.all([redis[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()]);
});
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const open = () => openLink({ addresses: [redis.address], commandTimeoutMs: 2000, log: silent });
const make = () => postgresSubject({ url: postgres.url, open });

streamStoreSuite("postgres", make);
inboxSuite("postgres", make);
inboxModelSuite("postgres", make);
purgeSuite("postgres", make);

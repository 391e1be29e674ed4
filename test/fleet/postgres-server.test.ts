// Why: the product with inboxes in PostgreSQL, as it is configured and asked: two servers, people who come and go, and the
// database gone for a while. It must never matter which server was asked.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import { startPostgres } from "../support/postgres.ts";
import { startRedis } from "../support/redis/server.ts";
import { expectProblem } from "../support/rest.ts";
import { startTwoTenants, type TwoTenants } from "../support/two-tenants.ts";

const [redis, postgres] = await Promise.all([startRedis(), startPostgres({ isDurable: true })]);
let folder = "";
let servers: readonly TwoTenants[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nexus-postgres-server-"));
  const urlFile = join(folder, "url");
  await Bun.write(urlFile, `${postgres.url}\n`);
  const env = { NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: redis.address, NEXUS_INBOX: "postgres", NEXUS_POSTGRES_URL_FILE: urlFile };
  const start = (node: string) => startTwoTenants({ ...env, NEXUS_NODE: node, NEXUS_POSTGRES_POOL_SIZE: "4" });
  servers = await Promise.all([start("here"), start("there")]); // both migrate
}, 60_000);
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  await Promise.all([redis[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()]);
  await rm(folder, { recursive: true, force: true });
});

const SEND = "/api/v1/notifications/send";
const send = (server: TwoTenants, user: string, text: string) =>
  server.rest("POST", SEND, { shape: SEND, body: { target_user_id: user, event_type: "test", payload: { text } } });
const both = (): readonly [TwoTenants, TwoTenants] => servers as [TwoTenants, TwoTenants]; // `beforeAll` started two
const health = async ({ rest }: TwoTenants) => (await rest("GET", "/health", { shape: "/health" })).body;

test("who was away gets what was sent through the other server, and who is there gets it live", async () => {
  const [here, there] = both();
  expect((await send(here, "ann", "while away")).body).toMatchObject({ delivered_to: 0 });
  await using ann = await there.listen("ann");
  expect(await ann.next("notification")).toMatchObject({ payload: { text: "while away" } });
  expect((await send(here, "ann", "while there")).body).toMatchObject({ delivered_to: 1 });
  expect(await ann.next("notification")).toMatchObject({ payload: { text: "while there" } });
  expect(await health(here)).toMatchObject({
    queue: { backend: "postgres" },
    postgres: { status: "healthy", connected: true, pool_size: 4 },
  });
}, 60_000);

test("while PostgreSQL is away, users cannot be sent to, channels can, and /health says so", async () => {
  const [here, there] = both();
  await using bob = await there.listen("bob", { channels: ["news"] });
  await postgres.kill();
  expectProblem(await send(here, "bob", "lost?"), "broker_unavailable");
  const channel = await here.rest("POST", "/api/v1/notifications/channel", {
    body: { channel: "news", event_type: "test", payload: { text: "to all" } },
  });
  expect(channel.status).toBe(200);
  expect(await bob.next("notification")).toMatchObject({ payload: { text: "to all" } });
  await eventually("it is told", async () => (await health(here)).status === "degraded");
  expect(await health(here)).toMatchObject({ postgres: { status: "unavailable", connected: false, idle_connections: 0 } });
  await postgres.start();
  await eventually("users can be sent to", async () => (await send(here, "bob", "back")).status === 200);
  expect(await bob.next("notification")).toMatchObject({ payload: { text: "back" } });
  await eventually("it is told", async () => (await health(here)).status === "healthy");
}, 60_000);

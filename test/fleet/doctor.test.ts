// Why: the doctor beside real brokers: each setting that makes one lose, refuse or evict what it was given is found and named with its
// fix, a good one passes, and nothing is changed by looking.
import { expect, test } from "bun:test";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Check } from "@nexus/cli/doctor/check.ts";
import { checkSettings, type Given } from "@nexus/cli/doctor/settings.ts";
import { nexus } from "../cli/dev-process.ts";
import { freePort } from "../support/free-port.ts";
import { startPostgres } from "../support/postgres.ts";
import { redisCommand, redisInfo, redisText } from "../support/redis/admin.ts";
import { startClusterRedis } from "../support/redis/cluster.ts";
import { startSentinelRedis } from "../support/redis/sentinel.ts";
import { startRedis } from "../support/redis/server.ts";

type Env = Readonly<Record<string, string>>;
const outside = { resolve: async () => ["127.0.0.1"], nowMs: () => Date.now() };
const look = (given: Given, env: Env = {}, nowMs = outside.nowMs): Promise<readonly Check[]> =>
  checkSettings(env, given, { ...outside, nowMs });
/** The checks whose subject ends so. */
const of = (checks: readonly Check[], end: string): Check | undefined => checks.find(({ what }) => what.endsWith(end));
const troubles = (checks: readonly Check[]) => checks.filter(({ outcome }) => outcome === "fail" || outcome === "warn");

/** As it is mounted in a pod, for its owner only. */
async function connectionFile(connection: object): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-doctor-"));
  const path = join(folder, "connection.json");
  await Bun.write(path, JSON.stringify({ topology: "standalone", database: 0, ...connection }));
  await chmod(path, 0o600);
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

test("a good Redis passes, and is as it was before", async () => {
  await using redis = await startRedis({ settings: ["appendonly yes", "maxmemory 100mb"] });
  const checks = await look({ redisUrl: `redis://${redis.address}` });
  expect(troubles(checks)).toEqual([]);
  expect(checks.length).toBeGreaterThan(6);
  expect(await redisCommand(redis, ["DBSIZE"])).toBe(0);
  expect(await redisInfo(redis, "clients", "pubsub_clients").catch(() => "0")).toBe("0");
});

test("a Redis that evicts, keeps nothing on a disk and is full", async () => {
  await using redis = await startRedis({ settings: ["maxmemory 100mb", "maxmemory-policy allkeys-lru"] });
  const checks = await look({ redisUrl: `redis://${redis.address}` });
  expect(of(checks, "memory")).toMatchObject({ outcome: "fail", fix: expect.stringContaining("noeviction") });
  expect(of(checks, "persistence")).toMatchObject({ outcome: "warn", seen: "nothing is kept on a disk" });
  await redisText(redis, "CONFIG", "SET", "maxmemory-policy", "noeviction");
  await redisText(redis, "CONFIG", "SET", "maxmemory", String(Math.round(Number(await redisInfo(redis, "memory", "used_memory")) * 1.01)));
  expect(of(await look({ redisUrl: `redis://${redis.address}` }), "memory")).toMatchObject({
    outcome: "fail",
    seen: expect.stringContaining("writes are refused when it is full"),
  });
});

test("a user that lacks commands, keys, channels or the password", async () => {
  await using redis = await startRedis({ settings: ["appendonly yes"] });
  const user = async (...rules: string[]) => {
    await redisCommand(redis, ["ACL", "SETUSER", "nexus", "reset", "on", ">s3cret", ...rules]);
    return of(await look({ redisUrl: `redis://nexus:s3cret@${redis.address}` }), "rights");
  };
  expect(await user("+@all", "~nexus:*", "&nexus:*")).toMatchObject({ outcome: "ok" });
  expect(await user("+@all", "-hset", "-evalsha", "~nexus:*", "&nexus:*")).toMatchObject({
    outcome: "fail",
    seen: "may not call HSET, EVALSHA",
    fix: expect.stringContaining("+hset +evalsha"),
  });
  expect((await user("+@all", "~nexus:*", "resetchannels"))?.seen).toBe("may not call SPUBLISH, PUBLISH, SSUBSCRIBE");
  expect((await user("+@all", "~other:*", "&*"))?.seen).toContain("HSET");
  expect(await user("+@all", "-multi", "~nexus:*", "&nexus:*")).toMatchObject({ outcome: "skip" });
  // What docs/doctor.md gives such a user, with triggers.
  await user(
    "+@all",
    "-@dangerous",
    "+info",
    "+cluster",
    "~nexus:*",
    "&nexus:*",
    "&notification:user:*",
    "&notification:broadcast",
    "&notification:channel:*",
  );
  await using file = await connectionFile({ addresses: [redis.address], username: "nexus", password: "s3cret" });
  const settings = { NEXUS_ENGINE: "redis", NEXUS_REDIS_CONNECTION_FILE: file.path };
  expect(troubles(await look({}, settings))).toEqual([]);
  await redisCommand(redis, ["ACL", "SETUSER", "nexus", "resetchannels", "&nexus:*", "-xack"]);
  expect(of(await look({}, settings), "rights")?.seen).toBe("may not call XACK, PSUBSCRIBE");
  const wrong = await look({ redisUrl: `redis://nexus:guess@${redis.address}` });
  expect(troubles(wrong)).toMatchObject([{ outcome: "fail", seen: expect.stringContaining("refused the credentials") }]);
  expect(JSON.stringify(wrong)).not.toContain("guess");
});

test("a clock that is off, a layout that is too far, a wrong topology, nobody there", async () => {
  await using redis = await startRedis({ settings: ["appendonly yes"] });
  const redisUrl = `redis://${redis.address}`;
  const late = await look({ redisUrl }, {}, () => Date.now() - 60_000);
  expect(of(late, "clock")).toMatchObject({ outcome: "fail", seen: expect.stringContaining("60.0 s ahead of this machine") });
  await redisCommand(redis, ["HSET", "nexus:layout", 9, Date.now() + 60_000]);
  expect(of(await look({ redisUrl }), "prefix nexus")).toMatchObject({
    outcome: "fail",
    fix: expect.stringContaining("NEXUS_REDIS_PREFIX"),
  });
  expect(of(await look({ redisUrl }, { NEXUS_REDIS_PREFIX: "other" }), "prefix other")).toMatchObject({ outcome: "ok" });
  expect(troubles(await look({ redisUrl, topology: "cluster" }))[0]?.seen).toContain("is a standalone Redis");
  const nobody = `127.0.0.1:${await freePort()}`;
  expect(troubles(await look({ redisUrl: `redis://${nobody}` }))).toMatchObject([
    { outcome: "fail", fix: expect.stringContaining("start Redis") },
  ]);
}, 60_000);

test("Sentinel and Cluster: the primaries are looked at, and what is missing of them", async () => {
  await using sentinel = await startSentinelRedis();
  const addresses = sentinel.addresses.join(",");
  const watched = await look({ redisUrl: `redis://${addresses}`, topology: "sentinel", masterName: sentinel.masterName });
  expect(of(watched, "replication")).toMatchObject({ outcome: "ok" });
  expect(troubles(await look({ redisUrl: `redis://${addresses}`, topology: "sentinel", masterName: "nobody" }))[0]?.seen).toContain(
    "knows no",
  );
  await using cluster = await startClusterRedis();
  const seeds = cluster.addresses.join(",");
  const sharded = await look({ redisUrl: `redis://${seeds}`, topology: "cluster" });
  expect(sharded.filter(({ what, outcome }) => what.endsWith(" cluster") && outcome === "ok")).toHaveLength(3);
  expect(sharded.filter(({ what, outcome }) => what.endsWith(" rights") && outcome === "ok")).toHaveLength(3);
}, 60_000);

test("PostgreSQL: a standby, a role without rights, a newer schema, a forgetful one, nobody", async () => {
  await using postgres = await startPostgres({ isDurable: true });
  const at = (url: string) => look({ postgresUrl: url });
  expect(troubles(await at(postgres.url))).toEqual([]);
  const sql = new Bun.SQL(postgres.url, { max: 1 });
  await sql.unsafe("CREATE ROLE guest LOGIN PASSWORD 'guest'");
  const guest = postgres.url.replace(/\/\/[^@]+@/, "//guest:guest@");
  expect(of(await at(guest), "rights")).toMatchObject({ outcome: "fail", fix: expect.stringContaining("CREATE SCHEMA nexus") });
  await sql.unsafe("CREATE SCHEMA nexus; CREATE TABLE nexus.schema_version (version int); INSERT INTO nexus.schema_version VALUES (999)");
  expect(of(await at(guest), "rights")).toMatchObject({ outcome: "fail", fix: expect.stringContaining("ALTER SCHEMA nexus OWNER") });
  expect(of(await at(postgres.url), "schema")).toMatchObject({ outcome: "fail", seen: expect.stringContaining("999") });
  await sql.unsafe("ALTER ROLE guest SET synchronous_commit = off");
  expect(of(await at(guest), "durability")).toMatchObject({ outcome: "fail" });
  await sql.close();
  await postgres.demote();
  expect(troubles(await at(postgres.url)).map(({ seen }) => seen)).toContain("is a standby: it takes no writes");
  await postgres.kill();
  const gone = await at(postgres.url);
  expect(troubles(gone)).toMatchObject([{ outcome: "fail", fix: expect.stringContaining("NEXUS_POSTGRES_URL_FILE") }]);
  expect(JSON.stringify(gone)).not.toContain(new URL(postgres.url).password);
}, 60_000);

test("the command: exit codes, one line a check, JSON, and the settings of the environment", async () => {
  await using redis = await startRedis({ settings: ["appendonly yes", "requirepass pw-of-redis"] });
  const folder = await mkdtemp(join(tmpdir(), "nexus-doctor-"));
  try {
    const passwordFile = join(folder, "password");
    await Bun.write(passwordFile, "pw-of-redis");
    await chmod(passwordFile, 0o600);
    const env = { NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: redis.address, NEXUS_REDIS_PASSWORD_FILE: passwordFile };
    const well = await nexus(["doctor", "--settings"], env);
    expect([well.code, well.err]).toEqual([0, ""]);
    expect(well.out).toMatch(/^ok {3}settings: engine redis/);
    expect(well.out).toMatch(/\d+ checks: \d+ ok, 0 failed\n$/);
    expect(well.out).toContain("rights: may call all");
    await Bun.write(passwordFile, "wrong-one");
    const ill = await nexus(["doctor", "--settings", "-o", "json"], env);
    expect(ill.code).toBe(1);
    expect(JSON.parse(ill.out)).toMatchObject({
      ok: false,
      checks: expect.arrayContaining([expect.objectContaining({ outcome: "fail" })]),
    });
    expect(well.out + ill.out).not.toMatch(/pw-of-redis|wrong-one/);
    expect((await nexus(["doctor", "--settings", "-n", "shop"])).code).toBe(2);
    expect((await nexus(["doctor", "--redis-url", "http://x"])).code).toBe(1);
    expect((await nexus(["doctor", "--redis-topology", "cluster"])).code).toBe(2);
  } finally {
    await rm(folder, { recursive: true });
  }
}, 60_000);

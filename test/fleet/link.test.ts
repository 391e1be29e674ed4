// Why: what every part of the Redis engine stands on: calls that end in time, whatever Redis does, and are never done twice.
import { describe, expect, test } from "bun:test";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Keys } from "@nexus/server/adapters/redis/keys.ts";
import type { Script } from "@nexus/server/adapters/redis/link.ts";
import { eventually } from "../support/eventually.ts";
import { redisCommand, redisInfo, redisText } from "../support/redis/admin.ts";
import { openTestLink, outcomeOf } from "../support/redis/link.ts";
import { startRedis } from "../support/redis/server.ts";
import { startTlsRedis } from "../support/redis/tls.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const KEY = new Keys("link").at(7, "n", "x");
const COUNT: Script = { name: "count", lua: "return redis.call('INCR', KEYS[1])" };
const ECHO: Script = { name: "echo", lua: "return {ARGV[1], tonumber(ARGV[2]), false}" };

describe("a link to one Redis", () => {
  test("runs scripts and commands, and counts them", async () => {
    await using redis = await startRedis();
    await using opened = await openTestLink({ addresses: [redis.address] });
    const { link } = opened;
    expect(await link.run(ECHO, [KEY], ["ü\n", 3])).toEqual(["ü\n", 3, null]);
    expect(await Promise.all(Array.from({ length: 500 }, () => link.run(COUNT, [KEY], [])))).toEqual(
      Array.from({ length: 500 }, (_, i) => i + 1), // in the order they were made
    );
    expect(await link.call("GET", KEY)).toBe("500");
    expect([link.commands(), link.calls().ok]).toEqual([502, 502]);
    expect(link.health()).toEqual({
      ...{ status: "healthy", connected: true, breaker: "closed", failures: 0, reconnectionAttempts: 0, reconnections: 0 },
    });
    const [primary] = await link.primaries();
    expect([primary?.id, primary?.partitions.length]).toEqual([redis.address, 256]);
  });

  test("scripts are sent once, and again after SCRIPT FLUSH and a restart", async () => {
    await using redis = await startRedis();
    await using opened = await openTestLink({ addresses: [redis.address] });
    const { link } = opened;
    const calls = async (command: string) => {
      const stats = await redisText(redis, "INFO", "commandstats");
      return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
    };
    for (let i = 0; i < 10; i++) await link.run(COUNT, [KEY], []);
    expect([await calls("eval"), await calls("evalsha")]).toEqual([1, 9]);
    await redisCommand(redis, ["SCRIPT", "FLUSH"]);
    expect(await Promise.all([1, 2, 3].map(() => link.run(COUNT, [KEY], [])))).toEqual([11, 12, 13]);
    await redis.restart();
    await eventually("the link is back", async () => (await outcomeOf(link.run(COUNT, [KEY], []))) === "ok");
    expect(link.health()).toMatchObject({ status: "healthy", reconnections: 1 });
  });

  test("a bug in a script is told as what it is, and opens no circuit", async () => {
    await using redis = await startRedis();
    await using opened = await openTestLink({ addresses: [redis.address] });
    const { link } = opened;
    const bug: Script = { name: "bug", lua: "return nothing.there" };
    for (let i = 0; i < 6; i++) {
      await expect(link.run(bug, [KEY], [])).rejects.toThrow(/nonexistent global variable|nothing/);
      expect(await outcomeOf(link.call("INCR", KEY, "too", "many"))).toContain("wrong number of arguments");
    }
    await expect(link.run({ ...bug, lua: "return 1" }, [KEY], [])).rejects.toThrow("two scripts are called bug");
    expect([link.health().status, link.calls().bug]).toEqual(["healthy", 13]);
    const error: unknown = await link.call("INCR", KEY, "secret", "payload").catch((cause: unknown) => cause);
    expect(Bun.inspect(error)).not.toContain("payload");
  });

  test("out of memory is unavailable for writes only, and heals", async () => {
    await using redis = await startRedis();
    await using opened = await openTestLink({ addresses: [redis.address] });
    const { link } = opened;
    await link.call("SET", KEY, "1");
    await redisCommand(redis, ["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    await redisCommand(redis, ["CONFIG", "SET", "maxmemory", "1"]);
    for (let i = 0; i < 6; i++) expect(await outcomeOf(link.call("SET", KEY, "2"))).toBe("broker_unavailable");
    expect(await outcomeOf(link.run(COUNT, [KEY], []))).toBe("broker_unavailable");
    expect([await link.call("GET", KEY), link.health().breaker, link.calls().refused]).toEqual(["1", "closed", 7]);
    await redisCommand(redis, ["CONFIG", "SET", "maxmemory", "0"]);
    expect(await link.run(COUNT, [KEY], [])).toBe(2);
  });

  test("a replica's READONLY is unavailable, and it is connected to anew", async () => {
    await using redis = await startRedis();
    await using opened = await openTestLink({ addresses: [redis.address] });
    const { link } = opened;
    await redisCommand(redis, ["REPLICAOF", "127.0.0.1", 1]);
    expect(await outcomeOf(link.call("SET", KEY, "1"))).toBe("broker_unavailable");
    await eventually("a new connection stands", () => link.health().reconnections > 0);
    await redisCommand(redis, ["REPLICAOF", "NO", "ONE"]);
    await eventually("writes are taken", async () => (await outcomeOf(link.call("SET", KEY, "1"))) === "ok");
  });

  test("Redis killed: calls fail at once, the circuit opens, and all heals when it is back", async () => {
    await using redis = await startRedis();
    await using opened = await openTestLink({ addresses: [redis.address] });
    const { link, lines } = opened;
    await link.run(COUNT, [KEY], []);
    await redis.kill();
    await eventually("the loss is seen", async () => (await outcomeOf(link.run(COUNT, [KEY], []))) === "broker_unavailable");
    const startedAt = performance.now();
    for (let i = 0; i < 100; i++) expect(await outcomeOf(link.run(COUNT, [KEY], []))).toBe("broker_unavailable");
    expect(performance.now() - startedAt).toBeLessThan(2000); // the time limit of a single one
    await eventually("the connection is given up, the circuit open", async () => {
      await outcomeOf(link.run(COUNT, [KEY], [])); // after a second or two one is let through, and opens it again
      return !link.health().connected && link.health().breaker === "open";
    });
    expect(link.health().status).toBe("circuit_open");
    expect(link.calls().rejected).toBeGreaterThan(90);
    expect(await outcomeOf(link.primaries().then(([primary]) => primary && link.dial(primary)))).toBe("broker_unavailable");
    await redis.restart();
    await eventually("the link is back", async () => (await outcomeOf(link.run(COUNT, [KEY], []))) === "ok");
    expect(link.health()).toMatchObject({ status: "healthy", breaker: "closed", failures: 0, reconnections: 1 });
    expect(link.health().reconnectionAttempts).toBeGreaterThan(0);
    expect(lines.filter(({ event }) => event === "redis.disconnected")).toHaveLength(1);
    expect(lines.filter(({ event }) => event === "redis.reconnected")).toHaveLength(1);
  });

  test("Redis frozen: calls end in time, the circuit opens, and all heals; nothing is done twice", async () => {
    await using redis = await startRedis();
    await using opened = await openTestLink({ addresses: [redis.address], commandTimeoutMs: 300 });
    const { link } = opened;
    await link.run(COUNT, [KEY], []);
    redis.freeze();
    const startedAt = performance.now();
    const frozen = await Promise.all(Array.from({ length: 20 }, () => outcomeOf(link.run(COUNT, [KEY], []))));
    expect(new Set(frozen)).toEqual(new Set(["broker_unavailable"]));
    expect(performance.now() - startedAt).toBeLessThan(1500);
    expect([link.health().breaker, link.calls().timeout]).toEqual(["open", 20]);
    expect(await outcomeOf(link.run(COUNT, [KEY], []))).toBe("broker_unavailable");
    redis.resume();
    await eventually("the link is back", async () => (await outcomeOf(link.call("PING"))) === "ok");
    const counted = Number(await redisText(redis, "GET", KEY));
    expect(counted).toBeLessThanOrEqual(21); // each of the twenty once or never
    expect(await link.run(COUNT, [KEY], [])).toBe(counted + 1);
  });

  test("a connection that went silent is replaced by one that works", async () => {
    await using redis = await startRedis();
    await using proxy = await startTcpProxy(redis);
    await using opened = await openTestLink({ addresses: [`127.0.0.1:${proxy.port}`], commandTimeoutMs: 1000 });
    const { link } = opened;
    await link.run(COUNT, [KEY], []);
    proxy.stall();
    expect(await outcomeOf(link.run(COUNT, [KEY], []))).toBe("broker_unavailable");
    await eventually("calls come through again", async () => (await outcomeOf(link.run(COUNT, [KEY], []))) === "ok");
    expect(link.health().reconnections).toBe(1);
  });

  test("connections that are reset again and again cost the commands on their way, and none is done twice", async () => {
    await using redis = await startRedis();
    await using proxy = await startTcpProxy(redis);
    await using opened = await openTestLink({ addresses: [`127.0.0.1:${proxy.port}`], commandTimeoutMs: 1000 });
    const { link } = opened;
    const total = { ok: 0, sent: 0 };
    for (let round = 0; round < 10; round++) {
      const calls = Array.from({ length: 50 }, () => outcomeOf(link.run(COUNT, [KEY], [])));
      total.sent += calls.length;
      if (round % 2 === 0) setImmediate(() => proxy.cut());
      for (const outcome of await Promise.all(calls)) total.ok += Number(outcome === "ok");
      await eventually("the link is back", async () => (await outcomeOf(link.call("PING"))) === "ok");
    }
    const counted = Number(await redisText(redis, "GET", KEY));
    expect(counted).toBeGreaterThanOrEqual(total.ok);
    expect(counted).toBeLessThanOrEqual(total.sent);
    expect(total.ok).toBeGreaterThanOrEqual(250); // the five rounds nobody cut
    const connected = () => redisInfo(redis, "clients", "connected_clients");
    await eventually("those that were cut are gone", async () => (await connected()) === "2"); // this question, and one
  });

  test("a dialled connection is its own, and ends by itself with Redis", async () => {
    await using redis = await startRedis();
    await using opened = await openTestLink({ addresses: [redis.address] });
    const [primary] = await opened.link.primaries();
    if (!primary) throw new Error("no primary");
    const own = await opened.link.dial(primary);
    const heard = Promise.withResolvers<string>();
    own.on("smessage", (channel: string, text: string) => heard.resolve(`${channel} ${text}`));
    await own.ssubscribe("{p1}:s");
    await opened.link.call("SPUBLISH", "{p1}:s", "hello");
    expect(await heard.promise).toBe("{p1}:s hello");
    const closed = Promise.withResolvers<void>();
    own.on("close", closed.resolve);
    await redis.restart();
    await closed.promise;
    await eventually("the link is back", async () => (await outcomeOf(opened.link.call("PING"))) === "ok");
    expect(own.status).toBe("end");
  });
});

describe("credentials and TLS", () => {
  test("a password that changes is read again for the next connection", async () => {
    const folder = await mkdtemp(join(tmpdir(), "nexus-link-"));
    const passwordFile = join(folder, "password");
    const usernameFile = join(folder, "username");
    await Promise.all([Bun.write(passwordFile, "first\n"), Bun.write(usernameFile, "nexus\n")]);
    await using redis = await startRedis({ settings: ["user nexus on >first ~* &* +@all", "user default on nopass ~* &* +@all"] });
    try {
      await using opened = await openTestLink({ addresses: [redis.address], passwordFile, usernameFile });
      const { link } = opened;
      expect(await link.call("ACL", "WHOAMI")).toBe("nexus");
      await redisCommand(redis, ["ACL", "SETUSER", "nexus", "resetpass", ">second"]);
      await Bun.write(passwordFile, "second\n");
      await redisCommand(redis, ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
      await eventually("the link is back", async () => (await outcomeOf(link.call("ACL", "WHOAMI"))) === "ok");
      await rm(passwordFile); // away for a moment: the last one holds
      const [primary] = await link.primaries();
      if (!primary) throw new Error("no primary");
      const own = await link.dial(primary);
      expect(await own.call("ACL", "WHOAMI")).toBe("nexus");
      own.disconnect();
      expect(opened.lines.map(({ event }) => event)).toContain("redis.credential_unreadable");
      expect(JSON.stringify(opened.lines)).not.toContain("second");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("TLS with a client certificate, for commands and for what is dialled", async () => {
    await using redis = await startTlsRedis();
    const { ca: caFile, cert: certFile, key: keyFile } = redis.files;
    const tls = { tls: true, caFile, certFile, keyFile, serverName: redis.serverName };
    await using opened = await openTestLink({ addresses: [redis.address], ...tls });
    expect(await opened.link.run(COUNT, [KEY], [])).toBe(1);
    const [primary] = await opened.link.primaries();
    if (!primary) throw new Error("no primary");
    const own = await opened.link.dial(primary);
    expect(await own.ping()).toBe("PONG");
    own.disconnect();
    await appendFile(caFile, "\n"); // a file that is written again is read again
    await redis.server.restart();
    await eventually("the link is back", async () => (await outcomeOf(opened.link.run(COUNT, [KEY], []))) === "ok");
  });

  test("a certificate of somebody else or for another name is never accepted", async () => {
    await using redis = await startTlsRedis();
    const { ca: caFile, cert: certFile, key: keyFile } = redis.files;
    const open = (more: object) => outcomeOf(openTestLink({ addresses: [redis.address], tls: true, certFile, keyFile, ...more }));
    expect(await open({ serverName: redis.serverName })).toMatch(/NEXUS_REDIS_CA_FILE/);
    expect(await open({ caFile, serverName: "elsewhere.test" })).toMatch(/NEXUS_REDIS_SERVER_NAME/);
  });
});

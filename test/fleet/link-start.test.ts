// Why: a server that cannot start says which setting is wrong, and one that only has to wait, waits and says for what.
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Keys } from "@nexus/server/adapters/redis/keys.ts";
import { type LayoutDeps, useLayout } from "@nexus/server/adapters/redis/layout.ts";
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { redisCommand, redisText } from "../support/redis/admin.ts";
import { linesLog, openTestLink, outcomeOf } from "../support/redis/link.ts";
import { startRedis } from "../support/redis/server.ts";
import { startTlsRedis } from "../support/redis/tls.ts";

/** What `openLink` gives up with; it never comes to be open. */
const refused = (options: Parameters<typeof openTestLink>[0]) => outcomeOf(openTestLink(options));

describe("a start that cannot succeed says what to change", () => {
  test("settings that contradict each other, before anything is dialled", async () => {
    const addresses = ["127.0.0.1:1"];
    expect(await refused({ addresses, topology: "cluster", database: 3 })).toContain("NEXUS_REDIS_DATABASE is 3");
    expect(await refused({ addresses: [...addresses, "127.0.0.1:2"] })).toContain("NEXUS_REDIS_TOPOLOGY is standalone");
    expect(await refused({ addresses, passwordFile: "/nowhere/password" })).toMatch(/^NEXUS_REDIS_PASSWORD_FILE: cannot read/);
  });

  test("a password that is missing or wrong", async () => {
    await using redis = await startRedis({ settings: ["requirepass secret"] });
    const folder = await mkdtemp(join(tmpdir(), "nexus-link-"));
    const passwordFile = join(folder, "password");
    try {
      await Bun.write(passwordFile, "guess");
      for (const options of [{}, { passwordFile }]) {
        const said = await refused({ addresses: [redis.address], ...options });
        expect(said).toMatch(/^NEXUS_REDIS_ADDRESSES: 127\.0\.0\.1:\d+ refused the credentials .*NEXUS_REDIS_PASSWORD_FILE/);
        expect(said).not.toContain("guess");
      }
      await Bun.write(passwordFile, "secret");
      await using opened = await openTestLink({ addresses: [redis.address], passwordFile });
      expect(await opened.link.call("PING")).toBe("PONG");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("the wrong kind of Redis", async () => {
    await using alone = await startRedis();
    await using node = await startRedis({ settings: ["cluster-enabled yes", `cluster-port ${await freePort()}`] });
    await using sentinel = await startRedis({ flags: ["--sentinel"] });
    const kinds = { standalone: alone, cluster: node, sentinel } as const;
    const said: Record<string, string> = {};
    for (const topology of ["standalone", "cluster", "sentinel"] as const) {
      for (const [kind, { address }] of Object.entries(kinds)) {
        if (kind !== topology) said[`${kind} as ${topology}`] = (await refused({ addresses: [address], topology })).replace(/\S+:\d+/, "X");
      }
    }
    expect(said).toEqual({
      "cluster as standalone": "NEXUS_REDIS_ADDRESSES: X is a node of a Redis Cluster, but NEXUS_REDIS_TOPOLOGY is standalone",
      "sentinel as standalone": "NEXUS_REDIS_ADDRESSES: X is a Sentinel, but NEXUS_REDIS_TOPOLOGY is standalone",
      "standalone as cluster": "NEXUS_REDIS_ADDRESSES: X is a standalone Redis, but NEXUS_REDIS_TOPOLOGY is cluster",
      "sentinel as cluster": "NEXUS_REDIS_ADDRESSES: X is a Sentinel, but NEXUS_REDIS_TOPOLOGY is cluster",
      "standalone as sentinel": "NEXUS_REDIS_ADDRESSES: X is a standalone Redis, but NEXUS_REDIS_TOPOLOGY is sentinel",
      "cluster as sentinel": "NEXUS_REDIS_ADDRESSES: X is a node of a Redis Cluster, but NEXUS_REDIS_TOPOLOGY is sentinel",
    });
    const unknown = await refused({ addresses: [sentinel.address], topology: "sentinel", masterName: "nobody" });
    expect(unknown).toContain("knows no NEXUS_REDIS_MASTER_NAME nobody");
    expect(await refused({ addresses: [alone.address], database: 99 })).toContain("NEXUS_REDIS_DATABASE");
  });

  test("a Redis that is too old", async () => {
    using old = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (socket, data) => {
          for (const line of data.toString().split("*").slice(1)) {
            const hello = line.toUpperCase().includes("HELLO");
            socket.write(hello ? "*4\r\n$7\r\nversion\r\n$5\r\n6.2.9\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n" : "+OK\r\n");
          }
        },
      },
    });
    expect(await refused({ addresses: [`127.0.0.1:${old.port}`] })).toContain("is Redis 6.2.9; Redis 7 or Valkey is needed");
  });
});

describe("a start that may still succeed waits", () => {
  test("for a Redis that is not there yet, saying so once", async () => {
    const port = await freePort();
    const { log, lines } = linesLog();
    const opening = openLink({ addresses: [`127.0.0.1:${port}`], commandTimeoutMs: 1000, log });
    await eventually("it waits", () => lines.some(({ event }) => event === "redis.waiting"));
    await using _redis = await startRedis({ port });
    const link = await opening;
    expect(await link.call("PING")).toBe("PONG");
    await link.close();
    const waits = lines.filter(({ event }) => event === "redis.waiting").map(({ fields }) => String(fields.reason));
    expect(new Set(waits).size).toBe(waits.length);
    expect(waits[0]).toMatch(/^NEXUS_REDIS_ADDRESSES: 127\.0\.0\.1:\d+ .*ECONNREFUSED/);
  });

  const places: Readonly<Record<string, (stack: AsyncDisposableStack) => Promise<string>>> = {
    "a name nobody knows": async () => "redis.nexus.invalid:6379",
    "a replica": async (stack) => stack.use(await startRedis({ settings: ["replicaof 127.0.0.1 1"] })).address,
    "one that asks for TLS": async (stack) => stack.use(await startTlsRedis()).address,
    "one that speaks no TLS": async (stack) => stack.use(await startRedis()).address,
  };
  test.each([
    ["a name nobody knows", /redis\.nexus\.invalid/, false],
    ["a replica", /is a replica; a primary is needed/, false],
    ["one that asks for TLS", /does it ask for TLS\? see NEXUS_REDIS_TLS/, false],
    ["one that speaks no TLS", /does it speak TLS\? see NEXUS_REDIS_TLS/, true],
  ])("for %s, until it is told to stop", async (what, reason, tls) => {
    await using stack = new AsyncDisposableStack();
    const address = (await places[what]?.(stack)) ?? "";
    const { log, lines } = linesLog();
    const stop = new AbortController();
    const opening = outcomeOf(openLink({ addresses: [address], commandTimeoutMs: 500, log, signal: stop.signal, tls }));
    const waits = eventually("it waits", () => lines.some(({ event }) => event === "redis.waiting"));
    expect(await Promise.race([opening, waits])).toBe(true);
    stop.abort();
    expect(await opening).toBe("broker_unavailable");
    expect(String(lines.find(({ event }) => event === "redis.waiting")?.fields.reason)).toMatch(reason);
  });
});

describe("layouts that share one Redis", () => {
  const key = new Keys("shared").layout("shared");
  const refusalOf = async (deps: LayoutDeps): Promise<string> => {
    try {
      (await useLayout(deps)).close();
      return "ok";
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };

  test("are the same or adjacent to every one in use, and otherwise to the last", async () => {
    await using redis = await startRedis();
    await using opened = await openTestLink({ addresses: [redis.address] });
    const { log, lines } = linesLog();
    const deps = (layout: number): LayoutDeps => ({ link: opened.link, key, layout, prefix: "shared", log });
    const use = (layout: number) => refusalOf(deps(layout));
    /** As if nobody had renewed for `secondsAgo`. */
    const lapse = (layout: number, secondsAgo: number) => redisCommand(redis, ["HSET", key, layout, Date.now() - secondsAgo * 1000]);

    expect(await use(4)).toBe("ok");
    expect([await use(4), await use(5)]).toEqual(["ok", "ok"]);
    expect(await use(6)).toBe(
      "Servers with key layout 4 use NEXUS_REDIS_PREFIX shared, and this release has layout 6; only adjacent layouts can share " +
        "a Redis. Roll out a release with layout 5 first, or give this one another prefix.",
    );
    expect(await use(3)).toContain("Servers with key layout 5");
    expect(await redisText(redis, "HGET", key, 4)).toMatch(/^\d{13}$/);
    await lapse(4, 60);
    expect(await use(6)).toBe("ok"); // the rollout from 4 to 5 is over
    await lapse(4, 100);
    await lapse(5, 60);
    await lapse(6, 1);
    expect(await use(4)).toContain("was last written with key layout 6, and this release has layout 4");
    expect(await use(7)).toBe("ok");
    expect(lines).toEqual([]);
  });

  test("stay in use while somebody renews; who runs is never ended, but it is told", async () => {
    await using redis = await startRedis();
    await using opened = await openTestLink({ addresses: [redis.address] });
    const { log, lines } = linesLog();
    const mine = await useLayout({ link: opened.link, key, layout: 1, prefix: "shared", log });
    await redisCommand(redis, ["HSET", key, 1, 1]);
    await mine.renew();
    expect(Number(await redisText(redis, "HGET", key, 1))).toBeGreaterThan(Date.now() + 20_000);
    expect(mine.isInConflict()).toBe(false);
    await redisCommand(redis, ["HSET", key, 3, Date.now() + 30_000]);
    await mine.renew();
    expect(mine.isInConflict()).toBe(true);
    expect(lines.map(({ level, event, fields }) => [level, event, fields])).toEqual([
      ["error", "redis.layout_conflict", { layout: 1, other: 3 }],
    ]);
    await redis.kill();
    await mine.renew();
    expect(lines.at(-1)?.event).toBe("redis.layout_unrenewed");
    mine.close();
  });
});

// Why: the place and the credentials of Redis change under a running server, by a file that is replaced.
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RedisConnection } from "@nexus/protocol/redis-connection.ts";
import { followLink } from "@nexus/server/adapters/redis/follow-link.ts";
import type { RedisLink } from "@nexus/server/adapters/redis/link.ts";
import { eventually } from "../support/eventually.ts";
import { redisText } from "../support/redis/admin.ts";
import { type LogLine, linesLog, outcomeOf } from "../support/redis/link.ts";
import { startRedis } from "../support/redis/server.ts";

const folder = await mkdtemp(join(tmpdir(), "nexus-follow-"));
afterAll(() => rm(folder, { recursive: true, force: true }));
let file = "";
let files = 0;
beforeEach(() => {
  file = join(folder, `connection-${++files}.json`);
});

/** In one step, as kubelet does it. */
async function say(content: Partial<RedisConnection> | string): Promise<void> {
  const whole = typeof content === "string" ? content : JSON.stringify({ topology: "standalone", database: 0, ...content });
  await Bun.write(`${file}.next`, whole);
  await rename(`${file}.next`, file);
}

type Opened = AsyncDisposable & { readonly link: RedisLink; readonly lines: readonly LogLine[]; readonly waits: readonly string[] };

async function follow(): Promise<Opened> {
  const { log, lines } = linesLog();
  const waits: string[] = [];
  const link = await followLink({
    ...{ connectionFile: file, rereadSeconds: 0.05, commandTimeoutMs: 1000, log },
    onWaiting: (reason) => waits.push(reason),
  });
  return { link, lines, waits, [Symbol.asyncDispose]: () => link.close() };
}

const told = (lines: readonly LogLine[], event: string) => lines.filter((line) => line.event === event);

describe("another address", () => {
  test("is connected to before the old one is left; who listened is told to dial again", async () => {
    await using first = await startRedis();
    await using second = await startRedis();
    await say({ addresses: [first.address] });
    await using opened = await follow();
    const { link, lines } = opened;
    await link.call("SET", "who", "first");
    await redisText(second, "SET", "who", "second");
    const [primary] = await link.primaries();
    const listener = await link.dial(primary as NonNullable<typeof primary>);
    const ended = new Promise<void>((resolve) => listener.once("close", () => resolve()));

    await say({ addresses: [second.address] });
    await ended;
    expect(await link.call("GET", "who")).toBe("second");
    expect((await link.primaries()).map(({ id }) => id)).toEqual([second.address]);
    expect(link.commands()).toBe(2); // counters go on
    expect(link.calls().ok).toBe(2);
    expect(told(lines, "redis.moved")).toHaveLength(1);
    await first.kill();
    expect(await outcomeOf(link.call("PING"))).toBe("ok");
  });

  test("that does not answer takes nothing away; the next one is believed", async () => {
    await using first = await startRedis();
    await using second = await startRedis();
    await say({ addresses: [first.address] });
    await using opened = await follow();
    await say({ addresses: ["127.0.0.1:1"] });
    await eventually("it is waited for", () => opened.waits.some((reason) => reason.includes("127.0.0.1:1")));
    expect((await opened.link.primaries())[0]?.id).toBe(first.address);
    expect(opened.link.health().status).toBe("healthy");
    await say({ addresses: [second.address] });
    await eventually("it is there", async () => (await opened.link.primaries())[0]?.id === second.address);
  });

  test("and back again before the first answered: nothing has moved", async () => {
    await using first = await startRedis();
    await say({ addresses: [first.address] });
    await using opened = await follow();
    await say({ addresses: ["127.0.0.1:1"] });
    await eventually("it is waited for", () => opened.waits.length > 0);
    await say({ addresses: [first.address] });
    await eventually("nobody waits any more", () => told(opened.lines, "redis.move_given_up").length === 1);
    expect(told(opened.lines, "redis.moved")).toHaveLength(0);
    expect(await outcomeOf(opened.link.call("PING"))).toBe("ok");
  });
});

describe("credentials", () => {
  test("of the file are for connections made from then on; the one that stands goes on", async () => {
    await using redis = await startRedis({ settings: ["user default on >old >new ~* &* +@all"] });
    await say({ addresses: [redis.address], password: "old" });
    await using opened = await follow();
    await say({ addresses: [redis.address], password: "new" });
    await eventually("it is read", () => told(opened.lines, "redis.credentials_changed").length === 1);
    expect(await opened.link.call("ACL", "SETUSER", "default", "<old")).toBe("OK");
    const [primary] = await opened.link.primaries();
    const own = await opened.link.dial(primary as NonNullable<typeof primary>);
    expect(await own.ping()).toBe("PONG");
    own.disconnect();
    expect(told(opened.lines, "redis.moved")).toHaveLength(0);
    expect(told(opened.lines, "redis.disconnected")).toHaveLength(0);
    expect(JSON.stringify(opened.lines)).not.toContain("new");
  });

  test("that are wrong at the start are waited for, and what is missing is said", async () => {
    await using redis = await startRedis({ settings: ["requirepass secret"] });
    await say({ addresses: [redis.address], password: "guess" });
    const { log, lines } = linesLog();
    const opening = followLink({ connectionFile: file, rereadSeconds: 0.05, commandTimeoutMs: 1000, log });
    await eventually("it waits", () => told(lines, "redis.waiting").length > 0);
    expect(String(told(lines, "redis.waiting")[0]?.fields.reason)).toContain("refused the credentials");
    await say({ addresses: [redis.address], password: "secret" });
    const link = await opening;
    expect(await link.call("PING")).toBe("PONG");
    await link.close();
    expect(JSON.stringify(lines)).not.toMatch(/guess|"secret"/);
  });
});

describe("a file that cannot be used", () => {
  test("ends the start, and shows nothing of what is in it", async () => {
    expect(await outcomeOf(follow())).toContain("NEXUS_REDIS_CONNECTION_FILE");
    await say('{"password":"hunter2"');
    const said = await outcomeOf(follow());
    expect(said).toContain("is not JSON");
    expect(said).not.toContain("hunter2");
    await say({ addresses: [] });
    expect(await outcomeOf(follow())).toContain("/addresses");
  });

  test("later is told once, and what was said before holds", async () => {
    await using redis = await startRedis();
    await say({ addresses: [redis.address] });
    await using opened = await follow();
    await say("{");
    await eventually("it is told", () => told(opened.lines, "redis.connection_file_unusable").length === 1);
    expect(await outcomeOf(opened.link.call("PING"))).toBe("ok");
    await say({ addresses: [redis.address], password: "x" });
    await eventually("the next is taken", () => told(opened.lines, "redis.credentials_changed").length === 1);
    expect(told(opened.lines, "redis.connection_file_unusable")).toHaveLength(1);
  });

  test("a wait that nobody needs any more ends", async () => {
    await say({ addresses: ["127.0.0.1:1"] });
    const stop = new AbortController();
    const { log, lines } = linesLog();
    const opening = outcomeOf(followLink({ connectionFile: file, rereadSeconds: 1, commandTimeoutMs: 500, log, signal: stop.signal }));
    await eventually("it waits", () => told(lines, "redis.waiting").length > 0);
    stop.abort();
    expect(await opening).toBe("broker_unavailable");
  });
});

// Why: publishing through Redis as docs/triggers.md promises it, with whole servers: the page's own commands, bodies that
// mean no good, and servers that die while they listen or work.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import { type Fleet, startFleet } from "../support/fleet/fleet.ts";
import type { FleetNode } from "../support/fleet/node.ts";
import { sumOf } from "../support/fleet/readings.ts";
import { redisCommand } from "../support/redis/admin.ts";
import { type RedisServer, startRedis } from "../support/redis/server.ts";
import { WsClient } from "../support/ws-client.ts";

let redis: RedisServer;
let fleet: Fleet;
beforeAll(async () => {
  redis = await startRedis();
  fleet = await startFleet({ nodes: 3, redis: { env: { NEXUS_REDIS_ADDRESSES: redis.address } }, settings: SETTINGS });
}, 60_000);
afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
});

const SETTINGS = { NEXUS_TRIGGERS_RETRY_MILLISECONDS: "500", NEXUS_TRIGGERS_MAX_ATTEMPTS: "5" };
const KEY = "nexus:triggers";

const send = (...command: (string | number)[]) => redisCommand(redis, command);
const publish = (channel: string, body: unknown) => send("PUBLISH", channel, typeof body === "string" ? body : JSON.stringify(body));
const add = (body: unknown) => send("XADD", KEY, "*", "body", typeof body === "string" ? body : JSON.stringify(body));
const toChannel = (channel: string, payload: unknown) => ({ type: "channel", target: channel, event: { event_type: "test", payload } });
/** PUBLISH answers how many listen. */
const isHeard = async () => Number(await publish("notification:channel:nobody", toChannel("nobody", 0))) === 1;

async function historyOf(channel: string): Promise<readonly number[]> {
  const seen: number[] = [];
  for (let before = ""; ; ) {
    const url = `${fleet.next().url}/api/v1/channels/${channel}/history?limit=1000${before}`;
    const answer = await fetch(url, { headers: { "X-API-Key": fleet.boot.apiKey } });
    const page = (await answer.json()) as { entries: { payload: number; offset: number }[]; more?: boolean }; // as docs/reference/rest.md says
    seen.push(...page.entries.map(({ payload }) => payload));
    const last = page.entries.at(-1);
    if (!last || page.entries.length < 1000) return seen;
    before = `&before=${last.offset}`;
  }
}

async function triggered(node: FleetNode): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${node.opsUrl}/metrics`)).text();
  return new Map(
    [...text.matchAll(/^nexus_triggers_total\{form="(\w+)",outcome="(\w+)"\} (\d+)/gm)].map(([, form, outcome, count]) => [
      `${form} ${outcome}`,
      Number(count),
    ]),
  );
}

async function countOf(name: string): Promise<number> {
  const all = await Promise.all(fleet.nodes.filter(({ isServing }) => isServing).map(triggered));
  return all.reduce((sum, counts) => sum + (counts.get(name) ?? 0), 0);
}

describe("triggers", () => {
  test("the commands of docs/triggers.md do what the page says", async () => {
    const page = await Bun.file(join(import.meta.dir, "../../docs/triggers.md")).text();
    const commands = [...page.matchAll(/^redis-cli (.*)$/gm)].map(([, command = ""]) => command);
    expect(commands.length).toBe(8);
    await eventually("one node listens", isHeard);
    const node = fleet.next();
    const url = `${node.url.replace("http", "ws")}/ws?token=${fleet.boot.tokenOf("jane")}`;
    await using jane = await WsClient.connect(url, { protocols: ["nexus.v1.json"] });
    jane.send({ type: "Subscribe", payload: { channels: ["news", "sport"] } });
    await eventually("subscribed", () => jane.frames.some(({ type }) => type === "subscribed"));
    for (const command of commands) {
      const child = Bun.spawn(["sh", "-c", `redis-cli -e -h ${redis.host} -p ${redis.port} ${command}`], {
        stdout: "pipe",
        stderr: "pipe",
      });
      const [code, said] = [await child.exited, await new Response(child.stderr).text()];
      expect([command, code, said]).toEqual([command, 0, ""]);
    }
    const asPublisher = [
      "redis-cli",
      "-h",
      redis.host,
      "-p",
      String(redis.port),
      "--no-auth-warning",
      "--user",
      "publisher",
      "--pass",
      "a-long-secret",
    ];
    const denied = Bun.spawn([...asPublisher, "-e", "SET", "nexus:1:{p0}:f:x", "1"], { stdout: "pipe", stderr: "pipe" });
    expect([await denied.exited, await new Response(denied.stderr).text()]).toEqual([1, expect.stringContaining("NOPERM")]);
    const allowed = Bun.spawn([...asPublisher, "-e", "PUBLISH", "notification:user:nobody", "{"], { stdout: "pipe", stderr: "pipe" });
    expect(await allowed.exited).toBe(0);
    const got = () =>
      jane.frames.filter(({ type }) => type === "notification").map(({ stream, event_type: event, metadata }) => [stream, event, metadata]);
    await eventually("all six came", () => got().length >= 6);
    const from = (source: string, priority = "Normal") => ({ source, priority });
    expect(got().toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))).toEqual(
      [
        ["user", "order.shipped", from("redis:notification:user:jane")],
        ["channel:news", "headline", from("redis:notification:channel:news")],
        ["broadcast", "maintenance", from("redis:notification:broadcast", "High")],
        ["user", "order.shipped", from(`redis:${KEY}`)],
        ["channel:news", "headline", from(`redis:${KEY}`)],
        ["channel:sport", "headline", from(`redis:${KEY}`)],
      ].toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
    );
  });

  test("exactly one of three listens, and the body decides whom a message is for", async () => {
    await eventually("one node listens", isHeard);
    await publish("notification:user:somebody", toChannel("kept.decided", 1));
    await eventually("it came", async () => (await historyOf("kept.decided")).length > 0);
    expect(await historyOf("kept.decided")).toEqual([1]);
    expect(await sumOf(fleet.nodes, "nexus_trigger_listeners")).toBe(1);
  });

  test("what makes no sense is counted, told once, and harms nothing after it", async () => {
    const bad = [
      "",
      "{",
      "null",
      "[]",
      '"text"',
      "{}",
      { type: "user" },
      { type: "channel", target: ["a"], event: { event_type: "x", payload: 1 } },
      { type: "everyone", target: "x", event: { event_type: "x", payload: 1 } },
      { type: "user", target: "ann", event: { event_type: 5, payload: 1 } },
      `${"[".repeat(100)}${"]".repeat(100)}`,
      { ...toChannel("kept.bad", 1), event: { event_type: "x", payload: "x".repeat(1_100_000) } },
    ];
    const refused = [
      { type: "channel", target: "no such/name", event: { event_type: "x", payload: 1 } },
      { type: "user", target: "ann", event: { event_type: "x" } },
      { type: "user", target: "ann", template_id: "nope" },
      { ...toChannel("kept.bad", 1), tenant_id: "nobody" },
      { type: "user", target: "ann", event: { event_type: "x", payload: "x".repeat(100_000) } },
    ];
    const before = { invalid: await countOf("pubsub invalid"), refused: await countOf("pubsub refused") };
    for (const body of [...bad, ...refused]) await publish("notification:user:x", body);
    await publish("notification:channel:x", toChannel("kept.bad", 7));
    await eventually("the good one came", async () => (await historyOf("kept.bad")).length > 0);
    expect(await historyOf("kept.bad")).toEqual([7]);
    expect([(await countOf("pubsub invalid")) - before.invalid, (await countOf("pubsub refused")) - before.refused]).toEqual([12, 5]);
    const lines = fleet.nodes.flatMap(({ lines: all }) => all.filter(({ event }) => event === "triggers.refused"));
    expect(lines.length).toBeLessThanOrEqual(fleet.nodes.length);
    expect(JSON.stringify(lines)).not.toContain("nope");
  });

  test("an entry that can never be published lies among the dead letters with its reason", async () => {
    await send("DEL", `${KEY}:dead`);
    await add("{");
    await add({ ...toChannel("kept.dead", 1), tenant_id: "nobody" });
    await add({ type: "user", target: "ann", template_id: "nope" });
    await add(toChannel("kept.dead", 2));
    await eventually("all are done", async () => Number(await send("XLEN", KEY)) === 0);
    const letters = (await send("XRANGE", `${KEY}:dead`, "-", "+")) as [string, string[]][]; // as XRANGE answers
    expect(letters.map(([, fields]) => fields[fields.indexOf("reason") + 1]).sort()).toEqual([
      "invalid_json",
      "not_found",
      "unknown_template",
    ]);
    expect(await historyOf("kept.dead")).toEqual([2]);
  });

  test("a node killed in the middle of a stream: every entry is published, and none twice", async () => {
    const entries = 3_000;
    const victim = fleet.nodes.find(({ isServing }) => isServing);
    const adding = (async () => {
      for (let at = 0; at < entries; at += 50) {
        const bodies = Array.from({ length: 50 }, (_, more) => JSON.stringify(toChannel("kept.stream", at + more)));
        await send("EVAL", "for _, body in ipairs(ARGV) do redis.call('XADD', KEYS[1], '*', 'body', body) end", 1, KEY, ...bodies);
      }
    })();
    await eventually("it works on them", async () => victim && ((await triggered(victim)).get("stream published") ?? 0) > 100);
    await victim?.kill();
    await adding;
    await eventually("the stream is empty", async () => Number(await send("XLEN", KEY)) === 0, { timeoutMs: 30_000 });
    const seen = await historyOf("kept.stream");
    expect([seen.length, new Set(seen).size]).toEqual([entries, entries]);
  }, 60_000);

  test("the listener is killed: another listens within the lease, and its message comes once", async () => {
    const count = () => fleet.nodes.filter(({ isServing }) => isServing).length;
    if (count() < 2) throw new Error("the tests before left too few nodes");
    await eventually("one node listens", isHeard);
    const saidAt = ({ lines }: FleetNode) => String(lines.findLast(({ event }) => event === "triggers.listening")?.time ?? "");
    const [leader] = fleet.nodes
      .filter((node) => node.isServing && saidAt(node) !== "")
      .toSorted((a, b) => (saidAt(a) < saidAt(b) ? 1 : -1));
    if (!leader) throw new Error("nobody says that it listens");
    await leader.kill();
    const began = performance.now();
    await eventually("another node listens", isHeard, { timeoutMs: 15_000, intervalMs: 20 });
    const tookMs = performance.now() - began;
    process.stderr.write(`listener killed: the next one listens after ${Math.round(tookMs)} ms\n`);
    expect(tookMs).toBeLessThan(8_000); // 5 s of lease, 1 s of beat, and room for a busy machine
    await publish("notification:channel:x", toChannel("kept.after", 1));
    await eventually("it came", async () => (await historyOf("kept.after")).length > 0);
    expect(await historyOf("kept.after")).toEqual([1]);
  }, 60_000);
});

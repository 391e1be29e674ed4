// Why: several processes behind one port are one server to everybody outside: sessions, configuration, figures, its end.
import { describe, expect, test } from "bun:test";
import { ADMIN_PATHS, type NodeLoad } from "@nexus/protocol/admin.ts";
import { apiKey, clusterEntry, digestOfAll, secretIssuer, tenantEntry } from "../support/bundle-entries.ts";
import { eventually } from "../support/eventually.ts";
import type { Listener } from "../support/listener.ts";
import { type LogLine, readLogLines } from "../support/log-lines.ts";
import { identify, isRunning } from "../support/processes.ts";
import { TOKEN_SECRET } from "../support/rest.ts";
import { type ProcessesOptions, sample, startProcesses } from "./processes-stage.ts";

const cluster = clusterEntry({ limits: { upgradesPerMinutePerAddress: 0 }, delivery: { drainSeconds: 5 } });
const acme = tenantEntry("acme", { issuers: [secretIssuer(TOKEN_SECRET)], api_keys: [apiKey("backend", "first-key")] });
const start = (options: Partial<ProcessesOptions> = {}) => startProcesses({ processes: 2, entries: [cluster, acme], ...options });
type Stage = Awaited<ReturnType<typeof start>>;

const scrape = async (stage: Stage) => (await fetch(`${stage.opsUrl}/metrics`)).text();
const SENT = 'nexus_http_requests_total{operation="send",status="200"}';

/** Status of a publish on a connection of its own: any process may answer. */
async function send(stage: Stage, key: string, user = "nobody"): Promise<number> {
  const answer = await fetch(`${stage.url}/api/v1/notifications/send`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": key, connection: "close" },
    body: JSON.stringify({ target_user_id: user, event_type: "x", payload: 1 }),
    keepalive: false,
  });
  await answer.arrayBuffer();
  return answer.status;
}
const sendMany = async (stage: Stage, key: string, count: number) =>
  [...new Set(await Promise.all(Array.from({ length: count }, () => send(stage, key))))].sort();

/** Enough to reach both processes; one alone takes 20 wrong keys from an address before it answers 429. */
const REFUSED = 15;

const isOpen = async (listener: Listener): Promise<boolean> => {
  listener.send({ type: "Ping" });
  return await Promise.race([listener.next("pong", 10_000).then(() => true), listener.closed(10_000).then(() => false)]);
};

describe("several processes behind one port", () => {
  test("share sessions and requests, are counted as one, and one that is killed takes only its own sessions along", async () => {
    await using stage = await start();
    expect(await sendMany(stage, "first-key", 20)).toEqual([200]);
    const listeners: Listener[] = [];
    for (let i = 0; i < 24; i++) listeners.push(await stage.listen(`u${i}`));
    expect(await stage.status()).toMatchObject({ sessions: 24, ready: true, draining: false });
    const before = await scrape(stage);
    expect(sample(before, 'nexus_sessions{transport="websocket"}')).toBe(24);
    expect(sample(before, "nexus_processes")).toBe(2);
    expect(sample(before, SENT)).toBe(20);
    expect(sample(before, 'nexus_bundle_entries{kind="tenant"}')).toBe(1);
    // Three programs, not one: the first and two servers.
    expect(sample(before, "process_resident_memory_bytes")).toBeGreaterThan(100e6);

    const [victim = 0] = stage.pids();
    process.kill(victim, "SIGKILL");
    await stage.find("process.ended");
    const open = (await Promise.all(listeners.map(isOpen))).filter(Boolean).length;
    expect(open).toBeGreaterThan(0);
    expect(open).toBeLessThan(24);
    expect((await fetch(`${stage.opsUrl}/ready`)).status).toBe(200); // one is enough
    const after = await eventually("two processes again", async () => {
      const text = await scrape(stage);
      return sample(text, "nexus_processes") === 2 && text;
    });
    expect(sample(after, "nexus_process_restarts_total")).toBe(1);
    expect(sample(after, 'nexus_sessions{transport="websocket"}')).toBe(open);
    expect(sample(after, SENT)).toBe(20); // what the dead one had counted stays
    expect((await stage.status()).sessions).toBe(open);
  }, 60_000);

  test("are loaded together, and share what they are asked to send away", async () => {
    await using stage = await start();
    const listeners: Listener[] = [];
    for (let i = 0; i < 24; i++) listeners.push(await stage.listen(`u${i}`));
    const load = (await stage.status()).load as NodeLoad; // the admin tests check its shape
    expect(load.sessions_opened).toBe(24);
    expect(load.rss_bytes).toBeGreaterThan(50e6); // of both
    expect(await stage.admin(ADMIN_PATHS.shed, { sessions: 10, perSecond: 50 })).toEqual({ status: 202, body: { sessions: 10 } });
    await eventually("ten are gone", async () => (await stage.status()).sessions === 14);
  }, 60_000);

  test("a publish to one of them reaches the sessions of all", async () => {
    await using stage = await start();
    const listeners: Listener[] = [];
    for (let i = 0; i < 12; i++) listeners.push(await stage.listen(`u${i}`));
    for (const listener of listeners) {
      listener.send({ type: "Subscribe", payload: { channels: ["orders"] } });
      await listener.next("subscribed");
    }
    const answer = await fetch(`${stage.url}/api/v1/notifications/channel`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": "first-key" },
      body: JSON.stringify({ channel: "orders", event_type: "order.paid", payload: { n: 1 } }),
    });
    expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ delivered_to: 12 })]);
    for (const listener of listeners) expect(await listener.next("notification")).toMatchObject({ event_type: "order.paid" });
  }, 60_000);

  test("a push is acknowledged once all have it, and a process started later has it too", async () => {
    await using stage = await start();
    const next = [cluster, tenantEntry("acme", { issuers: [secretIssuer(TOKEN_SECRET)], api_keys: [apiKey("backend", "second-key")] }, 2)];
    expect(await stage.push(next)).toEqual({ status: 200, body: { digest: digestOfAll(next), rejected: [] } });
    expect(await sendMany(stage, "second-key", 30)).toEqual([200]);
    expect(await sendMany(stage, "first-key", REFUSED)).toEqual([401]);
    expect(await stage.status()).toMatchObject({ digest: digestOfAll(next), term: "5", sequence: 1 });
    expect((await stage.admin(ADMIN_PATHS.logLevel, { level: "error" })).status).toBe(200);
    // Neither of the two now running remembers the boot copy only.
    const old = stage.pids().flatMap((pid) => identify(pid) ?? []);
    for (const { pid } of old) process.kill(pid, "SIGKILL");
    await eventually("both were started again", async () => sample(await scrape(stage), "nexus_process_restarts_total") === 2);
    await eventually("both listen", async () => sample(await scrape(stage), "nexus_processes") === 2);
    expect(await sendMany(stage, "second-key", 30)).toEqual([200]);
    expect(await sendMany(stage, "first-key", REFUSED)).toEqual([401]);
    // The level was handed over as well: only the first start of each was worth a line.
    expect(stage.lines.filter(({ event }) => event === "process.started")).toHaveLength(2);
  }, 60_000);

  test("one that hangs keeps neither the scraper nor the operator waiting for ever, and is replaced", async () => {
    await using stage = await start();
    await scrape(stage);
    const [victim = 0] = stage.pids();
    process.kill(victim, "SIGSTOP");
    const from = performance.now();
    expect(sample(await scrape(stage), "nexus_processes")).toBe(2);
    expect(performance.now() - from).toBeLessThan(3000);
    const known = identify(victim);
    expect((await stage.push([cluster, acme])).status).toBe(200);
    expect(known && isRunning(known)).toBeFalsy();
    await eventually("it was replaced", async () => sample(await scrape(stage), "nexus_process_restarts_total") === 1);
  }, 60_000);

  test("all drain at the same time, within the same seconds, and the exit code is 0", async () => {
    await using stage = await start();
    const listeners: Listener[] = [];
    for (let i = 0; i < 12; i++) listeners.push(await stage.listen(`u${i}`));
    const known = stage.pids().flatMap((pid) => identify(pid) ?? []);
    const from = performance.now();
    stage.child.kill("SIGTERM");
    const ready = await eventually("readiness off", async () => {
      const answer = await fetch(`${stage.opsUrl}/ready`);
      return answer.status === 503 && answer.json();
    });
    expect(ready).toEqual({ ready: false, reasons: ["draining"] });
    const ends = await Promise.all(listeners.map((listener) => listener.closed(10_000)));
    expect([...new Set(ends.map(({ code }) => code))]).toEqual([4000]);
    expect(await stage.child.exited).toBe(0);
    expect(performance.now() - from).toBeLessThan(9000);
    expect(known.filter(isRunning)).toEqual([]);
    expect(
      stage.lines
        .filter(({ event }) => event === "drain.finished")
        .map(({ process: index }) => index)
        .sort(),
    ).toEqual([0, 1]);
  }, 60_000);

  test("none outlives the first process: sessions are told, and the port is free", async () => {
    await using stage = await start();
    const listener = await stage.listen("ada");
    const known = stage.pids().flatMap((pid) => identify(pid) ?? []);
    expect(known).toHaveLength(2);
    stage.child.kill("SIGKILL");
    expect((await listener.next("shutdown", 10_000)).reconnect_after_seconds).toBeGreaterThanOrEqual(1);
    expect((await listener.closed(10_000)).code).toBe(4000);
    await eventually("they ended", () => !known.some(isRunning));
    using again = Bun.serve({
      port: Number(new URL(stage.url).port),
      hostname: "127.0.0.1",
      reusePort: false,
      fetch: () => new Response(),
    });
    expect(again.port).toBe(Number(new URL(stage.url).port));
  }, 60_000);

  test("connections per pod are split, and public diagnostics show the pod", async () => {
    const few = clusterEntry({ limits: { upgradesPerMinutePerAddress: 0, connectionsPerPod: 3 } });
    await using stage = await start({ entries: [few, acme], env: { NEXUS_HTTP_PUBLIC_DIAGNOSTICS: "true" } });
    const opened = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => stage.listen(`u${i}`)));
    expect(opened.filter(({ status }) => status === "fulfilled")).toHaveLength(4); // two each: 3 / 2, rounded up
    const text = await (await fetch(`${stage.url}/metrics`)).text();
    expect(sample(text, "nexus_processes")).toBe(2);
    expect(sample(text, 'nexus_sessions{transport="websocket"}')).toBe(4);
  }, 60_000);
});

describe("a start that fails", () => {
  const MAIN = new URL("../../server/src/main.ts", import.meta.url).pathname;
  const run = async (env: Record<string, string>) => {
    const child = Bun.spawn([process.execPath, MAIN], { env: { NEXUS_PROCESSES: "2", ...env }, stdout: "pipe", stderr: "pipe" });
    const [out, err, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
    return { out, err, code };
  };
  const loopback = { NEXUS_HTTP_HOST: "127.0.0.1", NEXUS_HTTP_PORT: "0", NEXUS_OPS_HOST: "127.0.0.1", NEXUS_OPS_PORT: "0" };

  test("because the engine is of one process exits 2 and names the setting", async () => {
    const { err, code } = await run({ NEXUS_ENGINE: "memory" });
    expect([code, err]).toEqual([2, expect.stringContaining("NEXUS_PROCESSES: more than one process needs NEXUS_ENGINE=redis")]);
  });

  test("because the port is taken exits 1, although it could be shared", async () => {
    using taken = Bun.serve({ port: 0, hostname: "127.0.0.1", reusePort: true, fetch: () => new Response() });
    const { out, code } = await run({ ...loopback, NEXUS_ENGINE: "redis", NEXUS_HTTP_PORT: String(taken.port) });
    expect([code, out]).toEqual([1, expect.stringContaining("server.start_failed")]);
  });

  test("because one of them ends before it listens exits 1 and leaves none behind", async () => {
    // Without Redis a process waits: it is there, and does not listen.
    const env = { ...loopback, NEXUS_PROCESSES: "2", NEXUS_ENGINE: "redis", NEXUS_REDIS_ADDRESSES: "127.0.0.1:1" };
    const child = Bun.spawn([process.execPath, MAIN], { env, stdout: "pipe", stderr: "pipe" });
    const lines: LogLine[] = [];
    const reading = readLogLines(child.stdout, lines);
    const spawned = await eventually("both were spawned", () => {
      const pids = lines.flatMap(({ event, pid }) => (event === "process.spawned" && typeof pid === "number" ? [pid] : []));
      return pids.length === 2 && pids.flatMap((pid) => identify(pid) ?? []);
    });
    const [victim] = spawned;
    if (!victim) throw new Error("none runs");
    process.kill(victim.pid, "SIGKILL");
    expect(await child.exited).toBe(1);
    await reading;
    expect(lines.map(({ event }) => event)).toContain("server.start_failed");
    expect(spawned.filter(isRunning)).toEqual([]);
  }, 60_000);
});

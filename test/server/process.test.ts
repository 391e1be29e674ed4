// Why: in a pod the server is process 1: signals, exit codes and the order of its end are part of the product.
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import { writeBuckets } from "../support/boot-folder.ts";
import { clusterEntry, secretIssuer, tenantEntry } from "../support/bundle-entries.ts";
import { eventually } from "../support/eventually.ts";
import { Listener } from "../support/listener.ts";
import { type LogLine, readLogLines } from "../support/log-lines.ts";

const MAIN = join(import.meta.dir, "../../server/src/main.ts");
const SECRET = "a secret of some length";

async function startProcess(...flags: string[]) {
  const boot = await mkdtemp(join(tmpdir(), "nexus-process-"));
  const entries = [
    clusterEntry({ limits: { upgradesPerMinutePerAddress: 0 }, delivery: { drainSeconds: 5 } }),
    tenantEntry("default", { issuers: [secretIssuer(SECRET)] }),
  ];
  await writeBuckets(boot, entries);
  const loopback = ["--http-host", "127.0.0.1", "--http-port", "0", "--ops-host=127.0.0.1", "--ops-port=0"];
  const child = Bun.spawn([process.execPath, MAIN, ...loopback, "--boot-directory", boot, ...flags], {
    stdout: "pipe",
    stderr: "pipe",
    env: {},
  });
  const lines: LogLine[] = [];
  const reading = readLogLines(child.stdout, lines);
  const find = (event: string) => eventually(`line ${event}`, () => lines.find((line) => line.event === event), { intervalMs: 5 });
  return {
    child,
    lines,
    find,
    port: async () => Number((await find("server.started")).port),
    opsPort: async () => Number((await find("ops.listening")).port),
    stderr: () => new Response(child.stderr).text(),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      await reading;
      await rm(boot, { recursive: true, force: true });
    },
  };
}

const tokenOf = (user: string) =>
  new SignJWT({}).setProtectedHeader({ alg: "HS256" }).setSubject(user).setExpirationTime("5m").sign(new TextEncoder().encode(SECRET));

describe("SIGTERM", () => {
  test("turns readiness off, goes on serving, then tells every session when to come back, and exits 0", async () => {
    await using server = await startProcess("--drain-propagation-seconds", "1", "--delivery-drain-seconds", "5");
    const port = await server.port();
    const listeners: Listener[] = [];
    for (let i = 0; i < 4; i++) listeners.push(await Listener.open(`ws://127.0.0.1:${port}/ws?token=${await tokenOf(`u${i}`)}`));
    server.child.kill("SIGTERM");
    const ready = await eventually("readiness off", async () => {
      const answer = await fetch(`http://127.0.0.1:${await server.opsPort()}/ready`);
      return answer.status === 503 && answer.json();
    });
    expect(ready).toEqual({ ready: false, reasons: ["draining"] });
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
    const notices = await Promise.all(listeners.map((listener) => listener.next("shutdown", 10_000)));
    for (const notice of notices) {
      expect(notice).toMatchObject({ reason: "Server shutting down" });
      expect(notice.reconnect_after_seconds).toBeGreaterThanOrEqual(1);
      expect(notice.reconnect_after_seconds).toBeLessThanOrEqual(10);
    }
    const ends = await Promise.all(listeners.map((listener) => listener.closed(10_000)));
    expect(ends.map(({ code }) => code)).toEqual([4000, 4000, 4000, 4000]);
    const times = ends.map(({ at }) => at).sort((a, b) => a - b);
    expect((times[3] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(2500); // four sessions over five seconds, not at once
    expect(await server.child.exited).toBe(0);
    expect(server.lines.map(({ event }) => event)).toContain("drain.finished");
  }, 30_000);

  test("refuses new sessions while it closes the old ones", async () => {
    await using server = await startProcess("--drain-propagation-seconds", "0");
    const port = await server.port();
    const held = await Promise.all([1, 2, 3].map(async (i) => Listener.open(`ws://127.0.0.1:${port}/ws?token=${await tokenOf(`u${i}`)}`)));
    server.child.kill("SIGTERM");
    await server.find("drain.closing");
    const answer = await fetch(`http://127.0.0.1:${port}/ws?token=${await tokenOf("late")}`, {
      headers: { upgrade: "websocket", connection: "upgrade" },
    });
    expect([answer.status, Number(answer.headers.get("retry-after")) > 0]).toEqual([503, true]);
    for (const listener of held) await listener.closed(10_000);
    expect(await server.child.exited).toBe(0);
  }, 30_000);

  test("a second time ends the process at once, and not with 0", async () => {
    await using server = await startProcess("--drain-propagation-seconds", "60");
    await server.port();
    server.child.kill("SIGTERM");
    await server.find("drain.started");
    server.child.kill("SIGTERM");
    expect(await server.child.exited).toBe(1);
  });
});

describe("a start that fails", () => {
  test("says every wrong setting at once and exits 2", async () => {
    await using server = await startProcess("--limits-frame-bytes", "7", "--http-prot", "1", "--log-level=loud");
    expect(await server.child.exited).toBe(2);
    const text = await server.stderr();
    for (const part of ["--limits-frame-bytes", "--http-prot: no such setting; did you mean --http-port?", "--log-level"])
      expect(text).toContain(part);
  });

  test("because a port is taken exits 1 and says so", async () => {
    using taken = Bun.serve({ port: 0, hostname: "127.0.0.1", reusePort: false, fetch: () => new Response() });
    const child = Bun.spawn(
      [process.execPath, MAIN, "--ops-host=127.0.0.1", "--ops-port=0", "--http-host=127.0.0.1", `--http-port=${taken.port}`],
      {
        stdout: "pipe",
        env: {},
      },
    );
    expect(await child.exited).toBe(1);
    expect(await new Response(child.stdout).text()).toContain("server.start_failed");
  });
});

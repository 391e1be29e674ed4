// Why: the promise of this engine, as an operator would test it: a real server under publishes is killed with SIGKILL again
// and again, and whatever it had answered 200 is there, once, in order. It must never look inside the engine to say so.
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import { writeBuckets } from "../support/boot-folder.ts";
import { apiKey, clusterEntry, secretIssuer, tenantEntry, tenantSettings } from "../support/bundle-entries.ts";
import { eventually } from "../support/eventually.ts";
import { Listener } from "../support/listener.ts";
import { type LogLine, readLogLines } from "../support/log-lines.ts";

const MAIN = join(import.meta.dir, "../../server/src/main.ts");
const SECRET = "a secret of some length";
const KEY = "key-of-the-backend";
const KILLS = 6;
const PUBLISHERS = 8;
const USERS = ["ann", "bob", "cat"];

async function writeBoot(directory: string): Promise<void> {
  // `Acked`: nothing leaves an inbox by being delivered, so every connect shows all of it.
  const quotas = { ...tenantSettings().quotas, inbox: { mode: "Acked" as const, messages: 10_000, ttlSeconds: 3600 } };
  const entries = [
    clusterEntry({ limits: { upgradesPerMinutePerAddress: 0, requestsPerSecond: 0 } }),
    tenantEntry("default", { issuers: [secretIssuer(SECRET)], api_keys: [apiKey("backend", KEY)], quotas }),
  ];
  await writeBuckets(directory, entries);
}

/** A server process on the file; its port is known when this resolves. */
async function startOn(folder: string) {
  const loopback = ["--http-host=127.0.0.1", "--http-port=0", "--ops-host=127.0.0.1", "--ops-port=0"];
  const engine = ["--engine=sqlite", "--sqlite-file", join(folder, "data/nexus.db")];
  const command = [process.execPath, MAIN, ...loopback, ...engine, "--boot-directory", folder];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit", env: {} });
  const lines: LogLine[] = [];
  const reading = readLogLines(child.stdout, lines);
  const started = await eventually("the server started", () => lines.find(({ event }) => event === "server.started"), { intervalMs: 5 });
  return {
    port: Number(started.port),
    lines,
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
      await reading;
    },
  };
}

type Sent = { readonly key: string; readonly user: string };

/** The notification id of a 200; undefined when no whole answer came. Any other answer is a failure. */
async function send(port: number, { key, user }: Sent): Promise<string | undefined> {
  let answer: Response;
  let body: Record<string, unknown>;
  try {
    answer = await fetch(`http://127.0.0.1:${port}/api/v1/notifications/send`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": KEY, "idempotency-key": key },
      body: JSON.stringify({ target_user_id: user, event_type: "step", payload: { key } }),
    });
    body = (await answer.json()) as Record<string, unknown>; // every answer of this port is a JSON object
  } catch {
    return undefined; // the connection went with the server: it was not acknowledged
  }
  expect([answer.status, body.queued]).toEqual([200, true]);
  return String(body.notification_id);
}

type Held = { readonly id: string; readonly key: string; readonly offset: number };

/** Everything that waits for a user, as a listener of the full dialect gets it. */
async function inboxOf(port: number, user: string, count: number): Promise<readonly Held[]> {
  const jwt = await new SignJWT({}).setProtectedHeader({ alg: "HS256" }).setSubject(user).setExpirationTime("5m").sign(Buffer.from(SECRET));
  await using listener = await Listener.open(`ws://127.0.0.1:${port}/ws?token=${jwt}`, ["nexus.v1.json"]);
  const held: Held[] = [];
  while (held.length < count) {
    const frame = await listener.next("notification");
    held.push({ id: String(frame.id), key: (frame.payload as { key: string }).key, offset: Number(frame.offset) });
  }
  listener.send({ type: "Ping" });
  await listener.next("pong");
  await expect(listener.next("notification", 20)).rejects.toThrow("no notification frame"); // nothing beyond
  return held;
}

test(`nothing acknowledged is lost or doubled by ${KILLS} kills under load`, async () => {
  const folder = await mkdtemp(join(tmpdir(), "nexus-kill-"));
  await writeBoot(folder);
  const acknowledged = new Map<string, Sent & { readonly id: string }>();
  let unanswered: Sent[] = [];
  let retried = 0;
  let ordinal = 0;
  let server: Awaited<ReturnType<typeof startOn>> | undefined;
  try {
    for (let kill = 0; kill <= KILLS; kill++) {
      const running = await startOn(folder);
      server = running;
      for (const sent of unanswered) {
        const id = await send(running.port, sent);
        if (id === undefined) throw new Error("a server that was not killed did not answer");
        acknowledged.set(sent.key, { ...sent, id });
        retried++;
      }
      unanswered = [];
      for (const user of USERS) {
        const expected = [...acknowledged.values()].filter((one) => one.user === user);
        const held = await inboxOf(running.port, user, expected.length);
        expect(held.map(({ offset }) => offset)).toEqual(expected.map((_, at) => at + 1));
        const byKey = (a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1);
        expect(held.map(({ id, key }) => ({ id, key })).sort(byKey)).toEqual(expected.map(({ id, key }) => ({ id, key })).sort(byKey));
      }
      expect(running.lines.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
      const health = await (await fetch(`http://127.0.0.1:${running.port}/health`)).json();
      expect(health).toMatchObject({ status: "healthy", queue: { backend: "sqlite", total_messages: acknowledged.size } });
      if (kill === KILLS) break;

      const enough = acknowledged.size + 20 + Math.floor(Math.random() * 150);
      let dying: Promise<void> | undefined;
      const publisher = async () => {
        while (!dying) {
          const sent = { key: `k-${++ordinal}`, user: USERS[ordinal % USERS.length] ?? "ann" };
          const id = await send(running.port, sent);
          if (id === undefined) unanswered.push(sent);
          else acknowledged.set(sent.key, { ...sent, id });
          if (acknowledged.size >= enough) dying ??= running.kill();
        }
      };
      await Promise.all(Array.from({ length: PUBLISHERS }, publisher));
      await dying;
      server = undefined;
    }
    expect(retried).toBeGreaterThan(0); // the kills came while something was on its way
  } finally {
    await server?.kill();
    await rm(folder, { recursive: true, force: true });
  }
}, 60_000);

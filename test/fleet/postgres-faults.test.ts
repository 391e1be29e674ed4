// Why: what PostgreSQL does to its clients on a bad day, done to it: killed, frozen, locked, its backends ended, a standby
// in its place. What was acknowledged stays; callers are told in bounded time; channels never notice.
import { afterAll, expect, test } from "bun:test";
import type { PublishRecord } from "@nexus/server/core/ports.ts";
import { SQL } from "bun";
import { eventually } from "../support/eventually.ts";
import { type PostgresServer, startPostgres } from "../support/postgres.ts";
import { startRedis } from "../support/redis/server.ts";
import { channelOf, inboxOf, type Node, refused, requestTo, startNode, works } from "./postgres-ground.ts";

const redis = await startRedis();
afterAll(() => redis[Symbol.asyncDispose]());

type Load = {
  readonly acknowledged: Map<string, { readonly user: string; readonly record: PublishRecord }>;
  failed: number;
  slowestMs: number;
  stop(): Promise<void>;
};

/** `publishers` publish to 20 users, one after the other each, until `stop`; failures are counted and paused after. */
function load({ store }: Node, publishers = 24): Load {
  let isStopped = false;
  const result: Load = { acknowledged: new Map(), failed: 0, slowestMs: 0, stop: async () => undefined };
  const work = async (at: number) => {
    for (let n = 0; !isStopped; n++) {
      const user = `user-${(at + n) % 20}`;
      const began = performance.now();
      try {
        const outcome = await store.publish(requestTo(inboxOf(user)));
        if (outcome.kind === "published") result.acknowledged.set(outcome.record.notificationId, { user, record: outcome.record });
      } catch {
        result.failed++; // which code it is, other tests say
        await new Promise<void>((resolve) => setTimeout(resolve, 5));
      }
      result.slowestMs = Math.max(result.slowestMs, performance.now() - began);
    }
  };
  const done = Promise.all(Array.from({ length: publishers }, (_, at) => work(at)));
  result.stop = async () => {
    isStopped = true;
    await done;
  };
  return result;
}

/** Every acknowledged entry is where its answer said, and nothing stands twice at one place. */
async function expectKept({ store }: Node, { acknowledged }: Load): Promise<void> {
  for (let n = 0; n < 20; n++) {
    const user = `user-${n}`;
    const places = new Map<string, number>();
    for (let before = Number.MAX_SAFE_INTEGER, more = true; more; ) {
      const page = await store.page(inboxOf(user), { before, limit: 1000 });
      for (const { entry } of page.entries) places.set(entry.notification.id, entry.position?.offset ?? 0);
      before = page.entries.at(-1)?.entry.position?.offset ?? 0;
      more = page.more;
    }
    expect(new Set(places.values()).size).toBe(places.size);
    for (const [id, { user: owner, record }] of acknowledged) if (owner === user) expect(places.get(id)).toBe(record.position?.offset);
  }
}

async function stage(options: { readonly isDurable?: boolean; readonly timeoutMs?: number; readonly poolSize?: number } = {}) {
  const postgres = await startPostgres(options);
  const node = await startNode({ ...options, redis, url: postgres.url });
  return {
    ...{ postgres, node },
    async [Symbol.asyncDispose]() {
      await node[Symbol.asyncDispose]();
      await postgres[Symbol.asyncDispose]();
    },
  };
}

async function adminOf(postgres: PostgresServer): Promise<SQL> {
  return new SQL(postgres.url, { max: 1, connection: { application_name: "admin" } });
}

test("killed under load: nothing acknowledged is lost, and it goes on by itself when the server is back", async () => {
  await using staged = await stage({ isDurable: true, timeoutMs: 2000 });
  const { postgres, node } = staged;
  const running = load(node);
  for (let round = 0; round < 3; round++) {
    const before = running.acknowledged.size;
    await eventually("a few hundred publishes", () => running.acknowledged.size > before + 300);
    await postgres.kill();
    const { failed } = running;
    await eventually("publishes are refused", () => running.failed > failed + 10);
    expect(node.engine.degraded()).toBe(true);
    expect(node.engine.postgres()).toMatchObject({ connected: false, idle: 0 });
    expect((await node.store.publish(requestTo(channelOf("news")))).kind).toBe("published");
    await postgres.start();
    await eventually("it takes publishes again", () => works(() => node.store.publish(requestTo(inboxOf("probe")))));
  }
  await running.stop();
  expect(node.engine.degraded()).toBe(false);
  expect(running.slowestMs).toBeLessThan(4500);
  await expectKept(node, running);
}, 60_000);

test("backends that are ended under load are replaced, and nothing acknowledged is lost", async () => {
  await using staged = await stage();
  const { postgres, node } = staged;
  await using admin = await adminOf(postgres);
  const running = load(node);
  for (let round = 0; round < 5; round++) {
    const before = running.acknowledged.size;
    await eventually("publishes go on", () => running.acknowledged.size > before + 200);
    await admin.unsafe("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nexus'");
  }
  const before = running.acknowledged.size;
  await eventually("publishes go on", () => running.acknowledged.size > before + 200);
  await running.stop();
  await expectKept(node, running);
}, 60_000);

test("a server that answers nothing keeps nobody waiting longer than the limit, and is used again when it does", async () => {
  await using staged = await stage({ timeoutMs: 1000 });
  const { postgres, node } = staged;
  await node.store.publish(requestTo(inboxOf("jane")));
  postgres.freeze();
  try {
    const waited = await Promise.all([
      refused(() => node.store.publish(requestTo(inboxOf("jane")))),
      refused(() => node.store.unread(inboxOf("jane"))),
      refused(() => node.store.setMark(inboxOf("jane"), { epoch: "e", offset: 1 })),
    ]);
    expect(Math.max(...waited)).toBeLessThan(2500);
    await eventually("it counts as away", () => node.engine.degraded());
    expect(await refused(() => node.store.top(inboxOf("jane")))).toBeLessThan(100);
    const { timeout, rejected } = node.engine.statements();
    expect([timeout > 0, rejected > 0]).toEqual([true, true]);
    expect((await node.store.publish(requestTo(channelOf("news")))).kind).toBe("published");
  } finally {
    postgres.thaw();
  }
  await eventually("it is used again", () => works(() => node.store.publish(requestTo(inboxOf("jane")))));
  expect(node.engine.degraded()).toBe(false);
}, 60_000);

test("no connection free: callers are refused in bounded time, and nothing is left behind when it is over", async () => {
  await using staged = await stage({ timeoutMs: 1000, poolSize: 2 });
  const { postgres, node } = staged;
  await node.store.publish(requestTo(inboxOf("jane")));
  await using admin = await adminOf(postgres);
  await admin.unsafe("BEGIN");
  await admin.unsafe("LOCK TABLE nexus.streams IN ACCESS EXCLUSIVE MODE");
  const waited = await Promise.all(Array.from({ length: 50 }, (_, n) => refused(() => node.store.unread(inboxOf(`user-${n}`)))));
  expect(Math.max(...waited)).toBeLessThan(2500);
  await admin.unsafe("ROLLBACK");
  await eventually("it answers again", () => works(() => node.store.unread(inboxOf("jane")))); // connections are made anew
  expect((await node.store.unread(inboxOf("jane"))).entries.length).toBe(1);
  await eventually("no connection is busy", () => node.engine.postgres().idle === 2);
  const [{ count }] = await admin.unsafe("SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = 'nexus'");
  expect(count).toBeLessThanOrEqual(2);
}, 60_000);

test("a standby in its place takes nothing; once promoted, cursors of before are told that the epoch is another", async () => {
  await using staged = await stage({ isDurable: true, timeoutMs: 2000 });
  const { postgres, node } = staged;
  for (let n = 0; n < 3; n++) await node.store.publish(requestTo(inboxOf("jane")));
  const before = await node.store.top(inboxOf("jane"));
  await node.store.setMark(inboxOf("jane"), { ...before, offset: 1 });
  await postgres.demote();
  await refused(() => node.store.publish(requestTo(inboxOf("jane"))));
  await eventually("it counts as away", () => node.engine.degraded());
  await using admin = await adminOf(postgres);
  await admin.unsafe("SELECT pg_promote()");
  await eventually("it takes publishes", () => works(() => node.store.publish(requestTo(inboxOf("jane")))));
  const read = await node.store.read(inboxOf("jane"), before);
  expect(read).toMatchObject({ kind: "not_recovered", reason: "epoch_changed" });
  expect(read.top.offset).toBeGreaterThanOrEqual(4);
  expect((await node.store.unread(inboxOf("jane"))).entries.length).toBe(read.top.offset - 1);
  await node.store.setMark(inboxOf("jane"), before); // of the other timeline: not taken
  expect((await node.store.unread(inboxOf("jane"))).entries.length).toBe(read.top.offset - 1);
}, 60_000);

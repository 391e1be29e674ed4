// Why: what an Idempotency-Key promises when the engine breaks or stalls half-way: asked again, the same notification is
// finished, nobody gets it twice, and the key never changes its body. In a process, so that the break is where we say.
import { afterEach, describe, expect, test } from "bun:test";
import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import { Failure } from "@nexus/protocol/failures.ts";
import { NIL_UUID } from "@nexus/protocol/rest/content.ts";
import type { BatchItem } from "@nexus/server/core/batch-items.ts";
import type { PublishRequest, StreamStore } from "@nexus/server/core/ports.ts";
import type { PublishTargets } from "@nexus/server/core/publish-targets.ts";
import { streamKey } from "@nexus/server/core/streams.ts";
import { startServer, TENANT, type TestServer } from "../../support/server.ts";

const content = { event_type: "e", payload: { n: 1 } };
const users = (...names: string[]): PublishTargets => ({ kind: "users", users: names });
const keyed = (body: unknown, key = "key") => ({ tenant: TENANT, source: "test", idempotencyKey: key, fingerprint: JSON.stringify(body) });

/** What is asked of the engine before each publish; it may throw or wait. */
type Gate = (request: PublishRequest) => void | Promise<void>;

let server: TestServer;
let gate: Gate;
let appended: string[];
/** The server logs an error, because the engine broke in the middle of a batch. */
let isLogExpected: boolean;
function start(): TestServer {
  isLogExpected = false;
  gate = () => undefined;
  appended = [];
  server = startServer({
    engine: (memory) => {
      const publish: StreamStore["publish"] = async (request) => {
        await gate(request);
        const outcome = await memory.store.publish(request);
        const { ttl } = request.notification.metadata;
        if (outcome.kind === "published" && ttl !== 0) appended.push(`${streamKey(request.stream)} ${request.notification.id}`);
        return outcome;
      };
      return { ...memory, store: { ...memory.store, publish } };
    },
  });
  return server;
}
afterEach(async () => {
  const end = server[Symbol.asyncDispose]();
  if (isLogExpected) await expect(end).rejects.toThrow("publish.batch_broken");
  else await end;
});

const away = new Failure({ code: "broker_unavailable", detail: "The broker is away" });
/** Lets `count` publishes through, then the engine is away. */
function breakAfter(count: number): void {
  let left = count;
  gate = () => {
    if (left-- <= 0) throw away;
  };
}
const heal = () => {
  gate = () => undefined;
};
const many = (targets: PublishTargets) => server.app.node.publisher.publishMany({ ...keyed(targets), targets, content });
const batch = (items: readonly BatchItem[], options: { stopOnError?: boolean } = {}) =>
  server.app.node.publisher.batch({ ...keyed(items), items, stopOnError: options.stopOnError ?? false, deduplicate: false });
const toUser = (user: string): BatchItem => ({ target: { kind: "user", user }, content });
const stored = () => new Set(appended).size;

describe("a publish that was cut off", () => {
  // The first publish of all binds the key itself.
  test.each([1, 2, 3, 4])("after %d steps is finished under the same notification id", async (steps) => {
    start();
    breakAfter(steps);
    await expect(many(users("a", "b", "c", "d"))).rejects.toBe(away);
    heal();
    const outcome = await many(users("a", "b", "c", "d"));
    if ("code" in outcome) throw new Error(outcome.code);
    expect(outcome.replayed).toBe(false);
    expect(appended.map((line) => line.split(" ")[0]).sort()).toEqual(["a", "b", "c", "d"].map((user) => `u/${TENANT}/${user}`));
    expect(new Set(appended.map((line) => line.split(" ")[1]))).toEqual(new Set([outcome.notificationId]));
    expect(await many(users("a", "b", "c", "d"))).toEqual({ ...outcome, replayed: true });
  });

  test("with one target too", async () => {
    start();
    const publish = () => server.app.node.publisher.publish({ ...keyed("x"), target: { kind: "user", user: "a" }, content });
    breakAfter(1);
    await expect(publish()).rejects.toBe(away);
    heal();
    const outcome = await publish();
    expect(outcome).toMatchObject({ kind: "published", replayed: false });
    expect(await publish()).toEqual({ ...outcome, replayed: true } as typeof outcome);
    expect(appended).toHaveLength(1);
  });

  test("keeps its body: other targets under the key are refused before anything is sent", async () => {
    start();
    breakAfter(2);
    await expect(many(users("a", "b"))).rejects.toBe(away);
    heal();
    expect(await many(users("x", "y"))).toMatchObject({ code: "idempotency_conflict" });
    expect(appended).toHaveLength(1);
  });

  test("and was not stored counts as failed, once", async () => {
    start();
    breakAfter(2);
    await expect(many(users("a", "b", "c"))).rejects.toBe(away);
    expect(await server.engine.stats.total(TENANT)).toMatchObject({ sent: { user: 1 }, failed: 1 });
  });
});

describe("while a publish runs", () => {
  test("its key is in flight, for every kind of publish of the tenant; others are not held up", async () => {
    start();
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = () => promise;
    const running = many(users("a", "b"));
    expect(await batch([toUser("a")])).toMatchObject({ code: "idempotency_in_flight" });
    expect(await many(users("a", "b"))).toMatchObject({ code: "idempotency_in_flight" });
    heal();
    const free = server.app.node.publisher.publishMany({ ...keyed("x", "other"), targets: users("c"), content });
    expect(await free).toMatchObject({ kind: "published" });
    resolve();
    expect(await running).toMatchObject({ kind: "published" });
    expect(await many(users("a", "b"))).toMatchObject({ replayed: true });
  });

  test("a long list leaves the event loop its turns", async () => {
    start();
    const running = server.app.node.publisher.publishMany({
      ...{ tenant: TENANT, source: "test", content },
      targets: users(...Array.from({ length: 2000 }, (_, i) => `u${i}`)),
    });
    let turns = 0;
    let isOver = false;
    const turn = () => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    await running;
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(7); // between lots of 256
  });
});

describe("a batch that was cut off", () => {
  const items = [toUser("a"), { target: users("b", "c"), content }, toUser("a"), toUser("d")] as const;

  test("before anything was sent fails as a whole; asked again it sends all", async () => {
    start();
    breakAfter(1);
    await expect(batch(items)).rejects.toBe(away);
    heal();
    expect(await batch(items)).toMatchObject({ replayed: false });
    expect(stored()).toBe(5);
  });

  test.each([2, 3, 4, 5])("after %d steps tells which items failed; asked again it sends those, and then it is answered", async (steps) => {
    start();
    isLogExpected = true;
    breakAfter(steps);
    const first = await batch(items);
    if ("code" in first) throw new Error(first.code);
    expect(first.results.at(-1)).toMatchObject({ kind: "refused", refusal: { code: "broker_unavailable" } });
    expect(server.logged.filter(({ event }) => event === "publish.batch_broken")).toHaveLength(1);
    heal();
    const again = await batch(items);
    if ("code" in again) throw new Error(again.code);
    expect(again.batchId).toBe(first.batchId);
    expect(again.results.map(({ kind }) => kind)).toEqual(["published", "published", "published", "published"]);
    for (const [index, result] of first.results.entries()) if (result.kind === "published") expect(again.results[index]).toEqual(result);
    expect(stored()).toBe(5);
    expect(await batch(items)).toEqual({ ...again, replayed: true });
    expect(stored()).toBe(5);
  });

  test("is answered the same when a template it named is gone, or came", async () => {
    start();
    const sent: readonly BatchItem[] = [{ target: { kind: "user", user: "a" }, content: { template_id: "none" } }, toUser("b")];
    const first = await batch(sent);
    if ("code" in first) throw new Error(first.code);
    const [refused] = first.results;
    expect(refused).toMatchObject({ kind: "refused", refusal: { code: "unknown_template" } });
    const settings: TemplateSettings = {
      ...{ tenant_id: TENANT, template_id: "none", event_type: "e", priority: "Normal", engine: "Simple" },
      ...{ variables: [], payload: {}, locales: [] },
    };
    await server.engine.templates.create(TENANT, { name: "none", description: undefined, settings, createdAt: 1, updatedAt: 1 }, 10);
    expect(await batch(sent)).toEqual({ ...first, replayed: true });
    expect(appended).toHaveLength(1);
  });

  test("an item that names nobody answers the same", async () => {
    start();
    const sent = [{ target: users(), content }];
    const first = await batch(sent);
    expect(first).toMatchObject({ results: [{ kind: "published", notificationId: NIL_UUID, deliveredTo: 0, queued: false }] });
    expect(await batch(sent)).toEqual({ ...first, replayed: true } as typeof first);
  });
});

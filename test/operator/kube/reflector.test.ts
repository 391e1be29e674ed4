import { expect, test } from "bun:test";
import { type ReflectorOptions, startReflector } from "@nexus/operator/kube/reflector.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import type { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import { eventually } from "../../support/eventually.ts";
import { ManualClock } from "../../support/kube/manual-clock.ts";
import { event, page, type SeenRequest, startScriptedApi, status, watchStream } from "../../support/kube/scripted-api.ts";

type Step = (request: SeenRequest) => Response;

/** A server that answers lists and watches from two scripts, and a reflector whose life is written down. */
async function setup(lists: Step[], watches: Step[], options: Partial<ReflectorOptions<KubeObject>> = {}) {
  const api = await startScriptedApi((request) => {
    const step = (request.query.has("watch") ? watches : lists).shift();
    return step ? step(request) : watchStream().response;
  });
  const clock = new ManualClock();
  const log: string[] = [];
  const errors: KubeError[] = [];
  const ends: string[] = [];
  const reflector = startReflector<KubeObject>({
    transport: createTransport({ access: api.access(), userAgent: "u", clock, random: () => 0 }),
    kind: KINDS.ConfigMap,
    scope: { namespace: "ns" },
    clock,
    random: () => 0.5,
    onEvent: ({ type, key, object, initial }) => log.push(`${type} ${key}@${object.metadata.resourceVersion}${initial ? " initial" : ""}`),
    onError: (error) => errors.push(error),
    metrics: {
      watchEnded: (_, why) => ends.push(why),
      listed: () => undefined,
      listFailed: () => ends.push("list failed"),
    },
    ...options,
  });
  const requests = (kind: "list" | "watch") => api.seen.filter((request) => request.query.has("watch") === (kind === "watch"));
  return {
    ...{ api, clock, log, errors, ends, reflector, requests },
    async [Symbol.asyncDispose]() {
      await reflector.stop();
      await api[Symbol.asyncDispose]();
    },
  };
}

const keep =
  (watch: ReturnType<typeof watchStream>): Step =>
  () =>
    watch.response;

test("lists in pages, then watches from the list's version with bookmarks and a random timeout", async () => {
  const watch = watchStream();
  await using it = await setup([() => page("10", { a: "1" }, "next"), () => page("10", { b: "2" })], [keep(watch)]);
  expect(await it.reflector.synced).toBe(true);
  await eventually("the watch was asked for", () => it.requests("watch").length === 1);
  const [first, second] = it.requests("list");
  expect([first?.query.get("limit"), first?.query.get("continue"), second?.query.get("continue")]).toEqual(["500", null, "next"]);
  expect(Object.fromEntries(it.requests("watch")[0]?.query ?? [])).toEqual({
    ...{ watch: "true", allowWatchBookmarks: "true", resourceVersion: "10", timeoutSeconds: "450" },
  });
  watch.send(event("MODIFIED", "a", "11") + event("ADDED", "c", "12") + event("DELETED", "b", "13"));
  await eventually("three events", () => it.log.length === 5);
  expect(it.log).toEqual(["added ns/a@1 initial", "added ns/b@2 initial", "modified ns/a@11", "added ns/c@12", "deleted ns/b@13"]);
  expect([...it.reflector.store.keys()].sort()).toEqual(["ns/a", "ns/c"]);
});

test("says when it heard anything last, bookmarks included; from its start on where nothing ever came", async () => {
  const watch = watchStream();
  const silent = watchStream();
  await using it = await setup([() => page("10", { a: "1" })], [keep(watch)]);
  await using mute = await setup([keep(silent)], []);
  const startMs = mute.clock.wallMs();
  await it.reflector.synced;
  await eventually("the watch was asked for", () => it.requests("watch").length === 1);
  await Promise.all([it.clock.advance(20_000), mute.clock.advance(20_000)]);
  expect([it.reflector.heardMs(), mute.reflector.heardMs()]).toEqual([startMs, startMs]);
  watch.send(`${JSON.stringify({ type: "BOOKMARK", object: { kind: "ConfigMap", metadata: { resourceVersion: "55" } } })}\n`);
  await eventually("the bookmark was heard", () => it.reflector.heardMs() === startMs + 20_000);
});

test("resumes from the last bookmark when the server ends the watch", async () => {
  const [first, second] = [watchStream(), watchStream()];
  await using it = await setup([() => page("10", { a: "1" })], [keep(first), keep(second)]);
  await it.reflector.synced;
  first.send(event("MODIFIED", "a", "11"));
  first.send(`${JSON.stringify({ type: "BOOKMARK", object: { kind: "ConfigMap", metadata: { resourceVersion: "55" } } })}\n`);
  await eventually("the event", () => it.log.length === 2);
  first.end();
  await eventually("a pause was begun", async () => {
    await it.clock.advance(1_000);
    return it.requests("watch").length === 2;
  });
  expect(it.requests("watch")[1]?.query.get("resourceVersion")).toBe("55");
  expect(it.requests("list")).toHaveLength(1);
  expect(it.ends).toEqual(["timeout"]);
});

for (const [name, gone] of Object.entries({
  "an HTTP 410": () => status(410, "Expired"),
  "an ERROR event 410 in the stream": () =>
    new Response(`${JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } })}\n`),
})) {
  test(`${name} leads to a new list at once, whose difference is told as events`, async () => {
    await using it = await setup([() => page("10", { a: "1", b: "2", c: "3" }), () => page("20", { a: "1", b: "15", d: "16" })], [gone]);
    await eventually("the second list", () => it.requests("list").length === 2);
    await eventually("deletion was told", () => it.log.includes("deleted ns/c@3"));
    expect(it.log.slice(3)).toEqual(["modified ns/b@15", "added ns/d@16", "deleted ns/c@3"]);
    await eventually("the new watch", () => it.requests("watch").length === 2);
    expect(it.requests("watch")[1]?.query.get("resourceVersion")).toBe("20");
    expect(it.ends).toEqual(["expired"]);
  });
}

test("a server that answers every watch with 410 is not asked in a tight loop", async () => {
  const waits: number[] = [];
  const gone = Array.from({ length: 4 }, () => () => status(410, "Expired"));
  const lists = Array.from({ length: 5 }, () => () => page("10", { a: "1" }));
  await using it = await setup(lists, gone, { onError: (_, ms) => waits.push(ms) });
  await eventually("four refusals", async () => {
    await it.clock.advance(10_000);
    return waits.length === 4;
  });
  expect(waits).toEqual([0, 200, 400, 800]);
});

test("an object deleted and made anew while nobody watched is told as deleted and added", async () => {
  const anew = (): Response =>
    Response.json({
      metadata: { resourceVersion: "20" },
      items: [{ metadata: { namespace: "ns", name: "a", uid: "other", resourceVersion: "19" } }],
    });
  await using it = await setup([() => page("10", { a: "1" }), anew], [() => status(410, "Expired")]);
  await eventually("both events", () => it.log.length === 3);
  expect(it.log).toEqual(["added ns/a@1 initial", "deleted ns/a@1", "added ns/a@19"]);
});

test("410 in the middle of a list starts a new snapshot; the pages of the old one delete nothing", async () => {
  await using it = await setup(
    [
      () => page("10", { a: "1", x: "2" }, "next"),
      () => status(410, "Expired"),
      () => page("20", { a: "1" }, "more"),
      () => page("20", { b: "3" }),
    ],
    [],
  );
  await eventually("synced", async () => {
    await it.clock.advance(1_000);
    return it.reflector.store.hasSynced();
  });
  expect(it.requests("list").map((request) => request.query.get("limit"))).toEqual(["500", "500", "1000", "1000"]);
  // x was in the first snapshot and not in the second: it is gone.
  expect(it.log).toEqual(["added ns/a@1 initial", "added ns/x@2 initial", "added ns/b@3 initial", "deleted ns/x@2"]);
});

test("a list that fails is never read as deletions, and syncs only when one is complete", async () => {
  const broken: Step[] = [
    () => page("20", {}, "next"),
    () => status(500, "InternalError"),
    () => status(403, "Forbidden"),
    () => new Response("{}"),
    () => Response.json({ kind: "ConfigMapList", metadata: {}, items: [] }),
    () => new Response("<html>", { status: 200 }),
  ];
  await using it = await setup([() => page("10", { a: "1", b: "2" }), ...broken], [() => status(410, "Expired")]);
  await it.reflector.synced;
  await eventually("all broken lists were asked for", async () => {
    await it.clock.advance(30_000);
    return it.requests("list").length >= 1 + broken.length;
  });
  expect(it.log.filter((line) => line.startsWith("deleted"))).toEqual([]);
  expect(it.reflector.store.size).toBe(2);
  expect(it.errors.length).toBeGreaterThanOrEqual(5);
});

test("before the first complete list nothing counts as synced", async () => {
  await using it = await setup(
    [() => page("10", { a: "1" }, "next"), () => status(500, "InternalError"), () => page("11", { a: "1" })],
    [],
  );
  await eventually("the second page failed", () => it.errors.length === 1);
  expect(it.reflector.store.hasSynced()).toBe(false);
  await it.clock.advance(30_000);
  expect(await it.reflector.synced).toBe(true);
  expect(it.log).toEqual(["added ns/a@1 initial"]); // once, although it was listed twice
});

test("backs off on 429 at least as long as told, and with growing windows on other failures", async () => {
  const waits: number[] = [];
  const refused = (): Response => status(503, "ServiceUnavailable");
  const told = (): Response => status(503, "ServiceUnavailable", { details: { retryAfterSeconds: 7 } });
  await using it = await setup([() => page("10", {})], [refused, refused, refused, told], { onError: (_, ms) => waits.push(ms) });
  await eventually("four failures", async () => {
    await it.clock.advance(10_000);
    return waits.length === 4;
  });
  expect(waits).toEqual([100, 200, 400, 7000]); // random 0.5 of 200, 400, 800; then what the server said
  expect(it.requests("list")).toHaveLength(1);
});

test("a silent watch is hung up and resumed; two in a row lead to a new list", async () => {
  const watches = [watchStream(), watchStream(), watchStream()];
  await using it = await setup([() => page("10", { a: "1" }), () => page("5", { a: "1" })], watches.map(keep), { silenceMs: 90_000 });
  await it.reflector.synced;
  await eventually("the watch is open", () => it.requests("watch").length === 1);
  watches[0]?.send(event("MODIFIED", "a", "11"));
  await eventually("the event", () => it.log.length === 2);
  await it.clock.advance(89_999);
  expect(it.ends).toEqual([]);
  await it.clock.advance(1);
  await eventually("hung up", () => it.ends.length === 1 && watches[0]?.cancelled);
  await eventually("resumed", async () => {
    await it.clock.advance(100);
    return it.requests("watch").length === 2;
  });
  expect(it.requests("watch")[1]?.query.get("resourceVersion")).toBe("11");
  await eventually("silent again", async () => {
    await it.clock.advance(10_000);
    return it.ends.length >= 2;
  });
  await eventually("listed anew", async () => {
    await it.clock.advance(1_000);
    return it.requests("list").length === 2;
  });
  expect(it.ends.slice(0, 2)).toEqual(["silent", "silent"]);
});

test("a line that cannot be understood leads to a new list, because it may have been an edit", async () => {
  for (const line of ["{not json\n", '{"type":"RENAMED","object":{}}\n', '{"type":"ADDED","object":{"metadata":{}}}\n']) {
    await using it = await setup([() => page("10", { a: "1" }), () => page("20", { a: "15" })], [() => new Response(line)]);
    await eventually("the edit was found by the list", async () => {
      await it.clock.advance(1_000);
      return it.log.includes("modified ns/a@15");
    });
  }
});

test("a handler that throws is reported and stops nothing", async () => {
  const watch = watchStream();
  const seen: string[] = [];
  await using it = await setup([() => page("10", { a: "1" })], [keep(watch)], {
    onEvent: ({ type }) => {
      seen.push(type);
      throw new Error("a bug of ours");
    },
  });
  await it.reflector.synced;
  await eventually("the watch is open", () => it.requests("watch").length === 1);
  watch.send(event("MODIFIED", "a", "11"));
  await eventually("the next event was delivered", () => seen.length === 2);
  expect(it.errors.map((error) => error.reason)).toEqual(["Internal", "Internal"]);
  expect(it.requests("list")).toHaveLength(1);
});

test("after stop nothing is delivered and nothing waits", async () => {
  const watch = watchStream();
  await using it = await setup([() => page("10", { a: "1" })], [keep(watch)]);
  await it.reflector.synced;
  await eventually("the watch is open", () => it.requests("watch").length === 1);
  const stopping = it.reflector.stop();
  watch.send(event("MODIFIED", "a", "11"));
  await stopping;
  expect(it.log).toEqual(["added ns/a@1 initial"]);
  expect(it.clock.pending).toBe(0);
});

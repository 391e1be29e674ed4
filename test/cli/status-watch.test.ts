// Why: who watches a fleet believes what stands there: it has to follow every change, say when it cannot see any more, and end when
// asked. The API server is scripted; the real one is asked in test/e2e/control-plane/cli.test.ts.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Connection } from "@nexus/cli/kube/connect.ts";
import { lineView, screenText, screenView } from "@nexus/cli/status/views.ts";
import { type View, watchStatus } from "@nexus/cli/status/watch.ts";
import { createKubeApi } from "@nexus/operator/kube/resource.ts";
import { createTransport } from "@nexus/operator/kube/transport.ts";
import { eventually } from "../support/eventually.ts";
import { status as refusal, type SeenRequest, startScriptedApi, watchStream } from "../support/kube/scripted-api.ts";
import { cluster, template, tenant } from "../support/resources.ts";
import { nexus, Running } from "./dev-process.ts";

const NOW = Date.parse("2026-01-02T03:04:05Z");
const ready = (status: "True" | "False", reason: string, message: string) => ({
  status: {
    observedGeneration: 1,
    conditions: [{ type: "Ready", status, reason, message, observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z" }],
  },
});
type Given = { readonly kind: string; readonly metadata: object };
const as = (object: object, version: string, state: object = {}): Given => {
  const { metadata, kind, ...rest } = object as Given;
  const { name = "" } = metadata as { readonly name?: string };
  return { ...rest, kind, ...state, metadata: { ...metadata, uid: `${kind}-${name}`, generation: 1, resourceVersion: version } };
};

const LIVE = as(cluster("shop"), "1", ready("True", "AllReplicasReady", "3/3 ready"));
const ACME = as(tenant("shop"), "2", ready("False", "SecretNotFound", "missing: Secret jwt"));
const HELLO = as(template("shop"), "3", ready("True", "Reconciled", "on every pod"));
const OTHER = as(tenant("shop", "other", { clusterRef: { name: "test" } }), "4", ready("True", "Reconciled", "well"));

/** Lists what is there, and hands every watch to the test. */
async function apiServer(handle?: (request: SeenRequest) => Response | undefined) {
  const watches = new Map<string, ReturnType<typeof watchStream>>();
  const items: Readonly<Record<string, readonly Given[]>> = { nexusclusters: [LIVE], tenants: [ACME, OTHER], templates: [HELLO] };
  const api = await startScriptedApi((request) => {
    const special = handle?.(request);
    if (special) return special;
    const kind = request.path.split("/").at(-1) ?? "";
    if (request.query.get("watch") !== "true") return Response.json({ metadata: { resourceVersion: "10" }, items: items[kind] ?? [] });
    const stream = watchStream();
    watches.set(kind, stream);
    return stream.response;
  });
  const transport = createTransport({ access: api.access(), userAgent: "test" });
  const connection: Connection = { transport, api: createKubeApi({ transport }), namespace: "shop", server: api.server };
  const tell = (kind: string, type: string, object: Given) => watches.get(kind)?.send(`${JSON.stringify({ type, object })}\n`);
  const isWatched = () => eventually("all three are watched", () => watches.size === 3);
  return { api, connection, watches, tell, isWatched, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

function told() {
  const said = { out: [] as string[], err: [] as string[] };
  const view = lineView({ out: (text) => void said.out.push(text), err: (text) => void said.err.push(text) }, "text", () => NOW);
  return { said, view };
}

/** Watches until disposed; `done` is what became of it. */
function watching(connection: Connection, view: View, name?: string) {
  const ended = new AbortController();
  const done = watchStatus(connection, { name, isEverywhere: false }, { view, signal: ended.signal, gatherMs: 5 });
  return {
    done,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await done;
    },
  };
}

describe("lines", () => {
  test("say what there is, then what changes, appears and goes, and nothing twice", async () => {
    await using server = await apiServer();
    const { said, view } = told();
    await using _watch = watching(server.connection, view);
    await server.isWatched();
    await eventually("the first words are there", () => said.out.length === 3);
    expect(said.out).toEqual([
      "2026-01-02T03:04:05Z  NexusCluster shop/live  Ready=True  AllReplicasReady  3/3 ready",
      "2026-01-02T03:04:05Z  Tenant shop/acme  Ready=False  SecretNotFound  missing: Secret jwt",
      "2026-01-02T03:04:05Z  Tenant shop/other  Ready=True  Reconciled  well",
    ]);
    server.tell("nexusclusters", "MODIFIED", as(cluster("shop"), "11", ready("True", "AllReplicasReady", "3/3 ready")));
    server.tell("tenants", "MODIFIED", as(tenant("shop"), "12", ready("True", "Reconciled", "well")));
    await eventually("the change is told", () => said.out.length === 4);
    server.tell("templates", "MODIFIED", as(template("shop"), "13", ready("False", "InvalidSpec", "spec.payload")));
    await eventually("a template that is well no more is told", () => said.out.length === 5);
    server.tell("templates", "DELETED", as(template("shop"), "14"));
    await eventually("and that it is gone", () => said.out.length === 6);
    expect(said.out.slice(3)).toEqual([
      "2026-01-02T03:04:05Z  Tenant shop/acme  Ready=True  Reconciled  well",
      "2026-01-02T03:04:05Z  Template shop/hello  Ready=False  InvalidSpec  spec.payload",
      "2026-01-02T03:04:05Z  Template shop/hello  deleted",
    ]);
    expect(said.err).toEqual([]);
  });

  test("are of one cluster and what belongs to it when it is named, wherever that is", async () => {
    await using server = await apiServer();
    const { said, view } = told();
    await using _watch = watching(server.connection, view, "live");
    await eventually("the first words are there", () => said.out.length > 0);
    expect(said.out.map((line) => line.split("  ")[1])).toEqual(["NexusCluster shop/live", "Tenant shop/acme"]);
    const paths = server.api.seen.map(({ path }) => path);
    expect(paths).toContain("/apis/nexus.dev/v1alpha1/namespaces/shop/nexusclusters");
    expect(paths).toContain("/apis/nexus.dev/v1alpha1/tenants");
  });

  test("as json are one document each, and the last of an object says so", () => {
    const out: string[] = [];
    const view = lineView({ out: (text) => void out.push(text), err: () => undefined }, "json", () => NOW);
    const overview = { clusters: [LIVE] as never, tenants: [], templates: [HELLO] as never };
    view.show(overview);
    view.show({ ...overview, clusters: [] });
    const one = {
      kind: "NexusCluster",
      namespace: "shop",
      name: "live",
      generation: 1,
      ready: "True",
      reason: "AllReplicasReady",
      message: "3/3 ready",
    };
    expect(out.map((line) => JSON.parse(line) as unknown)).toEqual([one, { ...one, deleted: true }]);
  });
});

describe("an API server that cannot be heard", () => {
  test("is told once with its reason, and once when it is back; what changed meanwhile is not lost", async () => {
    let isAway = false;
    await using server = await apiServer(() => (isAway ? refusal(503, "ServiceUnavailable") : undefined));
    const { said, view } = told();
    await using _watch = watching(server.connection, view);
    await server.isWatched();
    isAway = true;
    const gone = server.watches.get("tenants");
    server.watches.delete("tenants");
    gone?.end();
    await eventually("the trouble is told", () => said.err.length > 0);
    isAway = false;
    await server.isWatched();
    server.tell("tenants", "MODIFIED", as(tenant("shop"), "12", ready("True", "Reconciled", "well")));
    await eventually("the change is told", () => said.out.some((line) => line.includes("Tenant shop/acme  Ready=True")));
    expect(said.err).toEqual([expect.stringContaining("ServiceUnavailable by script"), "nexus: it goes on"]);
  });

  test("because it refuses ends it, with what it said", async () => {
    await using server = await apiServer(({ query, path }) =>
      query.get("watch") === "true" && path.endsWith("templates") ? refusal(403, "Forbidden") : undefined,
    );
    const { view } = told();
    const never = new AbortController();
    const done = watchStatus(server.connection, { name: undefined, isEverywhere: true }, { view, signal: never.signal, gatherMs: 5 });
    await expect(done).rejects.toMatchObject({ status: 403, message: expect.stringContaining("Forbidden by script") });
  });
});

describe("a screen", () => {
  test("has no more lines than fit, and none that wraps", () => {
    expect(screenText("a\nb\nc", { rows: 3, columns: 10 })).toBe("a\nb\nc");
    expect(screenText("a\nb\nc\nd", { rows: 3, columns: 14 })).toBe("a\nb\n… 2 more lines");
    expect(screenText("0123456789\nabcdefghijk", { rows: 9, columns: 10 })).toBe("0123456789\nabcdefghi…");
  });

  test("shows the present, and says above it when it may be old", () => {
    const drawn: string[] = [];
    const view = screenView({ size: () => ({ rows: 20, columns: 200 }), draw: (text) => void drawn.push(text) }, () => NOW);
    view.trouble("nobody answers"); // before there is anything to show
    expect(drawn).toEqual([]);
    view.show({ clusters: [LIVE] as never, tenants: [], templates: [] });
    view.trouble(undefined);
    expect(drawn.map((text) => text.split("\n")[0])).toEqual([
      "This may be old, it is tried again: nobody answers",
      "As of 2026-01-02T03:04:05Z; Ctrl-C ends.",
    ]);
    expect(drawn[1]).toMatch(/\nshop +live +True +AllReplicasReady/);
  });
});

describe("the command", () => {
  function kubeconfig(server: string) {
    const folder = mkdtempSync(join(tmpdir(), "nexus-status-"));
    const path = join(folder, "kubeconfig");
    const text = {
      "current-context": "c",
      clusters: [{ name: "k", cluster: { server, "insecure-skip-tls-verify": true } }],
      users: [{ name: "u", user: { token: "t" } }],
    };
    writeFileSync(
      path,
      JSON.stringify({ apiVersion: "v1", kind: "Config", contexts: [{ name: "c", context: { cluster: "k", user: "u" } }], ...text }),
    );
    return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
  }

  test.each(["SIGINT", "SIGTERM"] as const)("goes on until %s and ends with 0, with nothing to draw on by lines", async (signal) => {
    await using server = await apiServer();
    using config = kubeconfig(server.api.server);
    await using running = new Running(["status", "--watch", "-n", "shop", "--kubeconfig", config.path]);
    await running.says("out", "Tenant shop/other  Ready=True");
    await server.isWatched();
    server.tell("tenants", "DELETED", as(tenant("shop"), "12"));
    await running.says("out", "Tenant shop/acme  deleted");
    expect((await running.end(signal)).code).toBe(0);
    expect(running.out).not.toContain("\x1b");
    expect(running.err).toBe("");
  });

  test("names what is wrong before it begins, and what does not go together", async () => {
    await using server = await apiServer(() => refusal(403, "Forbidden"));
    using config = kubeconfig(server.api.server);
    const refused = await nexus(["status", "-w", "--kubeconfig", config.path]);
    expect(refused).toMatchObject({ code: 1, out: "", err: expect.stringContaining("not allowed; ask for this right: ") });
    const wrong = await nexus(["status", "-w", "--check"]);
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining("--check: does not go with --watch") });
  });
});

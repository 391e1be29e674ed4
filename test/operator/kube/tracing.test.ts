// Why: a pass is a span, what it writes and pushes lies below it, and nothing of it changes what happens.
import { describe, expect, test } from "bun:test";
import { tracedWith } from "@nexus/operator/kube/tracing.ts";
import type { Call, Transport } from "@nexus/operator/kube/transport.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import { AdminError, type AdminPort, type PushText } from "@nexus/operator/loop/push-ports.ts";
import type { EndedSpan } from "@nexus/tracing/span.ts";
import { Tracer } from "@nexus/tracing/tracer.ts";

const TARGET = { serverName: "admin", caPem: "planted-pem", token: "planted-token", ip: "10.0.0.7", port: 9091 };
const PUSH: PushText = { format: 1, term: "1", sequence: 1, digest: "d", buckets: [] };
const call = (method: Call["method"], path: string): Call => ({ method, path, body: { data: "planted-body" } });

function stage(samplePercent = 100) {
  const ended: EndedSpan[] = [];
  let now = 1_700_000_000_000;
  const fill = (bytes: Uint8Array) => void crypto.getRandomValues(bytes);
  const tracer = new Tracer({ now: () => now, random: () => 0.5, fill, ended: (span) => ended.push(span) });
  tracer.configure({ samplePercent, incomingPerSecond: 0 });
  const traced = tracedWith(tracer);
  const asked: Call[] = [];
  const plain: Transport = {
    async request(one) {
      asked.push(one);
      if (one.path.includes("refused")) throw new KubeError({ status: 403, reason: "Forbidden", message: "planted-message" });
      return { status: 200, body: {} };
    },
    stream: async () => undefined,
  };
  const admin: AdminPort = {
    async push() {
      return { kind: "mismatch", mismatch: { digest: "d", buckets: [] } };
    },
    status: () => Promise.reject(new AdminError("Timeout", "not asked")),
  };
  return { ended, asked, traced, transport: traced.transport(plain), admin: traced.admin(admin), pass: (ms: number) => (now += ms) };
}

const named = (spans: readonly EndedSpan[], name: string) => spans.find((span) => span.name === name) ?? expect.unreachable();

describe("a pass", () => {
  test("is a span, with its writes below it and no reads", async () => {
    const { ended, transport, traced } = stage();
    const answer = await traced.pass("cluster:shop/live", async () => {
      await transport.request(call("GET", "/apis/apps/v1/namespaces/shop/deployments/live-server"));
      await transport.request(call("PATCH", "/apis/apps/v1/namespaces/shop/deployments/live-server/scale?fieldManager=nexus"));
      await transport.request(call("POST", "/api/v1/namespaces/shop/secrets"));
      return "done";
    });
    expect(answer).toBe("done");
    expect(ended.map(({ name }) => name)).toEqual(["PATCH deployments/scale", "POST secrets", "reconcile cluster"]);
    const reconcile = named(ended, "reconcile cluster");
    expect(reconcile.attributes).toEqual({ "nexus.work": "cluster", "k8s.namespace.name": "shop", "nexus.object": "live" });
    for (const write of ended.slice(0, 2)) expect(write.parentSpanId).toBe(reconcile.context.spanId);
    expect(named(ended, "PATCH deployments/scale").attributes).toMatchObject({
      ...{ "k8s.namespace.name": "shop", "nexus.object": "live-server", "http.response.status_code": 200 },
    });
    expect(JSON.stringify(ended)).not.toContain("planted");
  });

  test("that fails throws what it threw, and says only the reason", async () => {
    const { ended, transport, traced } = stage();
    const failing = traced.pass("tenant:shop/acme", () =>
      transport.request(call("PATCH", "/apis/nexus.dev/v1alpha1/namespaces/shop/tenants/refused/status")),
    );
    await expect(failing).rejects.toThrow("planted-message");
    expect(ended.map(({ name, error }) => [name, error])).toEqual([
      ["PATCH tenants/status", "Forbidden"],
      ["reconcile tenant", "Forbidden"],
    ]);
    expect(JSON.stringify(ended)).not.toContain("planted");
  });

  test("is told apart from others that run at the same time", async () => {
    const { ended, transport, traced } = stage();
    const write = (name: string) =>
      traced.pass(`template:shop/${name}`, async () => {
        await new Promise((resolve) => setImmediate(resolve));
        await transport.request(call("PATCH", `/apis/nexus.dev/v1alpha1/namespaces/shop/templates/${name}/status`));
      });
    await Promise.all(["a", "b", "c"].map(write));
    for (const name of ["a", "b", "c"]) {
      const [below, above] = ended.filter(({ attributes }) => attributes["nexus.object"] === name);
      expect(below?.parentSpanId).toBe(above?.context.spanId as string);
    }
    expect(new Set(ended.map(({ context }) => context.traceId)).size).toBe(3);
  });

  test("that is not sampled leaves nothing, and its writes neither", async () => {
    const { ended, asked, transport, traced } = stage(0);
    await traced.pass("cluster:shop/live", () => transport.request(call("POST", "/api/v1/namespaces/shop/secrets")));
    expect([ended.length, asked.length]).toEqual([0, 1]);
  });

  test("has no more than so many spans below it", async () => {
    const { ended, asked, transport, traced } = stage();
    await traced.pass("config:shop/live", async () => {
      for (let index = 0; index < 250; index++) await transport.request(call("PUT", `/api/v1/namespaces/shop/secrets/s${index}`));
    });
    expect([ended.length, asked.length]).toEqual([201, 250]);
  });
});

test("writes outside of any pass (the Lease) have no span", async () => {
  const { ended, transport } = stage();
  await transport.request(call("PUT", "/apis/coordination.k8s.io/v1/namespaces/shop/leases/nexus-operator"));
  expect(ended).toEqual([]);
});

test("a push follows the pass that caused it, for a while", async () => {
  const { ended, admin, traced, pass } = stage();
  const gate = Promise.withResolvers<void>();
  const late = Promise.withResolvers<void>();
  let pushing: Promise<unknown> = Promise.resolve();
  await traced.pass("config:shop/live", async () => {
    pushing = (async () => {
      await gate.promise;
      await admin.push(TARGET, PUSH, { timeoutMs: 1 });
      await late.promise;
      await admin.push(TARGET, PUSH, { timeoutMs: 1 });
    })();
  });
  gate.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  pass(60_000); // the loop that was begun in the pass goes on for ever
  late.resolve();
  await pushing;
  expect(ended.map(({ name }) => name)).toEqual(["reconcile config", "push"]);
  const push = named(ended, "push");
  expect(push.parentSpanId).toBe(named(ended, "reconcile config").context.spanId);
  expect(push.attributes).toEqual({ "server.address": "10.0.0.7", "nexus.buckets": 0, "nexus.outcome": "mismatch" });
  expect(JSON.stringify(ended)).not.toContain("planted");
});

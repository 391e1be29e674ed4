// Why: what a managed Redis is made of: sizes, what may restart it, and what it was made with.
import { describe, expect, test } from "bun:test";
import { INPUTS_ANNOTATION } from "@nexus/operator/desired/names.ts";
import { podTemplate } from "@nexus/operator/desired/pod-template.ts";
import { managedConnection, redisPolicy } from "@nexus/operator/desired/redis/network.ts";
import { bytesOf, redisConfigMap } from "@nexus/operator/desired/redis/settings.ts";
import { claimName, madeClaim, REDIS_IMAGE, redisStatefulSet } from "@nexus/operator/desired/redis/stateful-set.ts";
import { rendered } from "@nexus/operator/plan/rendered.ts";
import { aCluster } from "../bundle/fixtures.ts";
import { CONTEXT } from "../desired/fixtures.ts";

const cluster = (managed: object = {}, over: object = {}) =>
  aCluster({ redis: { mode: "Managed", managed: { memory: "256Mi", storage: { size: "1Gi" }, ...managed } }, ...over });
const set = (...args: Parameters<typeof redisStatefulSet>) => redisStatefulSet(...args);
const digest = (...args: Parameters<typeof redisStatefulSet>) => rendered(redisStatefulSet(...args), "metadata").digest;
const inputs = (...args: Parameters<typeof redisStatefulSet>) => redisStatefulSet(...args).metadata.annotations?.[INPUTS_ANNOTATION];
const conf = (memory: string | number) => redisConfigMap(cluster({ memory }), CONTEXT).data["redis.conf"];

test.each([
  ["256Mi", 268_435_456n],
  ["1G", 1_000_000_000n],
  ["1.5Gi", 1_610_612_736n],
  [1_073_741_824, 1_073_741_824n],
  ["nonsense", 0n],
])("%p is %p bytes", (quantity, bytes) => {
  expect(bytesOf(quantity)).toBe(bytes);
});

describe("settings", () => {
  test("leave a quarter of the memory free, evict nothing, and flush before they answer", () => {
    expect(conf("256Mi")).toContain("\nmaxmemory 201326592\n");
    expect(conf("1Gi")).toContain("\nmaxmemory 805306368\n");
    for (const line of ["maxmemory-policy noeviction", "appendonly yes", "appendfsync always"])
      expect(conf("1Gi")).toContain(`\n${line}\n`);
  });

  test("restart the pod when they change, and nothing but that", () => {
    const annotations = (memory: string) => set(cluster({ memory }), CONTEXT).spec.template.metadata.annotations;
    expect(annotations("512Mi")).not.toEqual(annotations("256Mi"));
    expect(annotations("256Mi")).toEqual(annotations("256Mi"));
  });
});

describe("the StatefulSet", () => {
  test("is the same for a cluster that says nothing and one that says the defaults", () => {
    expect(digest(aCluster({ redis: { mode: "Managed" } }), CONTEXT)).toBe(digest(cluster(), CONTEXT));
  });

  test("keeps the claim it was made with, whatever the spec asks for now", () => {
    const first = set(cluster(), CONTEXT);
    const made = madeClaim(first);
    expect(made).toEqual({ size: "1Gi" });
    const bigger = cluster({ storage: { size: "5Gi", storageClassName: "fast" } });
    expect(set(bigger, CONTEXT, made).spec).toEqual(first.spec);
    expect(madeClaim(set(bigger, CONTEXT))).toEqual({ size: "5Gi", storageClassName: "fast" });
    expect(madeClaim({})).toBeUndefined();
    expect(claimName("live")).toBe("data-live-redis-0");
  });

  test("changes with the operator alone when only its default image does: inputs tell the two apart", () => {
    const newer = { ...CONTEXT, redisImage: "registry.example/valkey:9" };
    expect(set(cluster(), CONTEXT).spec.template.spec.containers[0]?.image).toBe(REDIS_IMAGE);
    expect(digest(cluster(), newer)).not.toBe(digest(cluster(), CONTEXT));
    expect(inputs(cluster(), newer)).toBe(inputs(cluster(), CONTEXT));
    for (const change of [{ image: "mine:1" }, { memory: "512Mi" }])
      expect(inputs(cluster(change), CONTEXT)).not.toBe(inputs(cluster(), CONTEXT));
    expect(digest(cluster({ image: "mine:1" }), newer)).toBe(digest(cluster({ image: "mine:1" }), CONTEXT));
  });

  test("has no password, and pods that are not taken for servers", () => {
    const template = set(cluster(), CONTEXT).spec.template;
    expect(template.metadata.labels).not.toHaveProperty("app.kubernetes.io/managed-by");
    expect(JSON.stringify(template)).not.toContain('"env"');
  });
});

test("no field of managed reaches the servers' pods", () => {
  const template = (managed: object) => JSON.stringify(podTemplate(cluster(managed), CONTEXT));
  expect(template({ image: "mine:1", memory: "2Gi", storage: { size: "9Gi" } })).toBe(template({}));
});

test("servers are told its Service, and only they are let in", () => {
  expect(managedConnection(cluster(), "pw")).toMatchObject({
    topology: "standalone",
    addresses: ["live-redis.prod.svc:6379"],
    password: "pw",
  });
  const [rule, ...others] = redisPolicy(cluster(), CONTEXT).spec.ingress;
  expect(others).toEqual([]);
  expect(rule?.from).toHaveLength(1);
  expect(JSON.stringify(rule)).toContain('"app.kubernetes.io/component":"server"');
  expect(JSON.stringify(rule)).not.toContain("namespaceSelector");
});

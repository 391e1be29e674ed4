// Why: what a plan says is decided by plain values: leaf differences, kubectl's own patch, and what a field's change does.
import { describe, expect, test } from "bun:test";
import { changesBetween, valueAt } from "@nexus/cli/plan/changes.ts";
import { brokerNotes } from "@nexus/cli/plan/children.ts";
import { threeWayPatch } from "@nexus/cli/plan/dry-run.ts";
import { effectOf } from "@nexus/cli/plan/effects.ts";
import { changeText } from "@nexus/cli/plan/plan.ts";

describe("differences", () => {
  test("leaves that were added, removed and changed", () => {
    const before = { a: 1, gone: { x: 1 }, list: [1, 2], same: { deep: [1] } };
    const after = { a: 2, list: [1, 3, 4], same: { deep: [1] }, come: { y: { z: true } } };
    expect(changesBetween(before, after, "spec")).toEqual([
      { path: "spec.a", before: 1, after: 2 },
      { path: "spec.gone.x", before: 1 },
      { path: "spec.list[1]", before: 2, after: 3 },
      { path: "spec.list[2]", after: 4 },
      { path: "spec.come.y.z", after: true },
    ]);
  });

  test("entries are told apart by their key, and a new order is a change of its own", () => {
    const before = [{ name: "a", v: 1 }, { name: "b" }];
    expect(changesBetween(before, [{ name: "new" }, { name: "a", v: 2 }, { name: "b" }], "env")).toEqual([
      { path: "env[name=a].v", before: 1, after: 2 },
      { path: "env[name=new].name", after: "new" },
    ]);
    expect(changesBetween(before, [{ name: "b" }, { name: "a", v: 1 }], "env")).toEqual([
      { path: "env", before: ["a", "b"], after: ["b", "a"] },
    ]);
  });

  test("keys that are no identifiers are quoted, and paths are found again", () => {
    const object = {
      metadata: { annotations: { "a.b/c": "x" } },
      spec: { ports: [{ port: 80 }, { port: 81, protocol: "UDP" }], args: ["p", "q"] },
    };
    const [change] = changesBetween({}, { annotations: { "a.b/c": "x" } }, "metadata");
    expect(change?.path).toBe('metadata.annotations["a.b/c"]');
    expect(valueAt(object, 'metadata.annotations["a.b/c"]')).toBe("x");
    expect(valueAt(object, "spec.ports[port=80,protocol=TCP].port")).toBe(80);
    expect(valueAt(object, "spec.args[1]")).toBe("q");
    expect(valueAt(object, "spec.nothing[name=x].y")).toBeUndefined();
  });

  test("long values are cut", () => {
    expect(changeText({ path: "p", after: "x".repeat(500) })).toMatch(/^\+ p: "x{199}… \(502 characters\)$/);
    expect(changeText({ path: "p", before: 1, after: 2 })).toBe("~ p: 1 → 2");
    expect(changeText({ path: "p", before: [] })).toBe("- p: []");
  });
});

test("what was applied last and is in the file no more is taken away, what others set is left", () => {
  const last = { spec: { replicas: 2, limits: { frameBytes: 1, bodyBytes: 2 }, list: [1] } };
  const desired = { spec: { limits: { bodyBytes: 3 }, list: [2] } };
  expect(threeWayPatch(last, desired)).toEqual({ spec: { replicas: null, limits: { frameBytes: null, bodyBytes: 3 }, list: [2] } });
});

test.each([
  ["NexusCluster", "spec.limits.frameBytes", "Takes effect live."],
  ["NexusCluster", "spec.image.tag", "Rolls pods."],
  ["NexusCluster", "spec.channels[match=a].history.size", "Takes effect live."],
  ["NexusCluster", "spec.delivery.drainSeconds", "Rolls pods."],
  ["Template", "spec.payload.title", "Takes effect live."],
  ["Tenant", "metadata.labels.a", undefined],
] as const)("%s %s: %s", (kind, path, effect) => {
  expect(effectOf(kind, path)).toBe(effect);
});

test("a new pod template of the broker is told of, a new label of its Service is not", () => {
  const change = (object: string, path: string) => ({ object, action: "change" as const, changes: [{ path, after: 1 }] });
  expect(brokerNotes([change("StatefulSet a/live-redis", "spec.template.spec.x")])).toEqual([
    expect.stringContaining("StatefulSet a/live-redis: the broker's pod is replaced"),
  ]);
  expect(brokerNotes([change("Service a/live-redis", "spec.template.x"), change("StatefulSet a/live-redis", "metadata.labels.x")])).toEqual(
    [],
  );
});

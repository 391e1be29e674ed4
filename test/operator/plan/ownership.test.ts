// Why: taking over a stranger's object, or losing our own because somebody edited its labels, are both failures of one function.
import { describe, expect, test } from "bun:test";
import { foreignReason } from "@nexus/operator/plan/ownership.ts";

const labels = { "app.kubernetes.io/instance": "live", "nexus.dev/operator-id": "default" };
const identity = { ownerUid: "u1", labels };
const owner = (uid: string) => ({ apiVersion: "nexus.dev/v1alpha1", kind: "NexusCluster", name: "live", uid, controller: true });
const live = (metadata: object) => ({ apiVersion: "v1", kind: "Service", metadata: { name: "live-server", ...metadata } });
const ours = [{ manager: "nexus-operator", operation: "Apply" as const }];

describe("whose an object is", () => {
  test("its controller decides, whatever its labels are", () => {
    expect(foreignReason(live({ labels, ownerReferences: [owner("u1")] }), identity)).toBeUndefined();
    expect(foreignReason(live({ ownerReferences: [owner("u1")] }), identity)).toBeUndefined();
    expect(foreignReason(live({ labels, ownerReferences: [owner("u2")] }), identity)).toContain("another NexusCluster");
  });

  test("another operator's id on an object of the same cluster is another operator's object", () => {
    const theirs = { ...labels, "nexus.dev/operator-id": "blue" };
    expect(foreignReason(live({ labels: theirs, ownerReferences: [owner("u1")] }), identity)).toContain("another operator");
  });

  test("without controller it needs all our labels and our handwriting", () => {
    expect(foreignReason(live({ labels, managedFields: ours }), identity)).toBeUndefined();
    expect(foreignReason(live({ labels, managedFields: [{ manager: "kubectl", operation: "Update" }] }), identity)).toBeDefined();
    expect(foreignReason(live({ managedFields: ours }), identity)).toBeDefined();
  });
});

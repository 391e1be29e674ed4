// Why: what explain says is decided by plain values: which link is the cause, what a pod's status means, which Secrets a spec
// names, and that no reason is without advice.
import { describe, expect, test } from "bun:test";
import { ADVICE } from "@nexus/cli/explain/advice.ts";
import { brokerWords } from "@nexus/cli/explain/cluster.ts";
import { broken, chainText, fine, note } from "@nexus/cli/explain/links.ts";
import { podComplaint, type SeenPod } from "@nexus/cli/explain/pods.ts";
import { secretsIn } from "@nexus/cli/explain/secrets.ts";
import { objectNamed } from "@nexus/cli/kube/objects.ts";
import { ageOf, table } from "@nexus/cli/table.ts";
import { CONDITION_REASONS, type Condition, type ConditionReason } from "@nexus/protocol/resources/conditions.ts";
import { checkResource } from "@nexus/protocol/resources/schema.ts";

/** Nothing has to be done about these. */
const WELL: readonly string[] = [
  "AllReplicasReady",
  "Reconciled",
  "AsExpected",
  "NotRequested",
  "CredentialsFound",
  "PodsAcknowledged",
  "Available",
  "ScalingActive",
  "Scaled",
  "SessionsMoved",
];

describe("advice", () => {
  test.each(Object.keys(CONDITION_REASONS))("%s says what to do, or that nothing is wrong", (reason) => {
    const advice = new Map<string, string>(Object.entries(ADVICE)).get(reason);
    if (WELL.includes(reason)) expect(advice).toBe("");
    else expect(advice).toMatch(/^[A-Z].{20,}\.$/);
  });
});

describe("the chain", () => {
  test("the first broken link is the cause, what follows from it is not told twice", () => {
    const text = chainText(
      "Template shop/hello",
      [
        fine("Lease nexus-operator", "an operator leads"),
        broken("Secret shop/keys", "does not exist", "Create it."),
        { ...broken("Tenant shop/acme", "SecretNotFound: missing", "Create the Secret."), follows: true },
        broken("Template shop/hello", "InvalidSpec: spec.payload", "Correct it."),
        note("NexusCluster shop/live", "Drift", "Remove them."),
        note("NexusCluster shop/live", "Drift of another", "Remove them."),
      ],
      false,
    );
    expect(text).toContain("  BROKEN Secret shop/keys: does not exist");
    expect(text).toContain("First broken link: Secret shop/keys: does not exist\nWhat to do: Create it.");
    expect(text).toContain("Also: Template shop/hello: Correct it.");
    expect(text.split("Also: NexusCluster shop/live: Remove them.")).toHaveLength(2);
    expect(text).not.toContain("Create the Secret.");
  });

  test("ready, and not ready without a cause, are said", () => {
    expect(chainText("Tenant a/b", [fine("x", "y")], true)).toEndWith("Tenant a/b is Ready.");
    expect(chainText("Tenant a/b", [fine("x", "y")], false)).toContain("nothing it depends on looks broken");
  });
});

const pod = (status: SeenPod["status"], nodeName?: string): SeenPod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p" },
  spec: nodeName === undefined ? {} : { nodeName },
  ...(status ? { status } : {}),
});
const container = (fields: object) => ({ containerStatuses: [{ name: "server", ...fields }] });

test.each([
  [
    "no node fits",
    pod({ conditions: [{ type: "PodScheduled", status: "False", message: "0/3 nodes: cpu" }] }),
    "cannot be placed: 0/3 nodes: cpu",
  ],
  ["nobody schedules", pod({ phase: "Pending" }), "waits for a node"],
  [
    "an image",
    pod(container({ state: { waiting: { reason: "ImagePullBackOff", message: "Back-off\nx" } } }), "n"),
    "waits: ImagePullBackOff: Back-off",
  ],
  [
    "a crash",
    pod(
      container({
        state: { waiting: { reason: "CrashLoopBackOff" } },
        lastState: { terminated: { exitCode: 78, message: "NEXUS_X: bad\n" } },
      }),
      "n",
    ),
    "CrashLoopBackOff; it ended with 78: NEXUS_X: bad",
  ],
  ["a start", pod(container({ ready: false, state: { waiting: { reason: "ContainerCreating" } } }), "n"), "runs and is not ready yet"],
  ["an eviction", pod({ phase: "Failed", reason: "Evicted", message: "disk" }, "n"), "failed: Evicted disk"],
])("a pod that is not ready says why: %s", (_name, seen, says) => {
  const complaint = podComplaint(seen);
  expect(complaint?.says).toContain(says);
  expect(complaint?.todo).toMatch(/\.$/);
});

test("what the servers say of their broker is a link of its own, before the pods that wait for it", () => {
  const metadata = { name: "live", namespace: "shop" };
  const checked = checkResource({ apiVersion: "nexus.dev/v1alpha1", kind: "NexusCluster", metadata, spec: { redis: { mode: "None" } } });
  if (!checked.ok || checked.resource.kind !== "NexusCluster") throw new Error("the cluster is wrong");
  const common = { observedGeneration: 1, lastTransitionTime: "" };
  const ready: Condition = { type: "Ready", status: "True", reason: "AllReplicasReady", message: "", ...common };
  const said = (reason: ConditionReason) =>
    [
      {
        type: "RedisReady",
        status: "False",
        reason,
        message: "1/1 pods do not reach it: WRONGPASS",
        observedGeneration: 1,
        lastTransitionTime: "",
      },
    ] as const;
  const cluster = checked.resource;
  const links = brokerWords({ ...cluster, status: { conditions: [...said("RedisUnavailable")] } });
  expect(links).toEqual([broken("Redis of shop/live", "1/1 pods do not reach it: WRONGPASS", ADVICE.RedisUnavailable ?? "")]);
  expect(brokerWords({ ...cluster, status: { conditions: [...said("SecretNotFound")] } })).toEqual([]);
  const isUp = { ...cluster, metadata: { ...metadata, generation: 1 }, status: { conditions: [ready, ...said("RedisUnavailable")] } };
  expect(brokerWords(isUp)).toEqual([]);
  expect(brokerWords(cluster)).toEqual([]);
});

test("every Secret a spec names is found, wherever it stands", () => {
  const spec = {
    redis: { external: { passwordSecretRef: { name: "r", key: "password" }, tls: { clientSecretRef: { name: "c" } } } },
    auth: { issuers: [{ secretRef: { name: "i", key: "key" } }, { publicKeySecretRef: { name: "p", key: "pem" } }] },
  };
  expect(secretsIn(spec, "spec")).toEqual([
    { field: "spec.redis.external.passwordSecretRef", name: "r", keys: ["password"] },
    { field: "spec.redis.external.tls.clientSecretRef", name: "c", keys: ["tls.crt", "tls.key"] },
    { field: "spec.auth.issuers[0].secretRef", name: "i", keys: ["key"] },
    { field: "spec.auth.issuers[1].publicKeySecretRef", name: "p", keys: ["pem"] },
  ]);
});

test("an object is named as kubectl names it", () => {
  for (const word of ["nxt/acme", "tenant/acme", "tenants/acme", "Tenant/acme", "tenants.nexus.dev/acme"])
    expect(objectNamed([word])).toEqual({ kind: "Tenant", name: "acme" });
  expect(objectNamed(["nexuscluster", "live"])).toEqual({ kind: "NexusCluster", name: "live" });
  expect(() => objectNamed(["tenat/acme"])).toThrow("did you mean tenant?");
  expect(() => objectNamed(["tenant"])).toThrow("must be one object");
});

test("tables are as wide as their cells and ages as short as kubectl's", () => {
  expect(table(["A", "LONG"], [["wider", "x"]])).toBe("A       LONG\nwider   x");
  const now = Date.parse("2026-01-10T00:00:00Z");
  const ages = ["2026-01-09T23:59:30Z", "2026-01-09T23:00:00Z", "2026-01-09T12:00:00Z", "2026-01-01T00:00:00Z"].map((at) => ageOf(at, now));
  expect(ages).toEqual(["30s", "60m", "12h", "9d"]);
  expect(ageOf(undefined, now)).toBe("<unknown>");
});

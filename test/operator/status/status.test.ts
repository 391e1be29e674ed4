// Why: people and tools read conditions only: a reason that is wrong, a time that moves, or a True that is none misleads them all.
import { describe, expect, test } from "bun:test";
import { type AttachedState, templateStatus, tenantStatus } from "@nexus/operator/status/attached.ts";
import { type ClusterSeen, clusterStatus, rounded } from "@nexus/operator/status/cluster.ts";
import { conditions, few, judge } from "@nexus/operator/status/conditions.ts";
import { horizontalScaler, SCALING_NOT_REQUESTED } from "@nexus/operator/status/scaling.ts";
import { ACKNOWLEDGE_MS, type Acknowledgement, syncedJudgement } from "@nexus/operator/status/synced.ts";
import { CONDITION_REASONS, CONDITION_TYPES, type Condition } from "@nexus/protocol/resources/conditions.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { aCluster } from "../bundle/fixtures.ts";

const NOW = "2026-02-02T00:00:00Z";
const BEFORE = "2026-01-01T00:00:00Z";
const BOUNDS = { minReplicas: 2, maxReplicas: 10 };

const SEEN: ClusterSeen = {
  replicas: 1,
  readyReplicas: 1,
  selector: "a=b",
  wantedReplicas: 1,
  isDeploymentObserved: true,
  isRolloutStuck: false,
  podsRefused: undefined,
  bundle: { digest: "d", podsSynced: 1, podsTotal: 1 },
  lagging: [],
  bootCopy: "complete",
  version: "1",
  sessions: 0,
  redis: { kind: "notRequested" },
  brokers: { up: 0, down: [] },
  storage: undefined,
  scaling: SCALING_NOT_REQUESTED,
  monitoring: { status: "True", reason: "NotRequested", message: "not asked for" },
  isRolloutPaused: false,
  endpoints: [],
  exposure: undefined,
  missingSecrets: [],
  conflict: undefined,
  contested: [],
  foreign: [],
  repaired: [],
  notSupported: [],
  pendingRollout: undefined,
  error: undefined,
};

const statusOf = (seen: Partial<ClusterSeen>, options: { cluster?: NexusCluster; isPaused?: boolean; mayMove?: boolean } = {}) =>
  clusterStatus(
    options.cluster ?? aCluster({}, { generation: 3 }),
    { ...SEEN, ...seen },
    {
      now: NOW,
      isPaused: options.isPaused ?? false,
      mayMoveConnections: options.mayMove ?? true,
    },
  );
const short = (list: readonly Condition[] | undefined): Record<string, string> =>
  Object.fromEntries((list ?? []).map((one) => [one.type, `${one.status}/${one.reason}`]));

describe("conditions", () => {
  const previous: Condition[] = [
    { type: "Ready", status: "True", reason: "Reconciled", message: "", observedGeneration: 1, lastTransitionTime: BEFORE },
  ];
  const at = { previous, generation: 2, now: NOW };

  test("lastTransitionTime moves with status alone; reason, message and generation move freely", () => {
    expect(conditions([judge("Ready", "True", "AsExpected", "other words")], at)[0]).toMatchObject({
      lastTransitionTime: BEFORE,
      observedGeneration: 2,
      reason: "AsExpected",
    });
    expect(conditions([judge("Ready", "False", "ApiError", "")], at)[0]?.lastTransitionTime).toBe(NOW);
    expect(conditions([judge("Accepted", "True", "Reconciled", "")], at)[0]?.lastTransitionTime).toBe(NOW);
  });

  test("abnormal ones are there only while True; a long message is cut", () => {
    const judged = conditions(
      [judge("Stalled", "False", "InvalidSpec", ""), judge("Drift", "True", "ForeignFields", "x".repeat(5000))],
      at,
    );
    expect(judged.map((one) => one.type)).toEqual(["Drift"]);
    expect(judged[0]?.message.length).toBe(1024);
  });

  test("a list for people is short", () => {
    expect(few(["a", "b", "c"])).toBe("a, b, c");
    expect(few(["a", "b", "c", "d"])).toBe("a, b, c and 1 more");
  });
});

describe("a cluster", () => {
  test("that has all is Ready, with the six conditions that are always there", () => {
    expect(short(statusOf({}).conditions)).toEqual({
      Ready: "True/AllReplicasReady",
      Available: "True/AsExpected",
      RedisReady: "True/NotRequested",
      ConfigSynced: "True/PodsAcknowledged",
      AutoscalingActive: "True/NotRequested",
      MonitoringReady: "True/NotRequested",
    });
  });

  const cases: readonly [string, Partial<ClusterSeen>, Record<string, string>][] = [
    [
      "nothing seen yet",
      { isDeploymentObserved: false, readyReplicas: 0 },
      { Ready: "Unknown/NotObserved", Available: "Unknown/NotObserved" },
    ],
    [
      "an edit its controller has not seen",
      { isDeploymentObserved: false },
      { Ready: "Unknown/NotObserved", Available: "True/AsExpected" },
    ],
    [
      "no pod ready",
      { readyReplicas: 0 },
      { Ready: "False/ReplicasNotReady", Available: "False/ReplicasNotReady", Reconciling: "True/ReplicasNotReady" },
    ],
    [
      "scaled to zero",
      { wantedReplicas: 0, readyReplicas: 0, replicas: 0 },
      { Ready: "True/ScaledToZero", Available: "False/ScaledToZero" },
    ],
    ["a rollout that does not move", { isRolloutStuck: true }, { Ready: "False/RolloutStuck", Available: "True/AsExpected" }],
    ["no bundle", { bundle: undefined }, { ConfigSynced: "Unknown/NotObserved" }],
    [
      "a pod behind",
      { bundle: { digest: "d", podsSynced: 1, podsTotal: 2 }, lagging: [{ pod: "p", why: "no answer" }] },
      { Ready: "False/PodsNotAcknowledged", ConfigSynced: "False/PodsNotAcknowledged" },
    ],
    ["no pod to tell", { bundle: { digest: "d", podsSynced: 0, podsTotal: 0 } }, { ConfigSynced: "Unknown/NoReadyPods" }],
    ["a boot copy too small", { bootCopy: "incomplete" }, { Ready: "True/AllReplicasReady", ConfigSynced: "False/BootCopyIncomplete" }],
    [
      "a foreign child",
      { conflict: "Service x exists" },
      { Ready: "False/NameConflict", Stalled: "True/NameConflict", Available: "True/AsExpected" },
    ],
    ["a field for later", { notSupported: ["spec.tls"] }, { Ready: "False/NotSupported", Stalled: "True/NotSupported" }],
    [
      "a password that is not there",
      { redis: { kind: "refused", reason: "SecretNotFound", message: "missing: Secret r, key password" } },
      { Ready: "False/SecretNotFound", RedisReady: "False/SecretNotFound", Stalled: "True/SecretNotFound", Available: "True/AsExpected" },
    ],
    ["a broker nobody spoke of yet", { redis: { kind: "wired" } }, { RedisReady: "Unknown/Connecting" }],
    ["a broker that starts", { redis: { kind: "wired", starting: "0/1 ready" } }, { RedisReady: "False/Connecting" }],
    ["a broker all reach", { redis: { kind: "wired" }, brokers: { up: 2, down: [] } }, { RedisReady: "True/Available" }],
    [
      "a broker one does not reach",
      { redis: { kind: "wired" }, brokers: { up: 1, down: [{ pod: "p", why: "Redis does not answer" }] } },
      { RedisReady: "False/RedisUnavailable", Ready: "True/AllReplicasReady" },
    ],
    [
      "no address of PostgreSQL",
      { storage: { reason: "SecretNotFound", message: "missing: Secret pg, key url" } },
      { Ready: "False/SecretNotFound", Stalled: "True/SecretNotFound" },
    ],
    [
      "a scaler that cannot work",
      { scaling: horizontalScaler([{ type: "AbleToScale", status: "False", reason: "FailedGetScale", message: "no" }], BOUNDS) },
      { AutoscalingActive: "False/ScalerReports", Ready: "True/AllReplicasReady" },
    ],
    [
      "clients turned away during a rollout",
      { isRolloutPaused: true },
      { Ready: "False/RolloutPausedOnErrors", Available: "True/AsExpected", Reconciling: "True/RolloutPausedOnErrors" },
    ],
    ["a Secret missing", { missingSecrets: ["Secret x"] }, { Ready: "False/SecretNotFound", Stalled: "True/SecretNotFound" }],
    [
      "a kind missing",
      { exposure: { reason: "KindNotServed", message: "no HTTPRoute", isProgress: false } },
      { Ready: "False/KindNotServed", Stalled: "True/KindNotServed" },
    ],
    [
      "a certificate on its way",
      { exposure: { reason: "CertificatePending", message: "the order is pending", isProgress: true } },
      { Ready: "False/CertificatePending", Reconciling: "True/CertificatePending" },
    ],
    ["a refused request", { error: "forbidden" }, { Ready: "False/ApiError", Reconciling: "True/ApiError" }],
    ["a contest", { contested: ["spec.x (other)"] }, { Ready: "False/FieldContested" }],
    ["foreign fields", { foreign: ["env[name=A] (kubectl)"] }, { Ready: "True/AllReplicasReady", Drift: "True/ForeignFields" }],
  ];
  test.each(cases)("with %s", (_what, seen, expected) => {
    const said = short(statusOf(seen).conditions);
    expect(said).toMatchObject(expected);
    // kstatus: what only a user can mend is Stalled, what time mends is Reconciling, never both, and neither on a Ready object.
    expect("Stalled" in said && "Reconciling" in said).toBe(false);
    if (said.Ready?.startsWith("True")) expect("Stalled" in said || "Reconciling" in said).toBe(false);
    if (said.Ready?.startsWith("False")) expect("Stalled" in said || "Reconciling" in said).toBe(true);
  });

  test("says only words of the closed lists, each about its generation", () => {
    for (const [, seen] of cases) {
      for (const { type, reason, observedGeneration } of statusOf(seen).conditions ?? []) {
        expect(Object.keys(CONDITION_TYPES)).toContain(type);
        expect(Object.keys(CONDITION_REASONS)).toContain(reason);
        expect(observedGeneration).toBe(3);
      }
    }
  });

  test("a second look at the same world says the same bytes", () => {
    for (const [, seen] of cases) {
      const cluster = aCluster({}, { generation: 3 });
      const first = statusOf(seen, { cluster });
      const later = clusterStatus(
        { ...cluster, status: first },
        { ...SEEN, ...seen },
        { now: "2030-01-01T00:00:00Z", isPaused: false, mayMoveConnections: true },
      );
      expect(later).toEqual(first);
    }
  });

  test("connections have two digits and stay when they may not move", () => {
    expect([0, 7, 99, 104, 105, 12_345, 999_999].map(rounded)).toEqual([0, 7, 99, 100, 110, 12_000, 1_000_000]);
    const cluster = { ...aCluster(), status: { connections: 40 } };
    expect(statusOf({ sessions: 41 }, { cluster, mayMove: false }).connections).toBe(40);
    expect(statusOf({ sessions: 41 }, { cluster, mayMove: true }).connections).toBe(41);
  });

  test("that is paused says so beside the rest", () => {
    expect(short(statusOf({}, { isPaused: true }).conditions)).toMatchObject({
      Ready: "True/AllReplicasReady",
      Paused: "True/PausedByAnnotation",
    });
  });
});

describe("Synced", () => {
  const latched: Condition = {
    type: "Synced",
    status: "True",
    reason: "PodsAcknowledged",
    message: "m",
    observedGeneration: 4,
    lastTransitionTime: BEFORE,
  };
  const waiting = (sinceMs: number): Acknowledgement => ({ kind: "waiting", sinceMs, pods: ["p"] });
  const of = (acknowledgement: Acknowledgement, previous?: Condition, generation = 4) => {
    const { status, reason } = syncedJudgement({ acknowledgement, previous, generation, nowMs: 100_000 });
    return `${status}/${reason}`;
  };

  test("waits, complains after 30 s, and is True when all have it", () => {
    expect(of(waiting(100_000 - ACKNOWLEDGE_MS + 1))).toBe("Unknown/PushPending");
    expect(of(waiting(100_000 - ACKNOWLEDGE_MS))).toBe("False/PodsNotAcknowledged");
    expect(of({ kind: "all" })).toBe("True/PodsAcknowledged");
    expect(of({ kind: "nobody" })).toBe("False/NoReadyPods");
    expect(of({ kind: "rejected", reason: "r" })).toBe("False/PodsNotAcknowledged");
  });

  test("is a latch for its generation: pods that come later do not take it back, a refusal does, a new generation starts over", () => {
    expect(of(waiting(0), latched)).toBe("True/PodsAcknowledged");
    expect(of({ kind: "nobody" }, latched)).toBe("True/PodsAcknowledged");
    expect(of({ kind: "rejected", reason: "r" }, latched)).toBe("False/PodsNotAcknowledged");
    expect(of(waiting(99_000), latched, 5)).toBe("Unknown/PushPending");
  });
});

describe("a tenant or template", () => {
  const context = { previous: undefined, generation: 2, now: NOW, nowMs: 0 };
  const accepted = (more: object = {}): AttachedState => ({
    kind: "accepted",
    id: "acme",
    acknowledgement: { kind: "all" },
    missing: [],
    unusable: [],
    suspended: false,
    ...more,
  });
  const refused = (reason: "ReferenceNotPermitted" | "TenantNotAccepted" | "NameConflict" | "InvalidSpec"): AttachedState => ({
    kind: "refused",
    refused: { reason, message: "m" },
  });

  test("that is live is Ready, with its id", () => {
    const status = tenantStatus(accepted(), context, undefined);
    expect(status).toMatchObject({ tenantId: "acme", observedGeneration: 2 });
    expect(short(status.conditions)).toEqual({
      Ready: "True/Reconciled",
      Accepted: "True/Reconciled",
      CredentialsReady: "True/CredentialsFound",
      Synced: "True/PodsAcknowledged",
    });
    expect(templateStatus(accepted(), context, undefined)).toMatchObject({ templateId: "acme" });
  });

  test.each([
    ["ReferenceNotPermitted", "Reconciling"],
    ["TenantNotAccepted", "Reconciling"],
    ["NameConflict", "Stalled"],
    ["InvalidSpec", "Stalled"],
  ] as const)("refused for %s is %s", (reason, abnormal) => {
    for (const status of [tenantStatus(refused(reason), context, undefined), templateStatus(refused(reason), context, undefined)]) {
      expect(short(status.conditions)).toMatchObject({
        Ready: `False/${reason}`,
        Accepted: `False/${reason}`,
        [abnormal]: `True/${reason}`,
      });
    }
  });

  test("without a Secret is Stalled and names it, though the rest of it is live", () => {
    const { conditions: said } = tenantStatus(accepted({ missing: ["Secret jwt with key key"] }), context, undefined);
    expect(short(said)).toMatchObject({
      Ready: "False/SecretNotFound",
      CredentialsReady: "False/SecretNotFound",
      Stalled: "True/SecretNotFound",
      Accepted: "True/Reconciled",
      Synced: "True/PodsAcknowledged",
    });
    expect(said?.find((one) => one.type === "Stalled")?.message).toContain("Secret jwt");
  });

  test("that is paused keeps what was said of it, older generation and all", () => {
    const before = templateStatus(accepted(), context, undefined);
    const paused = templateStatus({ kind: "paused" }, { ...context, previous: before.conditions, generation: 3 }, before);
    expect(paused.observedGeneration).toBe(2);
    expect(short(paused.conditions)).toEqual({ ...short(before.conditions), Paused: "True/PausedByAnnotation" });
    const again = templateStatus(
      { kind: "paused" },
      { ...context, previous: paused.conditions, generation: 3, now: "2030-01-01T00:00:00Z" },
      paused,
    );
    expect(again).toEqual(paused);
    expect(short(tenantStatus({ kind: "paused" }, context, undefined).conditions)).toEqual({
      Ready: "Unknown/NotObserved",
      Paused: "True/PausedByAnnotation",
    });
  });
});

describe("what others changed", () => {
  const drift = (seen: Partial<ClusterSeen>, before?: { readonly reason: "FieldsPutBack" | "ForeignFields"; readonly at: string }) => {
    const previous = before && { type: "Drift" as const, status: "True" as const, message: "put back: x (y)", observedGeneration: 3 };
    const known = previous && [{ ...previous, reason: before.reason, lastTransitionTime: before.at }];
    const cluster = aCluster({}, { generation: 3 });
    const status = statusOf(seen, {
      cluster: known ? { ...cluster, status: { conditions: known } as NonNullable<NexusCluster["status"]> } : cluster,
    });
    return status.conditions?.find(({ type }) => type === "Drift");
  };

  test("a field that was put back is named with its writer, for ten minutes", () => {
    const told = drift({ repaired: ["Service live-server spec.type (kubectl-edit)"] });
    expect(told).toMatchObject({
      status: "True",
      reason: "FieldsPutBack",
      message: "put back: Service live-server spec.type (kubectl-edit)",
    });
    expect(drift({}, { reason: "FieldsPutBack", at: "2026-02-01T23:50:01Z" })?.message).toBe("put back: x (y)");
    expect(drift({}, { reason: "FieldsPutBack", at: "2026-02-01T23:50:00Z" })).toBeUndefined();
  });

  test("what is left alone is said while it is there, and no longer", () => {
    const both = drift({ foreign: ["spec.a (b)"], repaired: ["Service c spec.d (e)"] });
    expect(both).toMatchObject({ reason: "ForeignFields", message: "left alone: spec.a (b); put back: Service c spec.d (e)" });
    expect(drift({}, { reason: "ForeignFields", at: NOW })).toBeUndefined();
  });

  test("pods that admission does not let in are explained", () => {
    const status = statusOf({ readyReplicas: 0, podsRefused: "exceeded quota: few" });
    expect(status.conditions?.find(({ type }) => type === "Ready")?.message).toBe("0/1 ready; exceeded quota: few");
  });
});

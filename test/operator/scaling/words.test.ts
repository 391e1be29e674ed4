// Why: people look at one condition to learn why a fleet does not scale: it has to be the scaler's own word, and to stand still.
import { describe, expect, test } from "bun:test";
import { horizontalPodAutoscaler } from "@nexus/operator/desired/scaling/horizontal.ts";
import { kedaAutoscalerName, scaledObject } from "@nexus/operator/desired/scaling/keda.ts";
import { scaleRules, scaleTargets } from "@nexus/operator/desired/scaling/rules.ts";
import { horizontalScaler, kedaScaler, ownScaler, previousScaling, wasScaled } from "@nexus/operator/status/scaling.ts";
import type { Condition } from "@nexus/protocol/resources/conditions.ts";
import { aCluster } from "../bundle/fixtures.ts";
import { CONTEXT } from "../desired/fixtures.ts";

const BOUNDS = { minReplicas: 2, maxReplicas: 10 };
const said = (type: string, status: string, reason = "Because", message = "words") => ({ type, status, reason, message });

describe("a HorizontalPodAutoscaler", () => {
  const well = [said("AbleToScale", "True"), said("ScalingActive", "True"), said("ScalingLimited", "False")];
  test.each([
    ["before its controller looked", undefined, "Unknown", "NotObserved"],
    ["well", well, "True", "ScalingActive"],
    ["at a bound", [...well.slice(0, 2), said("ScalingLimited", "True", "TooManyReplicas")], "True", "ScalingLimited"],
    ["without a metric", [said("AbleToScale", "True"), said("ScalingActive", "False", "FailedGetPodsMetric")], "False", "ScalerReports"],
    ["without its target", [said("AbleToScale", "False", "FailedGetScale")], "False", "ScalerReports"],
  ] as const)("%s", (_what, conditions, status, reason) => {
    expect(horizontalScaler(conditions, BOUNDS)).toMatchObject({ status, reason });
  });

  test("is quoted with condition, reason and message", () => {
    const failing = [said("AbleToScale", "True"), said("ScalingActive", "False", "FailedGetResourceMetric", "no metrics known")];
    expect(horizontalScaler(failing, BOUNDS).message).toBe("ScalingActive: FailedGetResourceMetric: no metrics known");
  });
});

describe("a ScaledObject", () => {
  test.each([
    ["before KEDA looked", undefined, "Unknown", "NotObserved"],
    ["that KEDA does not know yet", [said("Ready", "Unknown")], "Unknown", "NotObserved"],
    ["well, with load or without", [said("Ready", "True"), said("Active", "False")], "True", "ScalingActive"],
    ["refused", [said("Ready", "False", "ScaledObjectCheckFailed")], "False", "ScalerReports"],
    ["in fallback", [said("Ready", "True"), said("Fallback", "True", "FallbackExists")], "False", "ScalerReports"],
    ["paused by somebody", [said("Ready", "True"), said("Paused", "True")], "False", "ScalerReports"],
  ] as const)("%s", (_what, conditions, status, reason) => {
    expect(kedaScaler(conditions, BOUNDS)).toMatchObject({ status, reason });
  });
});

test("our own scaler says when it is blind or at its limit", () => {
  expect(ownScaler(BOUNDS, { isBlind: true, limit: "max" })).toMatchObject({ status: "False", reason: "MetricsUnavailable" });
  expect(ownScaler(BOUNDS, { isBlind: false, limit: "max" })).toMatchObject({ status: "True", reason: "ScalingLimited" });
  expect(ownScaler(BOUNDS, { isBlind: false, limit: "min" })).toMatchObject({ status: "True", reason: "ScalingActive" });
});

test("that somebody scaled is read from the last status", () => {
  const condition = (reason: Condition["reason"]): Condition[] => [
    { type: "AutoscalingActive", status: "True", reason, message: "m", observedGeneration: 1, lastTransitionTime: "t" },
  ];
  expect([wasScaled(undefined), wasScaled([]), wasScaled(condition("NotRequested")), wasScaled(condition("ScalingActive"))]).toEqual(
    [false, false, false, true], // also before anybody looked, nobody scaled
  );
  expect(previousScaling(condition("ScalingLimited"))).toEqual({ status: "True", reason: "ScalingLimited", message: "m" });
});

describe("what is rendered", () => {
  const cluster = (change: object = {}, pods: object = {}) =>
    aCluster({
      redis: { mode: "External", external: { addresses: ["r:6379"] } },
      autoscaling: { provider: "HPA", maxReplicas: 9, ...change },
      pods,
    });
  const of = ({ spec: { autoscaling } }: ReturnType<typeof cluster>) => {
    if (!autoscaling) throw new Error("no autoscaling");
    return autoscaling;
  };
  const requests = { resources: { requests: { cpu: "500m", memory: "1Gi" } } };

  test("CPU and memory are asked about only where the pods request some", () => {
    const names = (one: ReturnType<typeof cluster>) =>
      horizontalPodAutoscaler(one, of(one), CONTEXT).spec.metrics.map((metric) =>
        "resource" in metric ? metric.resource.name : metric.pods.metric.name,
      );
    expect(names(cluster())).toEqual(["nexus_sessions"]);
    expect(names(cluster({ targets: { messagesPerSecondPerPod: 5 } }, requests))).toEqual([
      "nexus_sessions",
      "nexus_deliveries_per_second",
      "cpu",
      "memory",
    ]);
    const bare = cluster();
    const amount = (text: string | number) => ({ "500m": 0.5, "1Gi": 1024 ** 3 })[text];
    expect(scaleTargets(bare, of(bare), amount)).toEqual({ sessions: 10_000 });
    const full = cluster({ targets: { cpuPercent: 50, memoryPercent: 75 } }, requests);
    expect(scaleTargets(full, of(full), amount)).toEqual({ sessions: 10_000, cpuCores: 0.25, memoryBytes: 0.75 * 1024 ** 3 });
  });

  test("KEDA is told to keep the size only where its release can", () => {
    const one = cluster({ provider: "KEDA", prometheus: { serverAddress: "http://p" } });
    expect(scaledObject(one, of(one), { ...CONTEXT, canKeepSize: true }).spec).toHaveProperty(
      "fallback.behavior",
      "currentReplicasIfHigher",
    );
    expect(scaledObject(one, of(one), { ...CONTEXT, canKeepSize: false }).spec).not.toHaveProperty("fallback");
    expect(scaledObject(one, of(one), { ...CONTEXT, canKeepSize: true }).spec.advanced.restoreToOriginalReplicaCount).toBe(false);
    expect(kedaAutoscalerName("live")).toBe("keda-hpa-live-server");
  });

  test("KEDA's queries are about the pods of this fleet alone", () => {
    const one = cluster({ provider: "KEDA", prometheus: { serverAddress: "http://p" } });
    const [sessions] = scaledObject(one, of(one), { ...CONTEXT, canKeepSize: true }).spec.triggers;
    const text = sessions && "query" in sessions.metadata ? String(sessions.metadata.query) : "";
    const pods = new RegExp(`^(?:${/pod=~"([^"]+)"/.exec(text)?.[1]})$`); // Prometheus matches whole values
    expect(pods.test("live-server-5d9f7c6b8d-x2x4z")).toBe(true);
    expect(pods.test("live-server-b-server-5d9f7c6b8d-x2x4z")).toBe(false); // cluster "live-server-b"
    expect(pods.test("alive-server-5d9f7c6b8d-x2x4z")).toBe(false);
    expect(text).toContain('namespace="prod"');
  });

  test("times of the rules are milliseconds", () => {
    const one = cluster({ provider: "Nexus" });
    expect(scaleRules(of(one))).toEqual({
      ...{ minReplicas: 2, maxReplicas: 9 },
      up: { stabilizationMs: 0, podsPerStep: 4, stepMs: 15_000 },
      down: { stabilizationMs: 600_000, podsPerStep: 1, stepMs: 60_000 },
    });
  });
});

// Why: somebody who misses a graph or an alert looks at this condition first; it must name what is there, what is not, and why.
import { describe, expect, test } from "bun:test";
import { type MonitoringPart, monitoringReady, monitoringSeen, previousMonitoring } from "@nexus/operator/status/monitoring.ts";

const part = (what: string, state: MonitoringPart["state"]): MonitoringPart => ({ what, state });
const there = (what: string) => part(what, { kind: "there" });
const absent = (what: string) => part(what, { kind: "absent" });
const disabled = (what: string) => part(what, { kind: "disabled" });

describe("MonitoringReady", () => {
  test("names what was made", () => {
    expect(monitoringSeen([there("PodMonitor"), there("PrometheusRule"), there("dashboards")])).toEqual({
      ...{ status: "True", reason: "Reconciled", message: "made: PodMonitor, PrometheusRule and dashboards" },
    });
  });

  test("is True without kinds, because Auto asks for what can be had, and says so", () => {
    const seen = monitoringSeen([absent("PodMonitor"), absent("PrometheusRule"), absent("dashboards")]);
    expect(seen).toMatchObject({ status: "True", reason: "KindsAbsent" });
    expect(seen.message).toStartWith("PodMonitor, PrometheusRule and dashboards: not made");
    expect(monitoringSeen([there("PodMonitor"), absent("PrometheusRule")]).message).toBe(
      "made: PodMonitor; PrometheusRule: not made, because this cluster does not serve the kinds of prometheus-operator",
    );
  });

  test("says that nothing was asked for", () => {
    expect(monitoringSeen([disabled("PodMonitor"), disabled("PrometheusRule")])).toMatchObject({ status: "True", reason: "NotRequested" });
  });

  test("is False with the API server's words, all of them, before anything else", () => {
    const refused = (what: string, message: string) => part(what, { kind: "refused", reason: "ApiError", message });
    const parts = [
      there("PodMonitor"),
      refused("PrometheusRule", "denied"),
      part("x", { kind: "waits", message: "m" }),
      refused("dashboards", "too large"),
    ];
    expect(monitoringSeen(parts)).toEqual({
      status: "False",
      reason: "ApiError",
      message: "PrometheusRule: denied; dashboards: too large",
    });
    expect(monitoringSeen([there("PodMonitor"), part("dashboards", { kind: "waits", message: "is going" })])).toEqual({
      ...{ status: "False", reason: "Progressing", message: "dashboards: is going" },
    });
  });

  test("keeps its last word while a pass cannot look", () => {
    const last = { status: "False", reason: "ApiError", message: "m" } as const;
    const condition = { type: "MonitoringReady", ...last, observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z" } as const;
    expect(previousMonitoring([condition])).toEqual(last);
    expect(monitoringReady(previousMonitoring(undefined))).toMatchObject({ status: "Unknown", reason: "NotObserved" });
  });
});

// Why: what the status says of the objects for Prometheus and Grafana. A fleet serves without them: they are never a reason not to
// be Ready. Pure.
import type { Condition, ConditionReason } from "@nexus/protocol/resources/conditions.ts";
import { type Judgement, judge } from "./conditions.ts";

/** How one kind of object fares. `absent`: Auto asks for it, and nobody serves its kind. */
export type MonitoringPart = {
  /** `PodMonitor`, `PrometheusRule`, `dashboards`. */
  readonly what: string;
  readonly state:
    | { readonly kind: "there" | "disabled" | "absent" }
    | { readonly kind: "waits"; readonly message: string }
    | { readonly kind: "refused"; readonly reason: ConditionReason; readonly message: string };
};

export type MonitoringSeen = { readonly status: Condition["status"]; readonly reason: ConditionReason; readonly message: string };

/** `MonitoringReady`. */
export const monitoringReady = (seen: MonitoringSeen | undefined): Judgement =>
  seen
    ? judge("MonitoringReady", seen.status, seen.reason, seen.message)
    : judge("MonitoringReady", "Unknown", "NotObserved", "not looked at yet");

/** The verdict of the last status, for who has nothing newer to say. */
export function previousMonitoring(conditions: readonly Condition[] | undefined): MonitoringSeen | undefined {
  const last = conditions?.find(({ type }) => type === "MonitoringReady");
  return last && { status: last.status, reason: last.reason, message: last.message };
}

const join = (words: readonly string[]): string => words.join(", ").replace(/, ([^,]*)$/, " and $1");
const namesOf = (parts: readonly MonitoringPart[], kind: MonitoringPart["state"]["kind"]): readonly string[] =>
  parts.filter(({ state }) => state.kind === kind).map(({ what }) => what);

/** All parts in one verdict: what is refused first, then what is on its way, then what there is. */
export function monitoringSeen(parts: readonly MonitoringPart[]): MonitoringSeen {
  const refused = parts.flatMap(({ what, state }) => (state.kind === "refused" ? [{ what, ...state }] : []));
  const [first] = refused;
  if (first)
    return { status: "False", reason: first.reason, message: refused.map(({ what, message }) => `${what}: ${message}`).join("; ") };
  const waiting = parts.flatMap(({ what, state }) => (state.kind === "waits" ? [`${what}: ${state.message}`] : []));
  if (waiting.length > 0) return { status: "False", reason: "Progressing", message: waiting.join("; ") };
  const [there, absent] = [namesOf(parts, "there"), namesOf(parts, "absent")];
  const missing = `${join(absent)}: not made, because this cluster does not serve the kinds of prometheus-operator`;
  if (there.length > 0)
    return { status: "True", reason: "Reconciled", message: `made: ${join(there)}${absent.length > 0 ? `; ${missing}` : ""}` };
  if (absent.length > 0) return { status: "True", reason: "KindsAbsent", message: missing };
  return { status: "True", reason: "NotRequested", message: "not asked for" };
}

// Why: objects for Prometheus and Grafana, where somebody installed prometheus-operator. People are served without them: whatever
// goes wrong here is told in its own condition, and never keeps a fleet from anything.
import { dashboardsConfigMap } from "../../desired/monitoring/dashboards.ts";
import { podMonitor } from "../../desired/monitoring/pod-monitor.ts";
import { prometheusRule } from "../../desired/monitoring/prometheus-rule.ts";
import { childNames } from "../../desired/names.ts";
import { type MonitoringPart, type MonitoringSeen, monitoringSeen } from "../../status/monitoring.ts";
import { KINDS, type Kind, OPTIONAL_KINDS } from "../kinds.ts";
import { isNamespaceTerminating, KubeError } from "../kube-error.ts";
import type { ChildOutcome } from "../ports.ts";
import type { Render } from "./renderings.ts";
import type { FleetWork } from "./work.ts";

/** What a person has to mend is looked at again so late. */
const AGAIN_MS = 60_000;

const SPARE = { isSpare: true } as const;

type State = MonitoringPart["state"];
type Wish = { readonly kind: Kind; readonly name: string; readonly isWanted: boolean; readonly isServed: boolean };

/** Rejects with `KubeError` only for what may go well when it is tried again. */
export async function reconcileMonitoring(work: FleetWork): Promise<MonitoringSeen> {
  const { cluster, deps } = work;
  const { monitoring } = cluster.spec;
  const { server, dashboards } = childNames(cluster.metadata.name);
  const { PodMonitor, PrometheusRule } = OPTIONAL_KINDS;
  // Auto waits for its kinds without asking: whoever misses them would make every fleet look every few seconds.
  const serves = (kind: Kind) => deps.capabilities.has(kind);
  const monitor = { kind: PodMonitor, name: server, isWanted: monitoring.podMonitor === "Auto", isServed: serves(PodMonitor) };
  const rules = { kind: PrometheusRule, name: server, isWanted: monitoring.rules === "Auto", isServed: serves(PrometheusRule) };
  const isShown = monitoring.dashboard === "Auto" && monitor.isWanted;
  const boards = { kind: KINDS.ConfigMap, name: dashboards, isWanted: isShown, isServed: monitor.isServed };
  const kept = (kind: Kind, render: Render) => () =>
    work.leanChild(kind, deps.renderings.of(kind, { cluster, context: deps.context }, render), SPARE);
  const scrape = () => work.child(PodMonitor, podMonitor(cluster, deps.context), SPARE);
  return monitoringSeen([
    { what: "PodMonitor", state: await bring(work, monitor, scrape) },
    { what: "PrometheusRule", state: await bring(work, rules, kept(PrometheusRule, prometheusRule)) },
    { what: "dashboards", state: await bring(work, boards, kept(KINDS.ConfigMap, dashboardsConfigMap)) },
  ]);
}

/** What there is of a kind that is not served (any more) stays as it is. */
async function bring(work: FleetWork, wish: Wish, apply: () => Promise<ChildOutcome>): Promise<State> {
  try {
    if (!wish.isWanted) {
      await work.remove(wish.kind, wish.name);
      return { kind: "disabled" };
    }
    return wish.isServed ? stateOf(await apply(), work, wish.name) : { kind: "absent" };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    work.again(AGAIN_MS);
    return { kind: "refused", reason: "ApiError", message: error.message };
  }
}

function stateOf(outcome: ChildOutcome, work: FleetWork, name: string): State {
  switch (outcome.kind) {
    case "inSync":
    case "created":
    case "applied":
    case "unchanged":
      return { kind: "there" };
    case "terminating":
    case "stale":
      return { kind: "waits", message: `${name} is being deleted or changed by others` };
    case "nameConflict":
      work.again(AGAIN_MS);
      return { kind: "refused", reason: "NameConflict", message: outcome.message };
    case "contested":
      return {
        ...{ kind: "refused", reason: "FieldContested" },
        message: `another controller keeps writing ${outcome.drift.map(({ path }) => path).join(", ")}`,
      };
    default:
      return outcome satisfies never;
  }
}

/** An answer that stays the same until somebody changes something: a policy, a missing right, a webhook that dislikes it. */
const isRefusal = (error: unknown): error is KubeError =>
  error instanceof KubeError && [400, 403, 404, 405, 413, 422].includes(error.status) && !isNamespaceTerminating(error);

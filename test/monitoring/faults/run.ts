// Why: all faults happen side by side, each to a fleet of its own, under one Prometheus that scrapes what the operator's PodMonitors
// name and evaluates the operator's PrometheusRules and the chart's rules. It must never judge: it tells what fired, and when.
import { operatorRules } from "@nexus/operator/desired/monitoring/rules/operator.ts";
import { type RenderedGroup, renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import { eventually } from "../../support/eventually.ts";
import { installPublished, MONITORING } from "../../support/kube/published-crds.ts";
import { type Fired, watchAlerts } from "../../support/monitoring/alert-log.ts";
import { discover } from "../../support/monitoring/discovery.ts";
import { startPrometheus } from "../../support/monitoring/prometheus.ts";
import { startStage } from "../../support/operator.ts";
import type { Fault } from "./fault.ts";
import { isOf } from "./judge.ts";
import { otherRelease, runOperator } from "./operators.ts";
import { openFleet } from "./place.ts";
import type { Report } from "./report.ts";

/** Scrapes and evaluations; those of people are 30 s, and what pages promise is for these. */
const PACE_SECONDS = 2;
/** Of every target, before anything happens. */
const QUIET_SCRAPES = 12;

/** `promised`: seconds within which a fault's alert must fire. Takes about six minutes, most of them waiting. */
export async function provoke(faults: readonly Fault[], promised: (alert: string) => number): Promise<Report> {
  await using stack = new AsyncDisposableStack();
  const stage = stack.use(await startStage());
  await installPublished(stage.plane, "newest", MONITORING);
  const other = await otherRelease(stage, "other-release");
  const operator = stack.use(await runOperator(stage, "nexus-system"));
  const rival = stack.use(await runOperator(stage, other.namespace, { "--namespace": other.namespace, "--id": "other" }));
  const fleets = new Map<Fault, Awaited<ReturnType<typeof openFleet>>>();
  for (const fault of faults) if (fault.on === "fleet") fleets.set(fault, stack.use(await openFleet(stage, fault.namespace, fault.fleet)));
  const { targets, groups } = await discover(stage);
  const prometheus = stack.use(
    await startPrometheus({
      targets: [...targets, operator.target, rival.target],
      groups: [...groups, ...[operator, rival].flatMap(({ job }) => named(job, renderGroups(operatorRules({ job }))))],
      ...{ scrapeSeconds: PACE_SECONDS, evaluationSeconds: PACE_SECONDS },
    }),
  );
  await prometheus.everyTargetUp(60_000);
  const log = stack.use(watchAlerts(prometheus));
  const scrapes = async () => (await prometheus.query("min(count_over_time(up[1m]))")).at(0)?.value ?? 0;
  await eventually("all was well for a while", async () => (await scrapes()) >= QUIET_SCRAPES, { timeoutMs: 60_000, intervalMs: 500 });
  const before = [...log.fired];

  const begun = performance.now();
  const ends = await Promise.all(
    faults.map(async (fault) => {
      const fleet = fleets.get(fault);
      if (fault.on === "operator") return await fault.begin(other);
      return fleet && (await fault.begin(fleet));
    }),
  );
  const isOwn = (fault: Fault) => (one: Fired) => one.name === fault.alert && isOf(fault, one, rival.job) && one.firedAt >= begun;
  const alerts = await Promise.all(
    faults.map(async (fault) => {
      const found = await Promise.allSettled([log.firing(isOwn(fault), promised(fault.alert) * 1000)]);
      return found[0].status === "fulfilled" ? found[0].value : undefined;
    }),
  );
  const endedAt = performance.now();
  await Promise.all(ends.map((end) => end?.()));
  const most = Math.max(...faults.map(({ resolvesWithinSeconds = 0 }) => resolvesWithinSeconds));
  const isOver = () =>
    alerts.every((alert, index) => !alert || alert.goneAt !== undefined || faults[index]?.resolvesWithinSeconds === undefined);
  await Promise.allSettled([eventually("what ends soon is over", isOver, { timeoutMs: most * 1000, intervalMs: 250 })]);
  const seconds = (from: number, to: number | undefined) => (to === undefined ? undefined : Math.max(0, (to - from) / 1000));
  return {
    before,
    otherJob: rival.job,
    fired: log.fired.slice(before.length),
    accounts: faults.map((fault, index) => ({
      ...{ fault, promised: promised(fault.alert), alert: alerts[index] },
      firedAfter: seconds(begun, alerts[index]?.firedAt),
      resolvedAfter: seconds(endedAt, alerts[index]?.goneAt),
    })),
  };
}

const named = (job: string, groups: readonly RenderedGroup[]): readonly RenderedGroup[] =>
  groups.map((group) => ({ ...group, name: `${job}/${group.name}` }));

// Why: what a fleet promises (spec.monitoring.slo), and alerts on how fast it uses up the errors that the promise allows. Two windows
// have to agree, so that an alert neither sleeps through an outage nor rings for one that is over. Ratios are of sums, never
// means of ratios; where nothing happens there is no ratio, and so no alert. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Alert, Recording, RuleGroup, Severity } from "./model.ts";
import { decimal, FLEET, perSecond, type Series, WHERE } from "./series.ts";

/** Of the recording rules, so that a sum of their samples times this is a count. */
const INTERVAL_SECONDS = 30;

/** Shortest window: the rates that all others are made of. */
const BASE = "5m";
const WINDOWS = ["30m", "1h", "2h", "6h", "1d", "3d"] as const;

/** Fewer errors than this in the long window wake nobody, whatever their share is. */
export const MINIMUM_ERRORS = 20;

/** Share of notifications that must be faster than `slo.latencyMilliseconds`. */
export const LATENCY_OBJECTIVE = 0.99;

/** No budget is so large that an outage of everything goes unseen. */
const WORST_RATIO = 0.95;

/** Bounds of `nexus_delivery_latency_seconds`; a test compares them with the servers' table. */
export const LATENCY_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

type Burn = {
  readonly suffix: string;
  /** How many times faster than allowed. */
  readonly factor: number;
  readonly long: string;
  readonly short: string;
  readonly forSeconds: number;
  readonly severity: Severity;
};

/** 14.4 uses 2 % of a month's budget in an hour, 6 5 % in six hours, 1 10 % in three days. */
export const BURNS: readonly Burn[] = [
  { suffix: "BurnsFast", factor: 14.4, long: "1h", short: "5m", forSeconds: 120, severity: "critical" },
  { suffix: "Burns", factor: 6, long: "6h", short: "30m", forSeconds: 900, severity: "critical" },
  { suffix: "BurnsSlowly", factor: 1, long: "3d", short: "6h", forSeconds: 3600, severity: "warning" },
];

type Promise = {
  /** Start of the alerts' names. */
  readonly alerts: string;
  /** `slo` label of `nexus:objective:ratio`. */
  readonly slo: string;
  /** Recorded: `<errors>:rate5m`, `<errors>:ratio_rate<window>`, `<all>:rate5m`. */
  readonly errors: string;
  readonly all: string;
  readonly objective: number;
  /** What happened, and what of it was bad; a second, by cluster. */
  readonly allRate: string;
  readonly errorRate: string;
  /** "Of the deliveries", and what is bad about them, for texts. */
  readonly summary: string;
  readonly bad: string;
  readonly hurts: string;
};

/** `"99.9"` as a share. */
export const objectiveOf = (percent: string): number => Number(decimal(Number(percent) / 100));

/** The largest bound not above the objective; the smallest one for objectives below it. Seconds. */
export function latencyBound(milliseconds: number): number {
  const below = LATENCY_BOUNDS.filter((bound) => bound * 1000 <= milliseconds);
  return below.at(-1) ?? LATENCY_BOUNDS[0];
}

/** Prometheus 3 stores `le="1"` as `le="1.0"`. */
export const leMatcher = (bound: number): string => (Number.isInteger(bound) ? `le=~"${bound}|${bound}[.]0"` : `le="${bound}"`);

function promises(cluster: NexusCluster, of: Series): readonly Promise[] {
  const { deliveryPercent, latencyMilliseconds } = cluster.spec.monitoring.slo;
  const objective = objectiveOf(deliveryPercent);
  const bound = latencyBound(latencyMilliseconds);
  const dropped = `rate(${of("nexus_dropped_total", 'reason="slow_consumer"')}[${BASE}])`;
  const failed = `rate(${of("nexus_publishes_total", 'outcome="failed"')}[${BASE}])`;
  const delivered = `rate(${of("nexus_deliveries_total")}[${BASE}])`;
  const timed = perSecond(FLEET, of("nexus_delivery_latency_seconds_count"), BASE);
  return [
    {
      alerts: "NexusDeliveryBudget",
      slo: "delivery",
      errors: "nexus:delivery_errors",
      all: "nexus:deliveries",
      objective,
      // `or` keeps every series: their labels differ. One that does not exist yet takes nothing away from the others.
      allRate: `sum by (${FLEET}) (${delivered} or ${dropped} or ${failed})`,
      errorRate: `sum by (${FLEET}) (${dropped} or ${failed})`,
      summary: "loses notifications",
      bad: "of its deliveries were dropped for slow readers or refused because publishing failed",
      hurts: "People miss notifications, or see them late after a reconnect.",
    },
    {
      alerts: "NexusLatencyBudget",
      slo: "latency",
      errors: "nexus:delivery_slow",
      all: "nexus:deliveries_timed",
      objective: LATENCY_OBJECTIVE,
      allRate: timed,
      errorRate: `${timed} - ${perSecond(FLEET, of("nexus_delivery_latency_seconds_bucket", leMatcher(bound)), BASE)}`,
      summary: "delivers late",
      bad: `of its notifications took more than ${bound * 1000} ms from publish to the connection`,
      hurts: "People see late what should reach them at once.",
    },
    {
      alerts: "NexusHandshakeBudget",
      slo: "handshakes",
      errors: "nexus:handshake_errors",
      all: "nexus:handshakes",
      objective,
      allRate: perSecond(FLEET, of("nexus_handshakes_total", 'outcome=~"accepted|failed"'), BASE),
      errorRate: perSecond(FLEET, of("nexus_handshakes_total", 'outcome="failed"'), BASE),
      summary: "turns people away",
      bad: "of the attempts to connect failed by the fleet's fault",
      hurts: "People cannot connect, and hear nothing until they can.",
    },
  ];
}

function recordings({ errors, all, allRate, errorRate }: Promise, of: Series): readonly Recording[] {
  const ratio = (part: string, whole: string) => `${part} / (${whole} > 0)`;
  return [
    { record: `${all}:rate${BASE}`, expr: allRate },
    // A counter that never rose is no series yet: no errors.
    { record: `${errors}:rate${BASE}`, expr: `(${errorRate}) or 0 * ${of(`${all}:rate${BASE}`)}` },
    { record: `${errors}:ratio_rate${BASE}`, expr: ratio(of(`${errors}:rate${BASE}`), of(`${all}:rate${BASE}`)) },
    ...WINDOWS.map((window) => ({
      record: `${errors}:ratio_rate${window}`,
      expr: ratio(`avg_over_time(${of(`${errors}:rate${BASE}`)}[${window}])`, `avg_over_time(${of(`${all}:rate${BASE}`)}[${window}])`),
    })),
  ];
}

/** From which share of errors on; never so high that nothing could reach it. */
export function burnThreshold(objective: number, factor: number): number {
  const budget = 1 - objective;
  return Number(decimal(Math.max(budget, Math.min(factor * budget, WORST_RATIO))));
}

const percent = (share: number): string => `${decimal(share * 100)} %`;

/** Until nothing is left of the errors that 30 days may hold. */
const daysLeft = (objective: number, threshold: number): string => decimal(Math.round((300 * (1 - objective)) / threshold) / 10);

const alertsOf = (promise: Promise, of: Series): readonly Alert[] =>
  BURNS.map(({ suffix, factor, long, short, forSeconds, severity }) => {
    const threshold = burnThreshold(promise.objective, factor);
    const over = (window: string) => `${of(`${promise.errors}:ratio_rate${window}`)} > ${decimal(threshold)}`;
    const count = `sum_over_time(${of(`${promise.errors}:rate${BASE}`)}[${long}]) * ${INTERVAL_SECONDS}`;
    return {
      name: `${promise.alerts}${suffix}`,
      expr: `${over(long)} and ${over(short)} and ${count} >= ${MINIMUM_ERRORS}`,
      forSeconds,
      severity,
      labels: { slo: promise.slo, long, short },
      summary: `${WHERE} ${promise.summary}: {{ $value | humanizePercentage }} in ${long}`,
      description: `In the last ${long} {{ $value | humanizePercentage }} ${promise.bad}; promised are at most ${percent(1 - promise.objective)}, and at ${percent(threshold)} what 30 days may hold is gone in ${daysLeft(promise.objective, threshold)} days. It goes on: the last ${short} say the same. ${promise.hurts}`,
    };
  });

/** Recording rules and burn rates of one cluster. */
export function sloGroups(cluster: NexusCluster, of: Series): readonly RuleGroup[] {
  const all = promises(cluster, of);
  const labels = { namespace: cluster.metadata.namespace ?? "default", nexus_cluster: cluster.metadata.name };
  const objectives = all.map(({ slo, objective }) => ({
    record: "nexus:objective:ratio",
    expr: `vector(${decimal(objective)})`,
    labels: { ...labels, slo },
  }));
  return [
    {
      name: "nexus-slo-recordings",
      intervalSeconds: INTERVAL_SECONDS,
      rules: [...objectives, ...all.flatMap((promise) => recordings(promise, of))],
    },
    { name: "nexus-slo", rules: all.flatMap((promise) => alertsOf(promise, of)) },
  ];
}

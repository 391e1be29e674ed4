// Why: all fleets of a Prometheus on one page: which one needs somebody, and whether it is one or all of them. It knows no custom
// resource, so objectives come from the recording rules. Pure.
import type { Dashboard, Panel, Row } from "../model.ts";
import { perSecond, quantile, share } from "../promql.ts";
import { TAG } from "../scope.ts";
import { burnRate, FAST, objectives, SLOW } from "../slo.ts";

const FLEET = "namespace, nexus_cluster";
const LEGEND = "{{namespace}}/{{nexus_cluster}}";
const of = (metric: string, more = ""): string =>
  `${metric}{namespace=~"$namespace",nexus_cluster=~"$nexus_cluster"${more === "" ? "" : `,${more}`}}`;
/** As the operator labels them: its own namespace is another one. */
const told = (metric: string, more = ""): string =>
  `${metric}{nexus_namespace=~"$namespace",nexus_cluster=~"$nexus_cluster"${more === "" ? "" : `,${more}`}}`;

/** Of the servers, and of what the operator says about a fleet, under the fleet's own labels. */
const firing = (severity: string): string => {
  const more = `alertstate="firing",severity="${severity}"`;
  return `(${of("ALERTS", more)} or label_replace(${told("ALERTS", more)}, "namespace", "$1", "nexus_namespace", "(.+)"))`;
};
/** Every fleet has a line, also one without such an alert. */
const orNone = (expr: string): string => `${expr} or 0 * count by (${FLEET}) (${of("up")})`;

const stat = (panel: Omit<Extract<Panel, { kind: "stat" }>, "kind" | "width">): Panel => ({ ...panel, kind: "stat", width: 4 });
const line = (panel: Omit<Extract<Panel, { kind: "timeseries" }>, "kind" | "width">, width = 8): Panel => ({
  ...panel,
  kind: "timeseries",
  width,
});

const WELL = { 1: { text: "yes", color: "green" }, 0: { text: "no", color: "red" }, [-1]: { text: "unknown", color: "yellow" } } as const;
const UNWELL = { 1: { text: "yes", color: "red" }, 0: { text: "no", color: "green" }, [-1]: { text: "unknown", color: "yellow" } } as const;

// A fleet's page has its own uid, so the way there is a search.
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in
const TO_FLEET = { title: "Dashboards of this fleet", url: "/dashboards?tag=nexus-cluster&query=${__value.raw:percentencode}" };

const PROMISED = objectives(
  "the share each fleet promises (slo.deliveryPercent) reaches its sessions",
  "99 % within the time each fleet promises (slo.latencyMilliseconds)",
  "the share each fleet promises (slo.deliveryPercent) can open a session",
);

const NOW: Row = {
  title: "Now",
  panels: [
    stat({
      title: "Fleets",
      description: "Fleets with a pod that Prometheus knows. One less than yesterday: it was deleted, or nothing of it is scraped.",
      unit: "short",
      queries: [{ expr: `count(count by (${FLEET}) (${of("up")}))`, legend: "fleets" }],
      alerts: ["NexusFleetUnseen"],
    }),
    stat({
      title: "Alerts",
      description: "What fires now in all of them, by severity. The table below says where.",
      unit: "short",
      queries: [
        { expr: `count(${firing("critical")}) or vector(0)`, legend: "critical", thresholds: { warning: 1, error: 1 } },
        { expr: `count(${firing("warning")}) or vector(0)`, legend: "warning", thresholds: { warning: 1 } },
      ],
    }),
    stat({
      title: "Pods ready",
      description: "Share of all pods that take sessions.",
      unit: "percentunit",
      decimals: 0,
      thresholds: { warning: 0.95, error: 0.5 },
      queries: [{ expr: `(sum(${of("nexus_ready")}) or vector(0)) / count(${of("up")})`, legend: "ready" }],
      alerts: ["NexusPodsNotReady", "NexusFleetDown"],
    }),
    stat({
      title: "Sessions",
      description: "People's connections in all fleets. A step down everywhere at once: DNS, the load balancer, the network in front.",
      unit: "short",
      queries: [{ expr: `sum(${of("nexus_sessions")})`, legend: "sessions" }],
    }),
    stat({
      title: "Delivered",
      description: "Notifications written to sessions a second.",
      unit: "mps",
      queries: [{ expr: perSecond(of("nexus_deliveries_total")), legend: "delivered" }],
    }),
    stat({
      title: "Publishes that fail",
      description: "Share of all publishes that failed by our fault.",
      unit: "percentunit",
      decimals: 2,
      thresholds: { warning: 0.001, error: 0.05 },
      queries: [{ expr: share(of("nexus_publishes_total", 'outcome="failed"'), of("nexus_publishes_total")), legend: "failed" }],
      alerts: ["NexusPublishFailures"],
    }),
    {
      kind: "table",
      title: "Fleets",
      description:
        "Sort by Critical, then by the budgets: how fast each burned in the last hour; 1 uses up what was promised exactly. A click on a name finds the fleet's own page.",
      unit: "short",
      width: 24,
      height: 10,
      columns: { namespace: "Namespace", nexus_cluster: "Fleet" },
      sort: { by: "Critical", first: "largest" },
      queries: [
        { expr: orNone(`count by (${FLEET}) (${firing("critical")})`), legend: "Critical" },
        { expr: orNone(`count by (${FLEET}) (${firing("warning")})`), legend: "Warnings" },
        { expr: `sum by (${FLEET}) (${of("nexus_ready")})`, legend: "Ready" },
        { expr: `count by (${FLEET}) (${of("up")})`, legend: "Pods" },
        { expr: `sum by (${FLEET}) (${of("nexus_degraded")})`, legend: "Degraded" },
        { expr: `sum by (${FLEET}) (${of("nexus_sessions")})`, legend: "Sessions" },
        { expr: perSecond(of("nexus_deliveries_total"), FLEET), legend: "Delivered" },
        { expr: quantile(0.99, of("nexus_delivery_latency_seconds_bucket"), FLEET), legend: "Latency, p99" },
        {
          expr: share(of("nexus_publishes_total", 'outcome="failed"'), of("nexus_publishes_total"), FLEET),
          legend: "Publishes that fail",
        },
        ...PROMISED.map((objective) => ({ expr: burnRate(objective, "1h", of), legend: `${objective.title} budget` })),
      ],
      values: {
        Critical: { thresholds: { warning: 1, error: 1 } },
        Warnings: { thresholds: { warning: 1, error: 10 } },
        Degraded: { thresholds: { warning: 1 } },
        Delivered: { unit: "mps" },
        "Latency, p99": { unit: "s", thresholds: { warning: 0.25, error: 1 } },
        "Publishes that fail": { unit: "percentunit", thresholds: { warning: 0.001, error: 0.05 } },
        ...Object.fromEntries(PROMISED.map(({ title }) => [`${title} budget`, { thresholds: { warning: SLOW, error: FAST } }])),
      },
      links: { nexus_cluster: TO_FLEET },
    },
  ],
};

const PROMISES: Row = {
  title: "What they promise",
  panels: PROMISED.map((objective) =>
    line({
      title: `${objective.title}: how fast budgets burn`,
      description: `Over the last hour, times faster than allowed: ${objective.what}. ${FAST} wakes somebody when the last 5 minutes agree.`,
      unit: "short",
      thresholds: { warning: SLOW, error: FAST },
      queries: [{ expr: burnRate(objective, "1h", of), legend: LEGEND }],
      alerts: [`${objective.alerts}BurnsFast`],
    }),
  ),
};

const PEOPLE: Row = {
  title: "Sessions",
  panels: [
    line({
      title: "Sessions",
      description: "By fleet. All of them down at once is in front of them; one alone is that fleet.",
      unit: "short",
      queries: [{ expr: `sum by (${FLEET}) (${of("nexus_sessions")})`, legend: LEGEND }],
    }),
    line({
      title: "Of the sessions a fleet may hold",
      description: "Sessions against the limits of all its pods. Near 100 % people are turned away.",
      unit: "percentunit",
      thresholds: { warning: 0.8, error: 1 },
      queries: [
        { expr: `sum by (${FLEET}) (${of("nexus_sessions")}) / (sum by (${FLEET}) (${of("nexus_sessions_limit")}) > 0)`, legend: LEGEND },
      ],
      alerts: ["NexusConnectionsNearLimit"],
    }),
    line({
      title: "Attempts to open a session",
      description: "A wall is a reconnect storm: a fleet restarted, or a network came back.",
      unit: "cps",
      queries: [{ expr: perSecond(of("nexus_handshakes_total"), FLEET), legend: LEGEND }],
      alerts: ["NexusReconnectStorm"],
    }),
  ],
};

const NOTIFICATIONS: Row = {
  title: "Notifications",
  panels: [
    line({
      title: "Published",
      description: "By fleet, whatever the outcome.",
      unit: "mps",
      queries: [{ expr: perSecond(of("nexus_publishes_total"), FLEET), legend: LEGEND }],
    }),
    line({
      title: "Delivered",
      description: "Notifications written to sessions.",
      unit: "mps",
      queries: [{ expr: perSecond(of("nexus_deliveries_total"), FLEET), legend: LEGEND }],
    }),
    line({
      title: "Latency of deliveries, p99",
      description: "From publish to the write on the connection. Several fleets at once: a Redis they share, or their nodes.",
      unit: "s",
      queries: [{ expr: quantile(0.99, of("nexus_delivery_latency_seconds_bucket"), FLEET), legend: LEGEND }],
      alerts: ["NexusLatencyBudgetBurnsFast"],
    }),
  ],
};

const CONDITIONS = {
  Ready: WELL,
  Available: WELL,
  ConfigSynced: WELL,
  RedisReady: WELL,
  MonitoringReady: WELL,
  Stalled: UNWELL,
  Drift: UNWELL,
};

const OPERATOR: Row = {
  title: "What the operator says of them",
  panels: [
    {
      kind: "table",
      title: "Conditions",
      description: "As in the status of each NexusCluster. kubectl nexus explain says why and what to do.",
      unit: "none",
      width: 16,
      height: 9,
      columns: { nexus_namespace: "Namespace", nexus_cluster: "Fleet" },
      sort: { by: "Stalled", first: "largest" },
      queries: Object.keys(CONDITIONS).map((type) => ({
        expr: `max by (nexus_namespace, nexus_cluster) (${told("nexus_operator_cluster_condition", `type="${type}"`)})`,
        legend: type,
      })),
      values: Object.fromEntries(Object.entries(CONDITIONS).map(([type, words]) => [type, { words }])),
      links: { nexus_cluster: TO_FLEET },
    },
    {
      ...line({
        title: "Oldest change that is not live",
        description:
          "Age of the oldest change that some ready pod has not acknowledged. 0 is usual; growing: a pod cannot be reached or refuses.",
        unit: "s",
        thresholds: { warning: 30, error: 60 },
        queries: [
          {
            expr: `max by (nexus_namespace, nexus_cluster) (${told("nexus_operator_cluster_oldest_push_seconds")})`,
            legend: "{{nexus_namespace}}/{{nexus_cluster}}",
          },
        ],
        alerts: ["NexusConfigurationNotAcknowledged"],
      }),
      height: 9,
    },
  ],
};

export const overviewDashboard: Dashboard = {
  uid: "nexus-overview",
  file: "nexus-overview",
  title: "Nexus / All fleets",
  description: "All fleets that this Prometheus knows: which one needs somebody, and is it one or all of them.",
  tags: [TAG],
  variables: [
    { name: "namespace", label: "Namespace", query: "nexus_ready", values: "namespace", all: ".+" },
    { name: "nexus_cluster", label: "Fleet", query: 'nexus_ready{namespace=~"$namespace"}', values: "nexus_cluster", all: ".+" },
  ],
  links: [{ title: "All of Nexus", tag: TAG }],
  rows: [NOW, PROMISES, PEOPLE, NOTIFICATIONS, OPERATOR],
};

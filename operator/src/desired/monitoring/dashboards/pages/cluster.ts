// Why: the page somebody on call opens first about a fleet: is it up, whom does it hurt, is the promise kept; then sessions,
// messages, pods and configuration to find out why. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Dashboard, Panel, Row } from "../model.ts";
import { perSecond, quantile, share } from "../promql.ts";
import { clusterLinks, clusterTitle, clusterUid, clusterVariables, firing, ofCluster, TAG } from "../scope.ts";
import { budgetRow, type Objective, objectives } from "../slo.ts";
import { configurationRow, postgresRow } from "./cluster-configuration.ts";
import { messagesRow } from "./cluster-messages.ts";
import { podsRow } from "./cluster-pods.ts";
import { sessionsRow } from "./cluster-sessions.ts";

export function clusterDashboard(cluster: NexusCluster): Dashboard {
  return {
    uid: clusterUid(cluster, "cluster"),
    file: "nexus-cluster",
    title: clusterTitle(cluster, "cluster"),
    description: "One fleet: is it up, whom does it hurt, is the promise kept. Further down: why.",
    tags: [TAG, "nexus-cluster"],
    variables: clusterVariables(cluster),
    links: clusterLinks(cluster, "cluster"),
    rows: [
      NOW,
      budgetRow(promised(cluster), ofCluster),
      sessionsRow,
      messagesRow,
      podsRow,
      configurationRow(cluster),
      ...(cluster.spec.storage.inbox === "Postgres" ? [postgresRow] : []),
    ],
  };
}

/** The three promises, in the numbers of the custom resource. */
function promised({ spec: { monitoring } }: NexusCluster): readonly Objective[] {
  const { deliveryPercent, latencyMilliseconds } = monitoring.slo;
  return objectives(
    `${deliveryPercent} % of notifications reach the sessions they are for`,
    `99 % are written within ${latencyMilliseconds} ms of their publish`,
    `${deliveryPercent} % of those who may open a session can`,
  );
}

const stat = (panel: Omit<Extract<Panel, { kind: "stat" }>, "kind" | "width">): Panel => ({ ...panel, kind: "stat", width: 4 });

const NOW: Row = {
  title: "Now",
  panels: [
    stat({
      title: "Alerts",
      description: "What fires now, by severity; the list is below. Anything critical comes first.",
      unit: "short",
      queries: [
        { expr: `count(${firing('severity="critical"')}) or vector(0)`, legend: "critical", thresholds: { warning: 1, error: 1 } },
        { expr: `count(${firing('severity="warning"')}) or vector(0)`, legend: "warning", thresholds: { warning: 1 } },
      ],
    }),
    stat({
      title: "Pods ready",
      description: "Share of the pods Prometheus knows that take sessions. Below 100 % during a rollout is usual, below 50 % never.",
      unit: "percentunit",
      decimals: 0,
      thresholds: { warning: 1, error: 0.5 },
      queries: [{ expr: `(sum(${ofCluster("nexus_ready")}) or vector(0)) / count(${ofCluster("up")})`, legend: "ready" }],
      alerts: ["NexusFleetDown", "NexusPodsNotReady", "NexusPodDown"],
    }),
    stat({
      title: "Sessions",
      description: "People's connections now. A sudden step down is the first sign that they cannot come in.",
      unit: "short",
      queries: [{ expr: `sum(${ofCluster("nexus_sessions")})`, legend: "sessions" }],
    }),
    stat({
      title: "Delivered",
      description: "Notifications written to sessions a second.",
      unit: "mps",
      queries: [{ expr: perSecond(ofCluster("nexus_deliveries_total")), legend: "delivered" }],
    }),
    stat({
      title: "Latency, p99",
      description: "From publish to the write on the connection, of the slowest hundredth. Red from one second: people notice.",
      unit: "s",
      thresholds: { warning: 0.25, error: 1 },
      queries: [{ expr: quantile(0.99, ofCluster("nexus_delivery_latency_seconds_bucket")), legend: "p99" }],
    }),
    stat({
      title: "Publishes that fail",
      description: "Share that failed by our fault: Redis away, overload, a bug. What publishers did wrong is not in it.",
      unit: "percentunit",
      decimals: 2,
      thresholds: { warning: 0.001, error: 0.05 },
      queries: [
        { expr: share(ofCluster("nexus_publishes_total", 'outcome="failed"'), ofCluster("nexus_publishes_total")), legend: "failed" },
      ],
      alerts: ["NexusPublishFailures"],
    }),
    {
      kind: "table",
      title: "Alerts that fire",
      description: "Each alert has a page that says what it means, how to find the cause and what to do: see its annotation runbook_url.",
      unit: "none",
      width: 24,
      height: 5,
      columns: { severity: "Severity", alertname: "Alert", pod: "Pod", tenant: "Tenant" },
      sort: { by: "Severity", first: "smallest" },
      queries: [{ expr: `max by (severity, alertname, pod, tenant) (${firing()})`, legend: "Fires", mayBeEmpty: "no alert fires now" }],
      values: { Fires: { words: { 1: { text: "yes", color: "red" } } } },
    },
  ],
};

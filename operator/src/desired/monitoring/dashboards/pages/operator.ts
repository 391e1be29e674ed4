// Why: the operator itself: does it lead, does it keep up, does the API server let it, does what people change become live. Names
// of controller-runtime and client-go, so that who knows those reads this. Pure.
import type { Dashboard, Panel, Row } from "../model.ts";
import { share } from "../promql.ts";
import { TAG } from "../scope.ts";
import { bootRow, changesRow, fleetsRow } from "./operator-fleets.ts";
import { of } from "./operator-series.ts";
import { apiRow, passesRow, processRow } from "./operator-work.ts";

const stat = (panel: Omit<Extract<Panel, { kind: "stat" }>, "kind" | "width">): Panel => ({ ...panel, kind: "stat", width: 4 });

const NOW: Row = {
  title: "Now",
  panels: [
    stat({
      title: "Leaders",
      description: "1. With 0 nothing new takes effect, and servers go on with what they have; 2 for longer than a scrape is a bug.",
      unit: "short",
      thresholds: { warning: 1, error: 1 },
      words: { 0: { text: "none", color: "red" }, 1: { text: "1", color: "green" } },
      queries: [{ expr: `sum(${of("leader_election_master_status")})`, legend: "leaders" }],
      alerts: ["NexusOperatorHasNoLeader", "NexusOperatorTwoLeaders"],
    }),
    stat({
      title: "Replicas",
      description: "Replicas that answer Prometheus. With one alone nobody stands by.",
      unit: "short",
      queries: [{ expr: `count(${of("nexus_operator_build_info")})`, legend: "replicas" }],
      alerts: ["NexusOperatorDown"],
    }),
    stat({
      title: "Keys that wait",
      description: "For a worker, at the leader. Above 0 for minutes: it does not keep up, see Passes.",
      unit: "short",
      thresholds: { warning: 100, error: 1000 },
      queries: [{ expr: `max(${of("workqueue_depth")})`, legend: "keys" }],
      alerts: ["NexusOperatorQueueLong", "NexusOperatorQueueStands"],
    }),
    stat({
      title: "Passes that fail",
      description: "Share of all passes. The log line reconcile.failed has object and reason.",
      unit: "percentunit",
      decimals: 1,
      thresholds: { warning: 0.01, error: 0.2 },
      queries: [
        {
          expr: share(of("controller_runtime_reconcile_total", 'result="error"'), of("controller_runtime_reconcile_total")),
          legend: "failed",
        },
      ],
      alerts: ["NexusOperatorPassesFail"],
    }),
    stat({
      title: "Oldest change that is not live",
      description: "In any fleet: age of the oldest change that some ready pod has not acknowledged.",
      unit: "s",
      thresholds: { warning: 30, error: 60 },
      queries: [{ expr: `max(${of("nexus_operator_cluster_oldest_push_seconds")})`, legend: "age" }],
      alerts: ["NexusConfigurationNotAcknowledged"],
    }),
    stat({
      title: "Fleets not ready",
      description: "NexusClusters whose Ready condition is not True.",
      unit: "short",
      thresholds: { warning: 1, error: 5 },
      queries: [{ expr: `count(${of("nexus_operator_cluster_condition", 'type="Ready"')} < 1) or vector(0)`, legend: "not ready" }],
      alerts: ["NexusClusterNotReady", "NexusClusterUnavailable"],
    }),
  ],
};

export const operatorDashboard: Dashboard = {
  uid: "nexus-operator",
  file: "nexus-operator",
  title: "Nexus / Operator",
  description: "The operator: does it lead, does it keep up, does the API server let it, does what people change become live.",
  tags: [TAG],
  variables: [{ name: "job", label: "Installation", query: "nexus_operator_build_info", values: "job" }],
  links: [{ title: "All of Nexus", tag: TAG }],
  rows: [NOW, changesRow, fleetsRow, bootRow, passesRow, apiRow, processRow],
};

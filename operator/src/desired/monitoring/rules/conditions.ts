// Why: alerts on conditions of a NexusCluster, as the operator exports them: 1 True, 0 False, -1 Unknown; those that exist only while
// True are 0 when absent. Only the leader has these series, and for a moment two replicas may: so the greatest counts. Pure.
import type { Alert } from "./model.ts";
import type { Series } from "./series.ts";

export const CLUSTER = "nexus_namespace, nexus_cluster";
export const WHERE = "{{ $labels.nexus_namespace }}/{{ $labels.nexus_cluster }}";

/** By cluster, of all replicas. */
export const largest = (series: string): string => `max by (${CLUSTER}) (${series})`;

/** An alert without its expression. */
export type About = Pick<Alert, "name" | "forSeconds" | "severity" | "summary" | "description">;

/** An alert on a condition: 1 True, 0 False, -1 Unknown. */
const condition = (of: Series, type: string, is: 0 | 1, about: About): Alert => ({
  ...about,
  expr: `${largest(of("nexus_operator_cluster_condition", `type="${type}"`))} == ${is}`,
});

export const conditionAlerts = (of: Series): readonly Alert[] => [
  {
    name: "NexusClusterUnavailable",
    // Nobody promised that a fleet without pods answers.
    expr: `${largest(of("nexus_operator_cluster_condition", 'type="Available"'))} == 0 unless ${largest(of("nexus_operator_cluster_pods", 'state="wanted"'))} == 0`,
    forSeconds: 180,
    severity: "critical",
    summary: `${WHERE} is not available`,
    description:
      "For 3 minutes the operator has seen no server pod of it that takes traffic. Nobody can connect or publish. A cluster that was made a moment ago counts, too; one that is scaled to 0 does not.",
  },
  {
    name: "NexusClusterNotReady",
    // Unknown (-1) is not ready either.
    expr: `${largest(of("nexus_operator_cluster_condition", 'type="Ready"'))} < 1`,
    forSeconds: 900,
    severity: "warning",
    summary: `${WHERE} is not what its spec asks for`,
    description:
      "For 15 minutes its condition Ready has not been True. Its servers may well work; something that was asked for is not there. Reason and message of the condition say what.",
  },
  condition(of, "Stalled", 1, {
    name: "NexusClusterStalled",
    forSeconds: 300,
    severity: "warning",
    summary: `${WHERE} waits for somebody to change something`,
    description:
      "For 5 minutes the operator has not been able to go on by itself: a field, a Secret or a name has to be changed. Its servers go on as they are.",
  }),
  condition(of, "Drift", 1, {
    name: "NexusClusterDrift",
    forSeconds: 300,
    severity: "info",
    summary: `Somebody else writes objects of ${WHERE}`,
    description:
      "For 5 minutes objects of it have had fields that the operator does not render, or that it had to put back. The message of the condition names field and writer.",
  }),
  condition(of, "ConfigSynced", 0, {
    name: "NexusConfigurationNotSynced",
    forSeconds: 600,
    severity: "warning",
    summary: `${WHERE} does not have its whole configuration everywhere`,
    description:
      "For 10 minutes a ready pod has lacked configuration, or the copy that pods start from has been incomplete. People on such a pod meet the old state.",
  }),
  condition(of, "MonitoringReady", 0, {
    name: "NexusClusterUnmonitored",
    forSeconds: 900,
    severity: "warning",
    summary: `Monitoring of ${WHERE} is not set up`,
    description:
      "For 15 minutes its PodMonitor, PrometheusRule or dashboards could not be made. Its servers are not affected; but the alerts about them may not exist.",
  }),
  condition(of, "AutoscalingActive", 0, {
    name: "NexusAutoscalingInactive",
    forSeconds: 600,
    severity: "warning",
    summary: `${WHERE} is not scaled`,
    description:
      "For 10 minutes nobody has been able to set its size by the load. It stays as large as it is; a rush would meet too few pods. The message of the condition says why.",
  }),
];

// Why: the part of a fleet's page about its pods: is one of them busy, full, slow, restarted. One line a pod, so that the odd one
// is seen. Pure.
import type { Row } from "../model.ts";
import { happening } from "../promql.ts";
import { ofCluster, perPod } from "../scope.ts";

export const podsRow: Row = {
  title: "Pods",
  panels: [
    {
      kind: "timeseries",
      title: "Ready, draining",
      description:
        "Pods that take sessions, that send them away, that miss something they stand on, that answer Prometheus, and that the operator asks for. Draining without end: see the alert.",
      unit: "short",
      width: 8,
      queries: [
        { expr: `sum(${ofCluster("nexus_ready")})`, legend: "ready" },
        { expr: `sum(${ofCluster("nexus_draining")})`, legend: "draining" },
        { expr: `sum(${ofCluster("nexus_degraded")})`, legend: "degraded" },
        { expr: `sum(${ofCluster("up")})`, legend: "answer" },
        {
          expr: 'max(nexus_operator_cluster_pods{state="wanted",nexus_namespace="$namespace",nexus_cluster="$nexus_cluster"})',
          legend: "wanted",
          mayBeEmpty: "where a Prometheus does not scrape the operator, nobody says it",
        },
      ],
      alerts: ["NexusPodsNotReady", "NexusDrainTakesLong", "NexusPodsDegraded"],
    },
    {
      kind: "timeseries",
      title: "CPU",
      description: "Cores in use. A pod uses one core a process; near that it is full, whatever its limit.",
      unit: "short",
      width: 8,
      queries: [perPod(`sum by (pod) (rate(${ofCluster("process_cpu_seconds_total")}[$__rate_interval]))`)],
    },
    {
      kind: "timeseries",
      title: "Memory",
      description: "Resident memory. Follows sessions and queues; growth without either is a leak: keep a heap profile before restarting.",
      unit: "bytes",
      width: 8,
      queries: [perPod(`sum by (pod) (${ofCluster("process_resident_memory_bytes")})`)],
      alerts: ["NexusMemoryNearLimit"],
    },
    {
      kind: "timeseries",
      title: "Event loop, p99 lateness",
      description:
        "How late the pod gets to its work. Above 200 ms everything on it is late; a pod alone: a hot channel or a large configuration.",
      unit: "s",
      width: 8,
      thresholds: { warning: 0.05, error: 0.2 },
      queries: [perPod(`max by (pod) (${ofCluster("nodejs_eventloop_lag_p99_seconds")})`)],
      alerts: ["NexusEventLoopLags"],
    },
    {
      kind: "timeseries",
      title: "Waiting to be written",
      description:
        "Bytes in the queues of all sessions. A pod alone that grows: slow readers on it; all: a burst that the network does not take.",
      unit: "bytes",
      width: 8,
      queries: [perPod(`sum by (pod) (${ofCluster("nexus_send_queue_bytes")})`)],
      alerts: ["NexusSendQueuesGrow"],
    },
    {
      kind: "timeseries",
      title: "Slow sessions",
      description: "Sessions whose connection takes no more now. Those that stay so are dropped by their channel's rule.",
      unit: "short",
      width: 8,
      queries: [perPod(`sum by (pod) (${ofCluster("nexus_slow_sessions")})`)],
      alerts: ["NexusSlowConsumers"],
    },
    {
      kind: "timeseries",
      title: "Age",
      description: "Since the pod's process started; a saw-tooth is a pod that restarts again and again.",
      unit: "s",
      width: 8,
      queries: [perPod(`max by (pod) (time() - ${ofCluster("process_start_time_seconds")})`)],
      alerts: ["NexusPodRestarted", "NexusPodRestartsOften"],
    },
    {
      kind: "timeseries",
      title: "Open files and sockets, of what it may have",
      description: "At 100 % no connection is accepted any more: raise the node's limit or run more pods.",
      unit: "percentunit",
      width: 8,
      thresholds: { warning: 0.8, error: 0.95 },
      queries: [perPod(`max by (pod) (${ofCluster("process_open_fds")} / ${ofCluster("process_max_fds")})`)],
    },
    {
      kind: "timeseries",
      title: "Log lines",
      description: "By level. Errors are never usual: read them, they name what failed.",
      unit: "cps",
      width: 8,
      queries: [{ expr: happening(ofCluster("nexus_log_lines_total"), "level"), legend: "{{level}}" }],
      alerts: ["NexusLogsErrors"],
    },
    {
      kind: "timeseries",
      title: "Processes that ended by themselves",
      description: "In the last hour, by pod. Each took its sessions with it: the log line before it says why.",
      unit: "short",
      width: 8,
      queries: [perPod(`sum by (pod) (increase(${ofCluster("nexus_process_restarts_total")}[1h]))`)],
      alerts: ["NexusProcessRestarts"],
    },
    {
      kind: "timeseries",
      title: "Sessions sent to other pods",
      description: "After a fleet grew, the fullest pods shed to the mean. Without a growth before it somebody asked for it.",
      unit: "cps",
      width: 8,
      queries: [perPod(`sum by (pod) (rate(${ofCluster("nexus_sessions_shed_total")}[$__rate_interval]))`)],
    },
    {
      kind: "table",
      title: "What runs",
      description: "Releases side by side are usual during a rollout only.",
      unit: "short",
      width: 8,
      columns: { version: "Release", bun: "Bun" },
      sort: { by: "Pods", first: "largest" },
      queries: [{ expr: `sum by (version, bun) (${ofCluster("nexus_build_info")})`, legend: "Pods" }],
    },
  ],
};

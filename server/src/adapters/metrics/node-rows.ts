// Why: what a server says of itself: what runs, whether it takes traffic, what it logs, what the runtime knows.
// It must never say what belongs to a user.
import { LOG_LEVELS } from "@nexus/protocol/config.ts";
import type { ServerMetricRow } from "./row.ts";

export const NODE_ROWS = {
  nexus_build_info: {
    type: "gauge",
    help: "1; the labels say what runs.",
    labels: { version: "the release", bun: "release of Bun" },
    across: "parent",
  },
  nexus_ready: { type: "gauge", help: "1 while /ready answers 200.", across: "parent" },
  nexus_draining: { type: "gauge", help: "1 while the node drains.", across: "parent" },
  nexus_degraded: {
    type: "gauge",
    help: "1 while /health says degraded: what the engine keeps cannot be reached or written, or announcements do not arrive.",
    across: "max",
  },
  nexus_processes: { type: "gauge", help: "Server processes that take connections.", across: "parent" },
  nexus_process_restarts_total: { type: "counter", help: "Server processes that ended by themselves and were started again." },
  nexus_log_lines_total: { type: "counter", help: "Lines written to the log, by level.", labels: { level: LOG_LEVELS } },
  nexus_trace_spans_total: {
    type: "counter",
    help: "Spans of sampled traces, by what became of them; dropped: more waited for the collector than may wait.",
    labels: { outcome: ["exported", "failed", "dropped"] },
  },
} as const satisfies Record<string, ServerMetricRow>;

/** Metrics of the runtime that are true on Bun; the others prom-client knows are left out. Help is ours. */
export const RUNTIME_ROWS = {
  process_cpu_user_seconds_total: { type: "counter", help: "CPU spent in user mode, in seconds." },
  process_cpu_system_seconds_total: { type: "counter", help: "CPU spent in the kernel, in seconds." },
  process_cpu_seconds_total: { type: "counter", help: "CPU spent, in seconds." },
  process_start_time_seconds: { type: "gauge", help: "When the process started, in Unix seconds.", across: "parent" },
  process_resident_memory_bytes: { type: "gauge", help: "Memory that is resident." },
  process_open_fds: { type: "gauge", help: "Open files and sockets." },
  process_max_fds: { type: "gauge", help: "Open files and sockets there may be.", across: "min" },
  nodejs_eventloop_lag_seconds: { type: "gauge", help: "How late the event loop was at this scrape.", across: "max" },
  nodejs_eventloop_lag_min_seconds: { type: "gauge", help: "Least lateness of the event loop since the last scrape.", across: "min" },
  nodejs_eventloop_lag_max_seconds: { type: "gauge", help: "Greatest lateness of the event loop since the last scrape.", across: "max" },
  nodejs_eventloop_lag_mean_seconds: { type: "gauge", help: "Mean lateness of the event loop since the last scrape.", across: "max" },
  nodejs_eventloop_lag_stddev_seconds: {
    type: "gauge",
    help: "Standard deviation of the event loop's lateness since the last scrape.",
    across: "max",
  },
  nodejs_eventloop_lag_p50_seconds: { type: "gauge", help: "Median lateness of the event loop since the last scrape.", across: "max" },
  nodejs_eventloop_lag_p90_seconds: {
    type: "gauge",
    help: "90th percentile of the event loop's lateness since the last scrape.",
    across: "max",
  },
  nodejs_eventloop_lag_p99_seconds: {
    type: "gauge",
    help: "99th percentile of the event loop's lateness since the last scrape.",
    across: "max",
  },
} as const satisfies Record<string, ServerMetricRow>;

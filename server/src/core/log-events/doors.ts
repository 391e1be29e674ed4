// Why: the process itself and the ports it listens on, as rows of the log catalogue.
import { type LogCatalogue, logRow } from "@nexus/protocol/log-line.ts";

const BUG = "A bug: report it with this line and the version.";
const FILES = "Check the mounted Secret; what was read before is used meanwhile.";

export const DOOR_EVENTS = {
  "server.started": logRow(
    "info",
    ["version", "port", "node", "cluster", "processes", "durationMs"],
    "The server listens; it takes traffic when it is ready.",
  ),
  "server.start_failed": logRow(
    "error",
    ["error"],
    "The server cannot start.",
    "The error names the setting or what is not reachable; nexus doctor checks both.",
  ),
  "server.stopping": logRow("info", ["reason"], "The server was asked to stop and drains."),
  "server.stop_failed": logRow("error", ["error"], "Stopping failed; what was not written is sent again.", BUG),
  "server.killed": logRow("warn", ["reason"], "Asked to stop twice, or before it served: it ends at once."),
  "server.crashed": logRow("error", ["error"], "A failure nobody expected; the process ends and is started again.", BUG),
  "http.failed": logRow("error", ["operation", "requestId", "code", "error"], "A REST request failed in the server.", BUG),
  "http.router_failed": logRow("error", ["code", "error"], "A request failed before it reached an operation.", BUG),
  "http.broker_unavailable": logRow(
    "warn",
    ["operation", "requestId", "error", "count"],
    "REST requests were answered 503: the broker is away.",
    "Look at the broker: lines redis.* and postgres.* around it, and broker in GET /health.",
  ),
  "admin.listening": logRow("info", ["host", "port"], "The admin port is open to the operator."),
  "admin.token_reread": logRow("info", ["count"], "The admin token was renewed."),
  "admin.certificate_reread": logRow("info", ["expires"], "The certificate of the admin port was renewed."),
  "admin.reread_failed": logRow("error", ["error"], "A renewed token or certificate of the admin port cannot be used.", FILES),
  "admin.failed": logRow("error", ["path", "error"], "A request to the admin port failed in the server.", BUG),
  "listener.certificate_reread": logRow("info", ["expires"], "The certificate of the public port was renewed."),
  "listener.reread_failed": logRow("error", ["error"], "A renewed certificate of the public port cannot be used.", FILES),
  "tracing.on": logRow("info", ["samplePercent"], "Publishes are traced from now on, this share of them and what callers trace."),
  "tracing.off": logRow("info", [], "Nothing is traced any more."),
  "tracing.export_failed": logRow(
    "warn",
    ["reason"],
    "Spans were given up: the collector did not take them. Deliveries are not touched. At most once a minute.",
    "Look at the collector and at monitoring.tracing.endpoint; nexus_trace_spans_total counts what is lost.",
  ),
  "ops.listening": logRow("info", ["host", "port"], "The port of health and metrics is open."),
  "ops.failed": logRow("error", ["path", "error"], "Health or metrics could not be answered.", BUG),
  "process.spawned": logRow("info", ["process", "pid"], "A server process was started."),
  "process.started": logRow("info", ["port", "node"], "A server process serves."),
  "process.start_failed": logRow("error", ["error"], "A server process cannot start.", "As server.start_failed."),
  "process.stop_failed": logRow("error", ["error"], "Stopping a server process failed.", BUG),
  "process.ended": logRow(
    "error",
    ["process", "pid", "code", "restartInMs"],
    "A server process died; its sessions come back by themselves.",
    "Code 137: out of memory; else see its last lines.",
  ),
  "process.hangs": logRow("error", ["process", "pid"], "A server process does not answer and is replaced.", BUG),
  "process.orphaned": logRow("error", [], "The parent process is gone: everybody is told to come back, then it ends."),
  "process.push_failed": logRow("error", ["pid", "outcome"], "A process did not take a configuration and is replaced.", BUG),
  "process.metrics_failed": logRow("error", ["error"], "Metrics of the processes could not be added up.", BUG),
} as const satisfies LogCatalogue;

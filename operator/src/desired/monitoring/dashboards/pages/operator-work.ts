// Why: the part of the operator's page about its own work: passes, workers, the API server, the process. Pure.
import type { Row } from "../model.ts";
import { happening, perSecond, quantile, quantiles } from "../promql.ts";
import { NEVER_HAPPENED } from "../scope.ts";
import { line, of } from "./operator-series.ts";

export const passesRow: Row = {
  title: "Passes",
  panels: [
    line({
      title: "Passes",
      description: "By kind of key. Many more than usual without edits: something changes what it writes, see Children put back.",
      unit: "cps",
      queries: [{ expr: perSecond(of("controller_runtime_reconcile_total"), "controller"), legend: "{{controller}}" }],
    }),
    line({
      title: "Passes that failed",
      description:
        "By kind of key; those that are not repeated before something changes count twice, as terminal. A panic is a bug: report it.",
      unit: "cps",
      queries: [
        {
          expr: happening(of("controller_runtime_reconcile_errors_total"), "controller"),
          legend: "{{controller}}",
          mayBeEmpty: NEVER_HAPPENED,
        },
        {
          expr: happening(of("controller_runtime_terminal_reconcile_errors_total"), "controller"),
          legend: "{{controller}} terminal",
          mayBeEmpty: NEVER_HAPPENED,
        },
        {
          expr: happening(of("controller_runtime_reconcile_panics_total"), "controller"),
          legend: "{{controller}} panic",
          mayBeEmpty: NEVER_HAPPENED,
        },
      ],
      alerts: ["NexusOperatorPassesFail", "NexusOperatorPanics"],
    }),
    line({
      title: "Time of a pass, p99",
      description: "By kind of key. All up together: the API server, see below.",
      unit: "s",
      queries: [
        {
          expr: quantile(0.99, of("controller_runtime_reconcile_time_seconds_bucket"), "controller"),
          legend: "{{controller}}",
        },
      ],
    }),
    line({
      title: "Wait for a worker",
      description: "How long keys waited. Rising with busy workers: it needs more of them, or the API server is slow.",
      unit: "s",
      queries: quantiles(of("workqueue_queue_duration_seconds_bucket")),
      alerts: ["NexusOperatorQueueLong"],
    }),
    line({
      title: "Workers",
      description: "Passes under way, of those there can be.",
      unit: "short",
      queries: [
        { expr: `sum(${of("controller_runtime_active_workers")})`, legend: "busy" },
        { expr: `max(${of("controller_runtime_max_concurrent_reconciles")})`, legend: "there are" },
      ],
    }),
    line({
      title: "Oldest pass under way",
      description: "A line that only rises is a pass that hangs; its key is not worked on until the process restarts.",
      unit: "s",
      queries: [{ expr: `max(${of("workqueue_longest_running_processor_seconds")})`, legend: "age" }],
      alerts: ["NexusOperatorPassHangs"],
    }),
  ],
};

export const apiRow: Row = {
  title: "API server",
  panels: [
    line({
      title: "Requests",
      description: "By status. 409 is usual, 429 is fairness, 403 a missing right, 5xx and <error> the API server.",
      unit: "reqps",
      queries: [{ expr: happening(of("rest_client_requests_total"), "code"), legend: "{{code}}" }],
      alerts: ["NexusOperatorApiErrors"],
    }),
    line({
      title: "Time of requests, p99",
      description: "By verb, to the headers of the answer.",
      unit: "s",
      queries: [{ expr: quantile(0.99, of("rest_client_request_duration_seconds_bucket"), "verb"), legend: "{{verb}}" }],
    }),
    line({
      title: "Silence of watches",
      description: "Since a watch last brought an event or a bookmark, the worst of each kind. Minutes: what changes is not seen.",
      unit: "s",
      thresholds: { warning: 120, error: 300 },
      queries: [{ expr: `max by (kind) (time() - ${of("nexus_operator_watch_heard_timestamp_seconds")})`, legend: "{{kind}}" }],
      alerts: ["NexusOperatorWatchSilent"],
    }),
    line({
      title: "Watches that ended, lists",
      description: "Only timeout is planned. Many lists: watches cannot be resumed, which costs the API server dearly.",
      unit: "cps",
      queries: [
        { expr: happening(of("reflector_watches_total"), "reason"), legend: "watch {{reason}}", mayBeEmpty: "every watch goes on" },
        { expr: perSecond(of("reflector_lists_total")), legend: "lists" },
        { expr: `${perSecond(of("reflector_list_failures_total"))} or vector(0)`, legend: "lists that failed" },
      ],
    }),
    line({
      title: "Writes",
      description: "Children and statuses. In an installation at rest both are 0.",
      unit: "cps",
      queries: [
        { expr: perSecond(of("nexus_operator_applies_total")), legend: "children" },
        { expr: perSecond(of("nexus_operator_status_writes_total")), legend: "statuses" },
      ],
    }),
    line({
      title: "Children put back, writes that change nothing",
      description: "Put back: somebody else changes what is ours, by kind. Writes that change nothing are a bug: report them.",
      unit: "cps",
      queries: [
        { expr: happening(of("nexus_operator_drift_total"), "kind"), legend: "put back {{kind}}", mayBeEmpty: NEVER_HAPPENED },
        { expr: happening(of("nexus_operator_unchanged_writes_total"), "kind"), legend: "unchanged {{kind}}", mayBeEmpty: NEVER_HAPPENED },
      ],
      alerts: ["NexusOperatorWritesChangeNothing"],
    }),
  ],
};

export const processRow: Row = {
  title: "Process",
  collapsed: true,
  panels: [
    line({
      title: "Memory",
      description: "Resident, by replica. Follows Tenants and Templates.",
      unit: "bytes",
      queries: [{ expr: `max by (pod) (${of("process_resident_memory_bytes")})`, legend: "{{pod}}" }],
    }),
    line({
      title: "Objects it watches",
      description: "By kind, at each replica. What its memory is made of.",
      unit: "short",
      queries: [{ expr: `max by (kind) (${of("nexus_operator_watched_objects")})`, legend: "{{kind}}" }],
    }),
    line({
      title: "Since the Lease was renewed",
      description: "By the leader, each few seconds. Near ten it stops writing, at fifteen another one takes over.",
      unit: "s",
      thresholds: { warning: 5, error: 10 },
      queries: [{ expr: `time() - max(${of("nexus_operator_lead_renewed_timestamp_seconds")})`, legend: "age" }],
      alerts: ["NexusOperatorHasNoLeader"],
    }),
    line({
      title: "CPU",
      description: "Cores in use, by replica. One is all a replica can use.",
      unit: "short",
      queries: [{ expr: perSecond(of("process_cpu_seconds_total"), "pod"), legend: "{{pod}}" }],
    }),
    line({
      title: "Event loop, p99 lateness",
      description: "By replica. Seconds endanger the Lease: renewals come too late.",
      unit: "s",
      thresholds: { warning: 0.5, error: 2 },
      queries: [{ expr: `max by (pod) (${of("nodejs_eventloop_lag_p99_seconds")})`, legend: "{{pod}}" }],
    }),
    line({
      title: "Age",
      description: "Since each replica started; a saw-tooth restarts again and again.",
      unit: "s",
      queries: [{ expr: `max by (pod) (time() - ${of("process_start_time_seconds")})`, legend: "{{pod}}" }],
      alerts: ["NexusOperatorRestartsOften"],
    }),
    line({
      title: "Log lines",
      description: "By level. Errors are never usual.",
      unit: "cps",
      queries: [
        { expr: happening(of("nexus_operator_log_lines_total"), "level"), legend: "{{level}}", mayBeEmpty: "nothing is written now" },
      ],
      alerts: ["NexusOperatorLogsErrors"],
    }),
    line({
      title: "Fields that installed CRDs do not know",
      description: "Above 0: CRDs older than the operator; what people write in those fields is dropped.",
      unit: "short",
      thresholds: { warning: 1, error: 1 },
      queries: [{ expr: `max by (kind) (${of("nexus_operator_crd_missing_fields")})`, legend: "{{kind}}" }],
      alerts: ["NexusOperatorCrdsAreOld"],
    }),
  ],
};

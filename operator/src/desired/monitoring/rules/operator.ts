// Why: the rules about the operator, and about what only it knows of every cluster: conditions, sizes, certificates, pushes. The
// chart ships them beside the operator, because its series lie in its own namespace. A standby says little, so what is asked is
// asked of all replicas together, told apart from another operator's by `job`. Pure.
import { clusterAlerts } from "./clusters.ts";
import type { Alert, Matchers, RuleGroup } from "./model.ts";
import { gained, type Series, seriesOf } from "./series.ts";

const MANY_FAILED_PASSES = 5;
const HANGING_SECONDS = 300;
const LONG_QUEUE = 500;
const SILENT_SECONDS = 300;
const ERROR_SHARE = 0.05;
const MANY_API_ERRORS = 20;
const MANY_RESTARTS = 2;
const MANY_LINES = 10;

/** `labels`: what is absent has none of its own. */
const leadership = (of: Series, labels: Matchers): readonly Alert[] => [
  {
    name: "NexusOperatorHasNoLeader",
    labels,
    expr: `absent(${of("leader_election_master_status")} == 1)`,
    forSeconds: 60,
    severity: "critical",
    summary: "No Nexus operator leads",
    description:
      "For 60 s no replica has held the Lease, or none was scraped. Servers go on with the configuration they have; nothing new takes effect, and nothing is scaled or repaired.",
  },
  {
    name: "NexusOperatorDown",
    labels,
    expr: `absent(${of("up")} == 1)`,
    forSeconds: 120,
    severity: "critical",
    summary: "No replica of the Nexus operator answers",
    description:
      "For 2 minutes Prometheus could read the metrics of none of its replicas. Servers go on with the configuration they have; alerts about clusters that only the operator knows of cannot fire.",
  },
  {
    name: "NexusOperatorTwoLeaders",
    expr: `sum by (job) (${of("leader_election_master_status")}) > 1`,
    forSeconds: 60,
    severity: "critical",
    summary: "{{ $value }} replicas of the Nexus operator lead",
    description:
      "For 60 s {{ $value }} replicas have said that they hold the Lease. Servers refuse the pushes of the older one, so configuration stays right; but both write to the API server.",
  },
  {
    name: "NexusOperatorRestartsOften",
    expr: `max by (job, pod) (changes(${of("process_start_time_seconds")}[15m])) > ${MANY_RESTARTS}`,
    forSeconds: 0,
    severity: "warning",
    summary: "Replica {{ $labels.pod }} of the Nexus operator does not stay up",
    description: `It was started {{ $value }} times in 15 minutes; it fires above ${MANY_RESTARTS}. Each start of the leader delays changes by some seconds; a reason is in the last lines of its previous log.`,
  },
];

const passes = (of: Series): readonly Alert[] => [
  {
    name: "NexusOperatorPassesFail",
    expr: `${gained("job, controller", of("controller_runtime_reconcile_errors_total"), "10m")} > ${MANY_FAILED_PASSES}`,
    forSeconds: 600,
    severity: "warning",
    summary: "Passes of the Nexus operator fail again and again",
    description: `{{ $value | humanize }} passes of the kind {{ $labels.controller }} failed in 10 minutes; it fires above ${MANY_FAILED_PASSES}. What users changed there does not take effect; the log line reconcile.failed has the object and the reason.`,
  },
  {
    name: "NexusOperatorPanics",
    expr: `${gained("job, controller", of("controller_runtime_reconcile_panics_total"), "10m")} > 0`,
    forSeconds: 0,
    severity: "warning",
    summary: "The Nexus operator met something it does not understand",
    description:
      "{{ $value | humanize }} passes of the kind {{ $labels.controller }} failed in 10 minutes by a bug of the operator. The objects they were about stay as they are; the others are worked on.",
  },
  {
    name: "NexusOperatorPassHangs",
    expr: `max by (job) (${of("workqueue_longest_running_processor_seconds")}) > ${HANGING_SECONDS}`,
    forSeconds: 60,
    severity: "critical",
    summary: "A pass of the Nexus operator hangs",
    description: `One pass has run for {{ $value | humanizeDuration }}; it fires above ${HANGING_SECONDS} s. Its cluster is not worked on, and a worker is missing for the others.`,
  },
  {
    name: "NexusOperatorQueueStands",
    // Not `and … == 0`: before the first pass has ended there is no such series.
    expr: `max by (job) (${of("workqueue_depth")}) > 0 unless sum by (job) (increase(${of("workqueue_work_duration_seconds_count")}[5m])) > 0`,
    forSeconds: 300,
    severity: "critical",
    summary: "The queue of the Nexus operator stands",
    description: "{{ $value }} keys wait, and no pass has ended for 10 minutes. Nothing that users change takes effect.",
  },
  {
    name: "NexusOperatorQueueLong",
    expr: `max by (job) (${of("workqueue_depth")}) > ${LONG_QUEUE}`,
    forSeconds: 600,
    severity: "warning",
    summary: "The queue of the Nexus operator is long",
    description: `{{ $value }} keys have waited for 10 minutes; it fires above ${LONG_QUEUE}. What users edit overtakes the rest, yet repairs and statuses come late. After a first start with many objects this is expected for some minutes.`,
  },
  {
    name: "NexusOperatorClustersHeldBack",
    expr: `max by (job) (${of("nexus_operator_clusters_held_back")}) > 0`,
    forSeconds: 300,
    severity: "warning",
    summary: "The Nexus operator holds clusters back",
    description:
      "{{ $value }} NexusClusters failed so often in a row that they are worked on rarely. Their servers go on; changes of theirs take minutes.",
  },
  {
    name: "NexusOperatorWritesChangeNothing",
    expr: `${gained("job, kind", of("nexus_operator_unchanged_writes_total"), "30m")} > 0`,
    forSeconds: 0,
    severity: "info",
    summary: "The Nexus operator writes objects of kind {{ $labels.kind }} without changing them",
    description:
      "{{ $value | humanize }} writes in 30 minutes changed nothing. It hurts nobody, and is a bug worth a report: the operator sees a difference where there is none.",
  },
];

const apiServer = (of: Series): readonly Alert[] => {
  const requests = of("rest_client_requests_total");
  const bad = of("rest_client_requests_total", 'code=~"5..|429|403|<error>"');
  return [
    {
      name: "NexusOperatorApiErrors",
      expr: `sum by (job) (rate(${bad}[5m])) / sum by (job) (rate(${requests}[5m])) > ${ERROR_SHARE} and sum by (job) (increase(${bad}[5m])) >= ${MANY_API_ERRORS}`,
      forSeconds: 600,
      severity: "warning",
      summary: "The API server refuses the Nexus operator",
      description: `{{ $value | humanizePercentage }} of its requests failed, were throttled or forbidden; it fires above ${ERROR_SHARE * 100} % and from ${MANY_API_ERRORS} in 5 minutes on. Changes come late or, where rights are missing, not at all.`,
    },
    {
      name: "NexusOperatorWatchSilent",
      expr: `time() - min by (job, kind) (${of("nexus_operator_watch_heard_timestamp_seconds")}) > ${SILENT_SECONDS}`,
      forSeconds: 300,
      severity: "warning",
      summary: "The Nexus operator hears nothing of kind {{ $labels.kind }}",
      description: `Its watch has brought nothing for {{ $value | humanizeDuration }}, not even a bookmark, which comes every minute; it fires above ${SILENT_SECONDS} s. Changes of such objects are not seen.`,
    },
    {
      name: "NexusOperatorCrdsAreOld",
      expr: `max by (job, kind) (${of("nexus_operator_crd_missing_fields")}) > 0`,
      forSeconds: 900,
      severity: "warning",
      summary: "The CRD of {{ $labels.kind }} is older than the Nexus operator",
      description:
        "{{ $value }} fields that this operator knows are dropped by the API server without a word. Apply the CRDs of its release.",
    },
    {
      name: "NexusOperatorLogsErrors",
      expr: `${gained("job", of("nexus_operator_log_lines_total", 'level="error"'), "5m")} > ${MANY_LINES}`,
      forSeconds: 300,
      severity: "warning",
      summary: "The Nexus operator logs errors",
      description: `{{ $value | humanize }} lines of level error in 5 minutes; it fires above ${MANY_LINES}. Something fails that may have no alert of its own; the event names in the log say what.`,
    },
  ];
};

/** `matchers`: which series are this operator's, for example `{ job: "nexus-system/nexus" }`. */
export function operatorRules(matchers: Matchers): readonly RuleGroup[] {
  const of = seriesOf(matchers);
  return [
    { name: "nexus-operator", rules: [...leadership(of, matchers), ...passes(of), ...apiServer(of)] },
    { name: "nexus-clusters", rules: clusterAlerts(of) },
  ];
}

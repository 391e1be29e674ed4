// Why: the cases of alerts about the operator itself.
import { type AlertCase, lapses, once, rises, stays, TURN_SECONDS, turns, without } from "./case.ts";
import { HEALTHY_OPERATOR } from "./healthy.ts";

const JOB = { job: "nexus-system/nexus-operator" };
const LEADER = "leader_election_master_status";
const FORBIDDEN = 'rest_client_requests_total{code="403",method="GET"}';
const BROKEN = 'rest_client_requests_total{code="<error>",method="GET"}';
const WELL = 'rest_client_requests_total{code="200",method="GET"}';
const CONFLICT = 'rest_client_requests_total{code="409",method="POST"}';
const HEARD = 'nexus_operator_watch_heard_timestamp_seconds{kind="Pod"}';
const MISSING_FIELDS = 'nexus_operator_crd_missing_fields{kind="Tenant"}';

const LEADERSHIP: readonly AlertCase[] = [
  {
    alert: "NexusOperatorHasNoLeader",
    fires: {
      series: { [LEADER]: turns(1, 0), [`${LEADER}{pod="operator-b"}`]: stays(0) },
      onsetSeconds: TURN_SECONDS,
      labels: JOB,
      says: [],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [LEADER]: lapses(1, 0, 60), [`${LEADER}{pod="operator-b"}`]: stays(0) }],
    missing: {
      series: without(HEALTHY_OPERATOR, LEADER),
      fires: true,
      because: "who is not heard of does not lead, as far as anybody knows",
    },
  },
  {
    alert: "NexusOperatorDown",
    fires: { series: { up: turns(1, 0), 'up{pod="operator-b"}': stays(0) }, onsetSeconds: TURN_SECONDS, labels: JOB, says: [] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ up: stays(0), 'up{pod="operator-b"}': stays(1) }],
    missing: { series: without(HEALTHY_OPERATOR, "up"), fires: true, because: "that nothing is there is what it is about" },
  },
  {
    alert: "NexusOperatorTwoLeaders",
    fires: {
      series: { [LEADER]: stays(1), [`${LEADER}{pod="operator-b"}`]: turns(0, 1) },
      onsetSeconds: TURN_SECONDS,
      labels: JOB,
      says: ["2", "2"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [LEADER]: stays(1), [`${LEADER}{pod="operator-b"}`]: lapses(0, 1, 60) }],
    missing: { series: { up: stays(1) }, fires: false, because: "nobody is NexusOperatorHasNoLeader" },
  },
  {
    alert: "NexusOperatorRestartsOften",
    ends: { series: { process_start_time_seconds: "1+0x3 2+0x3 3+0x3 4+0x1000" }, quietSeconds: 1020 },
    fires: {
      series: { process_start_time_seconds: "1+0x3 2+0x3 3+0x3 4+0x1000" },
      onsetSeconds: 360,
      labels: { ...JOB, pod: "operator-a" },
      says: ["3"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ process_start_time_seconds: "1+0x3 2+0x3 3+0x1000" }],
    missing: {
      series: { up: stays(0) },
      fires: false,
      because: "one that does not answer at all is NexusOperatorDown when all are like it",
    },
  },
];

const PASSES: readonly AlertCase[] = [
  {
    alert: "NexusOperatorPassesFail",
    fires: {
      series: { 'controller_runtime_reconcile_errors_total{controller="tenant"}': rises(0.27) },
      onsetSeconds: 570, // 19 times 0.27
      labels: { ...JOB, controller: "tenant" },
      says: ["5.4"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ 'controller_runtime_reconcile_errors_total{controller="tenant"}': rises(0.25) }],
    missing: { series: without(HEALTHY_OPERATOR, "controller_runtime_reconcile_errors_total"), fires: false, because: "none failed" },
  },
  {
    alert: "NexusOperatorPanics",
    ends: { series: { 'controller_runtime_reconcile_panics_total{controller="config"}': once(1) }, quietSeconds: 900 },
    fires: {
      series: { 'controller_runtime_reconcile_panics_total{controller="config"}': once(1) },
      onsetSeconds: TURN_SECONDS,
      labels: { ...JOB, controller: "config" },
      says: ["1"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ 'controller_runtime_reconcile_panics_total{controller="config"}': stays(1) }],
    missing: { series: { up: stays(1) }, fires: false, because: "none was met" },
  },
  {
    alert: "NexusOperatorPassHangs",
    fires: { series: { workqueue_longest_running_processor_seconds: "0+30x100" }, onsetSeconds: 330, labels: JOB, says: ["6m 30s"] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ workqueue_longest_running_processor_seconds: stays(300) }],
    missing: { series: { up: stays(1) }, fires: false, because: "nothing is known of passes: NexusOperatorDown when nobody answers" },
  },
  {
    alert: "NexusOperatorQueueStands",
    fires: {
      series: { workqueue_depth: turns(0, 4), workqueue_work_duration_seconds_count: stays(9) },
      onsetSeconds: TURN_SECONDS,
      labels: JOB,
      says: ["4"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ workqueue_depth: stays(4), workqueue_work_duration_seconds_count: "0+0x7 1+0x8 2+0x8 3+0x8 4+0x8 5+0x8" }],
    missing: { series: { workqueue_depth: stays(4) }, fires: true, because: "a pass that never ended was never counted" },
  },
  {
    alert: "NexusOperatorQueueLong",
    fires: { series: { workqueue_depth: turns(0, 501) }, onsetSeconds: TURN_SECONDS, labels: JOB, says: ["501"] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ workqueue_depth: stays(500) }],
    missing: { series: { up: stays(1) }, fires: false, because: "nothing is known of the queue" },
  },
  {
    alert: "NexusOperatorClustersHeldBack",
    fires: { series: { nexus_operator_clusters_held_back: turns(0, 1) }, onsetSeconds: TURN_SECONDS, labels: JOB, says: ["1"] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ nexus_operator_clusters_held_back: lapses(0, 1, 300) }],
    missing: { series: { up: stays(1) }, fires: false, because: "nothing is known of any" },
  },
  {
    alert: "NexusOperatorWritesChangeNothing",
    ends: { series: { 'nexus_operator_unchanged_writes_total{kind="Service"}': once(1) }, quietSeconds: 2100 },
    fires: {
      series: { 'nexus_operator_unchanged_writes_total{kind="Service"}': once(1) },
      onsetSeconds: TURN_SECONDS,
      labels: { ...JOB, kind: "Service" },
      says: ["1"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [{ 'nexus_operator_unchanged_writes_total{kind="Service"}': stays(1) }],
    missing: { series: { up: stays(1) }, fires: false, because: "there was none" },
  },
];

const API_SERVER: readonly AlertCase[] = [
  {
    alert: "NexusOperatorApiErrors",
    fires: {
      series: { [WELL]: rises(360), [CONFLICT]: rises(18), [FORBIDDEN]: rises(10), [BROKEN]: rises(10) },
      onsetSeconds: 30,
      labels: JOB,
      says: ["5.025%"],
    },
    silent: HEALTHY_OPERATOR,
    boundary: [
      { [WELL]: rises(362), [CONFLICT]: rises(18), [FORBIDDEN]: rises(10), [BROKEN]: rises(10) },
      { [WELL]: rises(9), [CONFLICT]: rises(9), [FORBIDDEN]: rises(1.95) }, // 19.5 in five minutes
    ],
    missing: { series: { [BROKEN]: rises(2) }, fires: true, because: "nothing succeeds any more: all there is are failures" },
  },
  {
    alert: "NexusOperatorWatchSilent",
    fires: { series: { [HEARD]: stays(0) }, onsetSeconds: 330, labels: { ...JOB, kind: "Pod" }, says: ["10m 30s"] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [HEARD]: "0+0x9 0+30x100" }],
    missing: { series: { up: stays(1) }, fires: false, because: "kinds that nobody watches cannot fall silent" },
  },
  {
    alert: "NexusOperatorCrdsAreOld",
    fires: { series: { [MISSING_FIELDS]: turns(0, 3) }, onsetSeconds: TURN_SECONDS, labels: { ...JOB, kind: "Tenant" }, says: ["3"] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ [MISSING_FIELDS]: lapses(0, 3, 900) }],
    missing: { series: { up: stays(1) }, fires: false, because: "it has not been looked at yet" },
  },
  {
    alert: "NexusOperatorLogsErrors",
    fires: { series: { 'nexus_operator_log_lines_total{level="error"}': rises(1.05) }, onsetSeconds: 300, labels: JOB, says: ["10.5"] },
    silent: HEALTHY_OPERATOR,
    boundary: [{ 'nexus_operator_log_lines_total{level="error"}': rises(1), 'nexus_operator_log_lines_total{level="warn"}': rises(99) }],
    missing: {
      series: { 'nexus_operator_log_lines_total{level="info"}': rises(99) },
      fires: false,
      because: "no line of that level was written",
    },
  },
];

export const OPERATOR_CASES: readonly AlertCase[] = [...LEADERSHIP, ...PASSES, ...API_SERVER];

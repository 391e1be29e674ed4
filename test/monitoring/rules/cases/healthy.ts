// Why: the world in which every alert must be silent: a fleet and an operator at work, with every metric that a rule asks for.
// Times are seconds since 1970, and promtool's clock starts there. Data only.
import { histogram, rises, stays, type World } from "./case.ts";

const DAY = 86_400;

const bothPods = (series: Readonly<Record<string, string>>): World =>
  Object.fromEntries(
    Object.entries(series).flatMap(([selector, values]) =>
      ["live-a", "live-b"].map((pod) => [
        selector.includes("{") ? selector.replace("}", `,pod="${pod}"}`) : `${selector}{pod="${pod}"}`,
        values,
      ]),
    ),
  );

export const HEALTHY_FLEET: World = bothPods({
  up: stays(1),
  nexus_ready: stays(1),
  nexus_draining: stays(0),
  nexus_degraded: stays(0),
  process_start_time_seconds: stays(-3600),
  process_resident_memory_bytes: stays(400_000_000),
  nodejs_eventloop_lag_p99_seconds: stays(0.012),
  nexus_process_restarts_total: stays(0),
  'nexus_log_lines_total{level="info"}': rises(20),
  'nexus_log_lines_total{level="error"}': rises(0),
  'nexus_trace_spans_total{outcome="exported"}': rises(100),
  'nexus_trace_spans_total{outcome="dropped"}': rises(1),

  'nexus_sessions{transport="websocket"}': stays(5000),
  'nexus_sessions{transport="sse"}': stays(2000),
  'nexus_sessions_opened_total{transport="websocket"}': rises(300),
  'nexus_handshakes_total{transport="websocket",outcome="accepted"}': rises(300),
  'nexus_handshakes_total{transport="websocket",outcome="rejected"}': rises(30),
  'nexus_handshakes_total{transport="websocket",outcome="failed"}': rises(0),
  'nexus_refusals_total{code="node_full"}': rises(0),
  'nexus_resumes_total{outcome="recovered"}': rises(200),
  'nexus_resumes_total{outcome="gap"}': rises(1),
  nexus_send_queue_bytes: stays(100_000),

  'nexus_publishes_total{stream="channel",outcome="published"}': rises(1000),
  'nexus_publishes_total{stream="channel",outcome="failed"}': rises(0),
  'nexus_publishes_total{stream="inbox",outcome="replayed"}': rises(10),
  'nexus_publishes_total{stream="inbox",outcome="refused"}': rises(50),
  'nexus_deliveries_total{transport="websocket"}': rises(100_000),
  'nexus_dropped_total{reason="slow_consumer"}': rises(1),
  'nexus_dropped_total{reason="expired"}': rises(500),
  nexus_marks_lost_total: stays(0),
  ...histogram("nexus_delivery_latency_seconds", { "0.1": 9_990, "0.5": 10_000 }),

  nexus_redis_connected: stays(1),
  nexus_redis_breaker_state: stays(0),
  'nexus_redis_calls_total{outcome="ok"}': rises(3000),
  'nexus_redis_calls_total{outcome="timeout"}': rises(1),
  ...histogram("nexus_redis_call_duration_seconds", { "0.005": 3000 }),
  ...histogram("nexus_redis_lag_seconds", { "0.005": 10 }),
  nexus_redis_subscriptions_dead_total: stays(0),
  nexus_redis_streams_went_back_total: stays(0),
  nexus_redis_replicas_missing: stays(0),
  nexus_redis_layout_conflict: stays(0),
  nexus_rate_exchange_failures_total: stays(0),
  nexus_receipts_dropped_total: stays(0),
  nexus_trigger_listeners: stays(1),
  'nexus_triggers_total{form="stream",outcome="published"}': rises(100),
  'nexus_triggers_total{form="stream",outcome="dead"}': rises(0),

  nexus_postgres_connected: stays(1),
  nexus_postgres_unannounced_inboxes: stays(0),
  ...histogram("nexus_postgres_call_duration_seconds", { "0.01": 500 }),

  nexus_bundle_age_seconds: stays(40),
  'nexus_bundle_entries{kind="tenant"}': stays(12),
  'nexus_bundle_entries{kind="template"}': stays(80),
  nexus_bundle_rejected_entries: stays(0),
  nexus_jwks_outage_seconds: stays(0),
  'nexus_purges_total{outcome="done"}': rises(1),
  'nexus_purges_total{outcome="failed"}': rises(0),

  'nexus_tenant_sessions{tenant="acme"}': stays(300),
  'nexus_tenant_sessions_limit{tenant="acme"}': stays(1000),
  'nexus_tenant_refusals_total{tenant="acme",code="rate_limited"}': rises(5),
  'nexus_tenant_refusals_total{tenant="acme",code="forbidden"}': rises(500),

  nexus_tls_certificate_expiry_timestamp_seconds: stays(60 * DAY),
  'nexus_tls_rereads_total{outcome="taken"}': rises(1),
  'nexus_tls_rereads_total{outcome="failed"}': rises(0),
  nexus_admin_certificate_expiry_timestamp_seconds: stays(50 * DAY),
});

const CLUSTER = 'nexus_namespace="prod",nexus_cluster="live"';
const condition = (type: string, value: number): World => ({
  [`nexus_operator_cluster_condition{${CLUSTER},type="${type}"}`]: stays(value),
});

export const HEALTHY_OPERATOR: World = {
  'up{pod="operator-a"}': stays(1),
  'up{pod="operator-b"}': stays(1),
  'leader_election_master_status{pod="operator-a",name="nexus-operator"}': stays(1),
  'leader_election_master_status{pod="operator-b",name="nexus-operator"}': stays(0),
  process_start_time_seconds: stays(-3600),
  'nexus_operator_log_lines_total{level="info"}': rises(20),
  'nexus_operator_log_lines_total{level="error"}': rises(0),

  'controller_runtime_reconcile_errors_total{controller="cluster"}': rises(0),
  'controller_runtime_reconcile_panics_total{controller="cluster"}': rises(0),
  workqueue_longest_running_processor_seconds: stays(2),
  workqueue_depth: "0 3+0x1000",
  workqueue_work_duration_seconds_count: rises(20),
  nexus_operator_clusters_held_back: stays(0),
  'nexus_operator_unchanged_writes_total{kind="Service"}': stays(0),
  'rest_client_requests_total{code="200",method="GET"}': rises(300),
  'rest_client_requests_total{code="409",method="POST"}': rises(300),
  'rest_client_requests_total{code="500",method="GET"}': rises(1),
  'nexus_operator_watch_heard_timestamp_seconds{kind="Pod"}': "0+30x1000",
  'nexus_operator_crd_missing_fields{kind="Tenant"}': stays(0),

  ...condition("Available", 1),
  ...condition("Ready", 1),
  ...condition("Paused", 0),
  ...condition("Stalled", 0),
  ...condition("Drift", 0),
  ...condition("ConfigSynced", 1),
  ...condition("MonitoringReady", 1),
  ...condition("AutoscalingActive", 1),
  [`nexus_operator_cluster_pods{${CLUSTER},state="wanted"}`]: stays(4),
  [`nexus_operator_cluster_pods{${CLUSTER},state="ready"}`]: stays(4),
  [`nexus_operator_cluster_replicas_bound{${CLUSTER},bound="min"}`]: stays(2),
  [`nexus_operator_cluster_replicas_bound{${CLUSTER},bound="max"}`]: stays(10),
  [`nexus_operator_rollout_paused{${CLUSTER}}`]: stays(0),
  [`nexus_operator_upgrade_pending{${CLUSTER}}`]: stays(0),
  [`nexus_operator_certificate_expiry_timestamp_seconds{${CLUSTER},certificate="admin"}`]: stays(60 * DAY),
  [`nexus_operator_certificate_expiry_timestamp_seconds{${CLUSTER},certificate="admin_ca"}`]: stays(700 * DAY),
  [`nexus_operator_certificate_expiry_timestamp_seconds{${CLUSTER},certificate="listener"}`]: stays(DAY),
  [`nexus_operator_cluster_oldest_push_seconds{${CLUSTER}}`]: stays(0),
  [`nexus_operator_boot_copy_oldest_seconds{${CLUSTER}}`]: stays(55),
  [`nexus_operator_boot_copy_fullest_ratio{${CLUSTER}}`]: stays(0.02),
  [`nexus_operator_cluster_reconciled_timestamp_seconds{${CLUSTER}}`]: rises(30),
  ...histogram("nexus_operator_live_duration_seconds", { "0.25": 10 }),
  'nexus_operator_objects{kind="Tenant",state="ready"}': stays(99),
  'nexus_operator_objects{kind="Tenant",state="not_ready"}': stays(1),
  nexus_operator_clusters_unlabelled: stays(0),
};

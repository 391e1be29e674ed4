// Why: the part of a fleet's page about what its pods were told, the credentials that run out, and PostgreSQL when it has one:
// seldom the reason, so closed at first. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Panel, Row } from "../model.ts";
import { happening, perSecond, quantiles } from "../promql.ts";
import { ofCluster, perPod } from "../scope.ts";

export const configurationRow = (cluster: NexusCluster): Row => ({
  title: "Configuration and credentials",
  collapsed: true,
  panels: [
    {
      kind: "timeseries",
      title: "Age of the configuration",
      description: "Since a leading operator last confirmed it; it does so each minute. -1: never yet. Pods go on with what they have.",
      unit: "s",
      width: 8,
      thresholds: { warning: 120, error: 180 },
      queries: [perPod(`max by (pod) (${ofCluster("nexus_bundle_age_seconds")})`)],
      alerts: ["NexusConfigurationOld"],
    },
    {
      kind: "timeseries",
      title: "Objects that are live, and refused",
      description: "Tenants and Templates each pod has (the least of all pods), and those it was told and cannot use.",
      unit: "short",
      width: 8,
      queries: [
        { expr: `min by (kind) (${ofCluster("nexus_bundle_entries")})`, legend: "{{kind}}" },
        { expr: `max(${ofCluster("nexus_bundle_rejected_entries")})`, legend: "refused" },
      ],
      alerts: ["NexusConfigurationRejected", "NexusConfigurationDiffers"],
    },
    {
      kind: "timeseries",
      title: "Pushes",
      description: "By outcome. mismatch is repaired at once; refused repeats until the object or the server's release changes.",
      unit: "cps",
      width: 8,
      queries: [{ expr: perSecond(ofCluster("nexus_bundle_pushes_total"), "outcome"), legend: "{{outcome}}" }],
    },
    {
      kind: "timeseries",
      title: "Time until certificates end",
      description: "The admin port's is renewed by the operator, the public port's by you or cert-manager. At 0 nobody connects any more.",
      unit: "s",
      width: 8,
      queries: [
        expiry("nexus_admin_certificate_expiry_timestamp_seconds", "admin port"),
        ...(cluster.spec.tls === undefined ? [] : [expiry("nexus_tls_certificate_expiry_timestamp_seconds", "public port")]),
      ],
      alerts: ["NexusAdminCertificateExpires", ...(cluster.spec.tls === undefined ? [] : LISTENER_ALERTS)],
    },
    {
      kind: "timeseries",
      title: "Key sets of issuers",
      description: "How long an issuer has not answered with its keys. Tokens of keys that are known still work; new keys do not.",
      unit: "s",
      width: 8,
      queries: [{ expr: `max(${ofCluster("nexus_jwks_outage_seconds")})`, legend: "away" }],
      alerts: ["NexusKeySetUnavailable"],
    },
    {
      kind: "timeseries",
      title: "Data of deleted tenants",
      description:
        "Tenants whose data are not known to be gone, and tries that failed in the last hour. It stays above 0 only while deleting fails.",
      unit: "short",
      width: 8,
      queries: [
        { expr: `max(${ofCluster("nexus_purges_pending")})`, legend: "to delete" },
        { expr: `sum(increase(${ofCluster("nexus_purges_total", 'outcome="failed"')}[1h])) or vector(0)`, legend: "failed tries" },
      ],
      alerts: ["NexusPurgeFails"],
    },
    ...traces(cluster),
  ],
});

const LISTENER_ALERTS = ["NexusListenerCertificateExpires", "NexusListenerCertificateExpiresSoon", "NexusListenerCertificateNotRead"];

const expiry = (metric: string, legend: string) => ({ expr: `min(${ofCluster(metric)} > 0) - time()`, legend });

const traces = ({ spec }: NexusCluster): readonly Panel[] =>
  spec.monitoring.tracing === undefined
    ? []
    : [
        {
          kind: "timeseries",
          title: "Spans of traces",
          description: "dropped or failed: the collector is away or too slow. Notifications do not wait for it.",
          unit: "cps",
          width: 8,
          alerts: ["NexusTracesLost"],
          queries: [
            { expr: happening(ofCluster("nexus_trace_spans_total"), "outcome"), legend: "{{outcome}}", mayBeEmpty: "nothing was sampled" },
          ],
        },
      ];

/** Durable inboxes. */
export const postgresRow: Row = {
  title: "PostgreSQL",
  panels: [
    {
      kind: "timeseries",
      title: "PostgreSQL answers",
      description: "Share of pods it answers. Without it inboxes cannot be written or read; channels go on.",
      unit: "percentunit",
      width: 6,
      max: 1,
      queries: [{ expr: `avg(${ofCluster("nexus_postgres_connected")})`, legend: "connected" }],
      alerts: ["NexusPostgresDown"],
    },
    {
      kind: "timeseries",
      title: "Statements",
      description: "By how they ended; rejected: not sent, it is away or too many wait.",
      unit: "cps",
      width: 6,
      queries: [{ expr: perSecond(ofCluster("nexus_postgres_calls_total"), "outcome"), legend: "{{outcome}}" }],
    },
    {
      kind: "timeseries",
      title: "Time of statements",
      description: "From asking for a connection to the answer. All three up: too few connections, or a slow disk.",
      unit: "s",
      width: 6,
      queries: quantiles(ofCluster("nexus_postgres_call_duration_seconds_bucket")),
      alerts: ["NexusPostgresSlow"],
    },
    {
      kind: "timeseries",
      title: "Inboxes announced late",
      description: "Inboxes with entries that Redis has not announced yet: their users get them late.",
      unit: "short",
      width: 6,
      queries: [{ expr: `sum(${ofCluster("nexus_postgres_unannounced_inboxes")})`, legend: "inboxes" }],
      alerts: ["NexusPostgresInboxesUnannounced"],
    },
  ],
};

// Why: the part of a fleet's page about sessions: how many, who comes in, who is turned away and why, who leaves. Pure.
import type { Row } from "../model.ts";
import { happening, perSecond, quantiles, share } from "../promql.ts";
import { NEVER_HAPPENED, ofCluster, perPod } from "../scope.ts";

export const sessionsRow: Row = {
  title: "Sessions",
  panels: [
    {
      kind: "timeseries",
      title: "Sessions",
      description: "Open sessions by transport. SSE rising while WebSocket falls: something between us and people stops upgrades.",
      unit: "short",
      width: 8,
      stacked: true,
      queries: [{ expr: `sum by (transport) (${ofCluster("nexus_sessions")})`, legend: "{{transport}}" }],
    },
    {
      kind: "timeseries",
      title: "Sessions by pod, of what it may hold",
      description:
        "Each pod's share of its limit. At 100 % it turns people away; one line far above the others: a load balancer holds on to old pods.",
      unit: "percentunit",
      width: 8,
      thresholds: { warning: 0.8, error: 1 },
      queries: [perPod(`sum by (pod) (${ofCluster("nexus_sessions")}) / sum by (pod) (${ofCluster("nexus_sessions_limit")} > 0)`)],
      alerts: ["NexusConnectionsNearLimit", "NexusConnectionLimitReached", "NexusLoadAboveTarget"],
    },
    {
      kind: "timeseries",
      title: "Attempts to open a session",
      description: "accepted; rejected: token, quota or a bad request; failed: our fault. A wall of attempts is a reconnect storm.",
      unit: "cps",
      width: 8,
      queries: [{ expr: perSecond(ofCluster("nexus_handshakes_total"), "outcome"), legend: "{{outcome}}" }],
      alerts: ["NexusReconnectStorm"],
    },
    {
      kind: "timeseries",
      title: "Sessions opened and closed",
      description: "Closed by code: 4000-4499 come back with back-off, 4500-4999 do not. 1006: the network ended it, or the client died.",
      unit: "cps",
      width: 12,
      queries: [
        { expr: perSecond(ofCluster("nexus_sessions_opened_total")), legend: "opened" },
        { expr: happening(ofCluster("nexus_sessions_closed_total"), "code"), legend: "closed {{code}}", mayBeEmpty: "nobody leaves now" },
      ],
    },
    {
      kind: "timeseries",
      title: "Time to open a session",
      description:
        "From the attempt's arrival to its answer. Slow here and fast elsewhere: key sets of an issuer, or the session count in Redis.",
      unit: "s",
      width: 12,
      queries: quantiles(ofCluster("nexus_handshake_duration_seconds_bucket")),
    },
    {
      kind: "timeseries",
      title: "Refusals",
      description:
        "Requests, upgrades and frames refused, by failure code. unauthorized: tokens; rate_limited, connection_limit: a tenant, see its page; node_full, broker_unavailable: us.",
      unit: "cps",
      width: 8,
      queries: [{ expr: happening(ofCluster("nexus_refusals_total"), "code"), legend: "{{code}}", mayBeEmpty: "nobody is refused now" }],
    },
    {
      kind: "timeseries",
      title: "Frames from clients",
      description: "By type. A wall of one type is a client in a loop; invalid: somebody speaks another protocol.",
      unit: "cps",
      width: 8,
      queries: [{ expr: happening(ofCluster("nexus_frames_received_total"), "type"), legend: "{{type}}" }],
    },
    {
      kind: "timeseries",
      title: "Coming back",
      description: "Share of streams whose listeners may have missed something, of all that came back with a place; by reason below it.",
      unit: "percentunit",
      width: 8,
      queries: [
        {
          expr: share(ofCluster("nexus_resumes_total", 'outcome="gap"'), ofCluster("nexus_resumes_total", 'outcome=~"gap|recovered"')),
          legend: "may have missed something",
        },
      ],
      alerts: ["NexusResumesFail"],
    },
    {
      kind: "timeseries",
      title: "Streams that sessions came to",
      description: "recovered: whole from where the client stood; gap: entries may be missing; fresh: it named no place.",
      unit: "cps",
      width: 8,
      queries: [{ expr: perSecond(ofCluster("nexus_resumes_total"), "outcome"), legend: "{{outcome}}" }],
    },
    {
      kind: "timeseries",
      title: "Told that something may be missing",
      description:
        "Gaps by reason. window_exceeded: away longer than the stream keeps; epoch_changed: Redis lost entries; slow_consumer: too slow a reader.",
      unit: "cps",
      width: 8,
      queries: [{ expr: happening(ofCluster("nexus_gaps_total"), "reason"), legend: "{{reason}}", mayBeEmpty: NEVER_HAPPENED }],
    },
    {
      kind: "timeseries",
      title: "Users, channels, subscriptions",
      description:
        "Different users with a session, channels somebody listens to, and subscriptions; of all pods, so a user on two pods counts twice.",
      unit: "short",
      width: 8,
      queries: [
        { expr: `sum(${ofCluster("nexus_users")})`, legend: "users" },
        { expr: `sum(${ofCluster("nexus_channels")})`, legend: "channels" },
        { expr: `sum(${ofCluster("nexus_subscriptions")})`, legend: "subscriptions" },
      ],
    },
  ],
};

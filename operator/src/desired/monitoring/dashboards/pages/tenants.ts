// Why: which tenant is hurt, and which one hurts the others. Only tenants with series of their own can be chosen; all others are
// summed as `other`. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { QUOTA_CODES } from "../../rules/tenants.ts";
import type { Dashboard, Panel, Row } from "../model.ts";
import { perSecond, share } from "../promql.ts";
import { clusterLinks, clusterTitle, clusterUid, clusterVariables, NEVER_HAPPENED, ofCluster, TAG } from "../scope.ts";

export const tenantsDashboard = (cluster: NexusCluster): Dashboard => ({
  uid: clusterUid(cluster, "tenants"),
  file: "nexus-tenants",
  title: clusterTitle(cluster, "tenants"),
  description:
    "Tenants of one fleet: who is turned away, who is near a quota, who makes the load. Tenants past NEXUS_METRICS_TENANTS are `other`.",
  tags: [TAG, "nexus-tenants"],
  variables: [
    ...clusterVariables(cluster),
    { name: "tenant", label: "Tenant", query: ofCluster("nexus_tenant_sessions"), values: "tenant", all: ".+" },
  ],
  links: clusterLinks(cluster, "tenants"),
  rows: [MOST, CHOSEN],
});

const of = (metric: string, more = ""): string => ofCluster(metric, `tenant=~"$tenant"${more === "" ? "" : `,${more}`}`);
/** The ten largest now. */
const most = (expr: string): string => `topk(10, ${expr})`;

const TURNED_AWAY = `code=~"${QUOTA_CODES.join("|")}"`;
/** Sessions of a tenant against what its quota allows in the whole fleet; tenants without one have no line. */
const fullness = `sum by (tenant) (${of("nexus_tenant_sessions")}) / (max by (tenant) (${of("nexus_tenant_sessions_limit")}) > 0)`;

const MOST: Row = {
  title: "Who needs attention",
  panels: [
    {
      kind: "table",
      title: "Tenants",
      description:
        "Who is turned away for a quota comes first. Of its limit: share of the sessions its quota allows; empty without a limit.",
      unit: "short",
      width: 24,
      height: 10,
      columns: { tenant: "Tenant" },
      sort: { by: "Over quota", first: "largest" },
      queries: [
        { expr: `sum by (tenant) (${of("nexus_tenant_sessions")})`, legend: "Sessions" },
        { expr: fullness, legend: "Of its limit" },
        { expr: perSecond(of("nexus_tenant_publishes_total"), "tenant"), legend: "Published" },
        { expr: perSecond(of("nexus_tenant_deliveries_total"), "tenant"), legend: "Delivered" },
        { expr: perSecond(of("nexus_tenant_refusals_total"), "tenant"), legend: "Refused" },
        { expr: perSecond(of("nexus_tenant_refusals_total", TURNED_AWAY), "tenant"), legend: "Over quota" },
      ],
      values: {
        "Of its limit": { unit: "percentunit", thresholds: { warning: 0.8, error: 0.95 } },
        Published: { unit: "mps" },
        Delivered: { unit: "mps" },
        Refused: { unit: "cps" },
        "Over quota": { unit: "cps", thresholds: { warning: 0.1, error: 1 } },
      },
    },
    line({
      title: "Over quota",
      description: "Refused because a quota or a rate was reached. The tenant's users and backends see 429; nobody else is hurt.",
      unit: "cps",
      queries: [{ expr: most(perSecond(of("nexus_tenant_refusals_total", TURNED_AWAY), "tenant")), legend: "{{tenant}}" }],
      alerts: ["NexusTenantOverQuota"],
    }),
    line({
      title: "Of the sessions a tenant may have",
      description: "At 100 % its next user is turned away. Raise quotas.connections of the Tenant, or find who opens so many.",
      unit: "percentunit",
      thresholds: { warning: 0.9, error: 1 },
      queries: [{ expr: most(fullness), legend: "{{tenant}}" }],
      alerts: ["NexusTenantNearSessionLimit"],
    }),
  ],
};

const CHOSEN: Row = {
  title: "The chosen tenants",
  panels: [
    line({
      title: "Sessions",
      description: "The ten with most. A step down of one tenant alone: its tokens or its network, not the fleet.",
      unit: "short",
      queries: [{ expr: most(`sum by (tenant) (${of("nexus_tenant_sessions")})`), legend: "{{tenant}}" }],
    }),
    line({
      title: "Delivered",
      description: "Notifications written to the tenant's sessions: the load it makes.",
      unit: "mps",
      queries: [{ expr: most(perSecond(of("nexus_tenant_deliveries_total"), "tenant")), legend: "{{tenant}}" }],
    }),
    line({
      title: "Published",
      description: "By the tenant's backends and users, whatever the outcome.",
      unit: "mps",
      queries: [{ expr: most(perSecond(of("nexus_tenant_publishes_total"), "tenant")), legend: "{{tenant}}" }],
    }),
    line({
      title: "Publishes that fail or are refused",
      description: "Share of each tenant's publishes. One tenant: its requests; all of them: us.",
      unit: "percentunit",
      queries: [
        {
          expr: most(share(of("nexus_tenant_publishes_total", 'outcome=~"refused|failed"'), of("nexus_tenant_publishes_total"), "tenant")),
          legend: "{{tenant}}",
        },
      ],
    }),
    {
      ...line({
        title: "Refusals by code",
        description: "Of the chosen tenants together. unauthorized: keys or tokens; forbidden: channel rules; invalid_…: the request.",
        unit: "cps",
        queries: [{ expr: `${perSecond(of("nexus_tenant_refusals_total"), "code")} > 0`, legend: "{{code}}", mayBeEmpty: NEVER_HAPPENED }],
      }),
      width: 24,
    },
  ],
};

function line(panel: Omit<Extract<Panel, { kind: "timeseries" }>, "kind" | "width">): Panel {
  return { ...panel, kind: "timeseries", width: 12 };
}

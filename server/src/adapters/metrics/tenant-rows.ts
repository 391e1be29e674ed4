// Why: which tenant is hurt, or hurts the others. Only declared tenants have series, at most NEXUS_METRICS_TENANTS of them,
// the same on every node; the rest is `other`. It must never have a series for an id that a peer made up.

import { PUBLISH_OUTCOMES } from "./message-rows.ts";
import type { ServerMetricRow } from "./row.ts";
import { REFUSAL_CODES } from "./session-rows.ts";

const TENANT = "ids of Tenants, at most NEXUS_METRICS_TENANTS of them, and other";

export const TENANT_ROWS = {
  nexus_tenant_sessions: { type: "gauge", help: "Open sessions, by tenant.", labels: { tenant: TENANT } },
  nexus_tenant_sessions_limit: {
    type: "gauge",
    help: "Sessions the tenant may have in the whole cluster; absent where its quota says none, and for other.",
    labels: { tenant: "ids of Tenants, at most NEXUS_METRICS_TENANTS of them" },
    across: "max",
  },
  nexus_tenant_publishes_total: {
    type: "counter",
    help: "Publishes, by tenant and outcome.",
    labels: { tenant: TENANT, outcome: PUBLISH_OUTCOMES },
  },
  nexus_tenant_deliveries_total: { type: "counter", help: "Notifications written to sessions, by tenant.", labels: { tenant: TENANT } },
  nexus_tenant_refusals_total: {
    type: "counter",
    help: "Requests, upgrades and frames refused whose tenant is known, by tenant and failure code.",
    labels: { tenant: TENANT, code: REFUSAL_CODES },
  },
} as const satisfies Record<string, ServerMetricRow>;

// Why: a tenant that uses more than it may is refused, which is right, and still somebody wants to know. Tenants without a series of
// their own are one, `other`. Pure.
import type { Alert } from "./model.ts";
import { FLEET, perSecond, type Series, WHERE } from "./series.ts";

const REFUSALS_PER_SECOND = 1;
const NEAR = 0.9;
const TENANT = `${FLEET}, tenant`;
/** Codes that say "more than the quota". */
export const QUOTA_CODES = ["rate_limited", "connection_limit"] as const;

export const tenantAlerts = (of: Series): readonly Alert[] => [
  {
    name: "NexusTenantOverQuota",
    expr: `${perSecond(`${TENANT}, code`, of("nexus_tenant_refusals_total", `code=~"${QUOTA_CODES.join("|")}"`), "2m")} > ${REFUSALS_PER_SECOND}`,
    forSeconds: 60,
    severity: "warning",
    summary: `Tenant {{ $labels.tenant }} of ${WHERE} is over its quota`,
    description: `{{ $value | humanize }} of its requests a second are refused with {{ $labels.code }}; it fires above ${REFUSALS_PER_SECOND}. The tenant's own people and backends are hurt, nobody else's: that is what the quota is for.`,
  },
  {
    name: "NexusTenantNearSessionLimit",
    expr: `sum by (${TENANT}) (${of("nexus_tenant_sessions")}) / (max by (${TENANT}) (${of("nexus_tenant_sessions_limit")}) > 0) > ${NEAR}`,
    forSeconds: 300,
    severity: "info",
    summary: `Tenant {{ $labels.tenant }} of ${WHERE} has nearly as many sessions as it may`,
    description: `It has {{ $value | humanizePercentage }} of the sessions that its quotas.connections allows; it fires above ${NEAR * 100} %. At 100 % its next people are refused.`,
  },
];

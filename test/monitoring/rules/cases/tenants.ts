// Why: the cases of alerts about single tenants.
import { type AlertCase, rises, stays, TURN_SECONDS, turns } from "./case.ts";
import { HEALTHY_FLEET } from "./healthy.ts";

const refused = (code: string, pod = "live-a") => `nexus_tenant_refusals_total{tenant="acme",code="${code}",pod="${pod}"}`;
const ACME = 'tenant="acme"';

export const TENANT_CASES: readonly AlertCase[] = [
  {
    alert: "NexusTenantOverQuota",
    // 31 in half a minute on two pods together, from the second minute on for two minutes.
    fires: {
      series: { [refused("rate_limited")]: rises(20), [refused("rate_limited", "live-b")]: rises(11) },
      onsetSeconds: 120,
      labels: { tenant: "acme", code: "rate_limited" },
      says: ["1.033"],
    },
    silent: HEALTHY_FLEET,
    boundary: [{ [refused("rate_limited")]: rises(30), [refused("connection_limit")]: rises(30), [refused("forbidden")]: rises(900) }],
    missing: { series: { [refused("connection_limit")]: rises(31) }, fires: true, because: "one code is enough" },
  },
  {
    alert: "NexusTenantNearSessionLimit",
    fires: {
      series: {
        ...{
          [`nexus_tenant_sessions{${ACME},pod="live-a"}`]: turns(400, 501),
          [`nexus_tenant_sessions{${ACME},pod="live-b"}`]: stays(400),
        },
        ...{
          [`nexus_tenant_sessions_limit{${ACME},pod="live-a"}`]: stays(1000),
          [`nexus_tenant_sessions_limit{${ACME},pod="live-b"}`]: stays(1000),
        },
      },
      onsetSeconds: TURN_SECONDS,
      labels: { tenant: "acme" },
      says: ["90.1%"],
    },
    silent: HEALTHY_FLEET,
    boundary: [
      { [`nexus_tenant_sessions{${ACME}}`]: stays(900), [`nexus_tenant_sessions_limit{${ACME}}`]: stays(1000) },
      { [`nexus_tenant_sessions{${ACME}}`]: stays(900), [`nexus_tenant_sessions_limit{${ACME}}`]: stays(0) }, // no divisor
    ],
    missing: { series: { [`nexus_tenant_sessions{${ACME}}`]: stays(99_999) }, fires: false, because: "who has no quota cannot be near it" },
  },
];

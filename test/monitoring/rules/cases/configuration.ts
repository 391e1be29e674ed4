// Why: the cases of alerts about what servers were told and whose keys they trust.
import { type AlertCase, lapses, rises, stays, TURN_SECONDS, turns } from "./case.ts";
import { HEALTHY_FLEET } from "./healthy.ts";

const PUBLISHED = 'nexus_triggers_total{form="pubsub",outcome="published"}';
const INVALID = 'nexus_triggers_total{form="pubsub",outcome="invalid"}';
const FAILED = 'nexus_triggers_total{form="pubsub",outcome="failed"}';
const DEAD = 'nexus_triggers_total{form="stream",outcome="dead"}';
const TENANTS = 'nexus_bundle_entries{kind="tenant"';

export const CONFIGURATION_CASES: readonly AlertCase[] = [
  {
    alert: "NexusConfigurationOld",
    fires: {
      // One pod grows old; one was never told, and has run for long enough at the sixth minute.
      series: {
        ...{ 'nexus_bundle_age_seconds{pod="live-a"}': turns(40, 181), 'process_start_time_seconds{pod="live-a"}': stays(-9000) },
        ...{ 'nexus_bundle_age_seconds{pod="live-b"}': stays(-1), 'process_start_time_seconds{pod="live-b"}': stays(120) },
      },
      onsetSeconds: TURN_SECONDS,
      says: ["2"],
    },
    silent: HEALTHY_FLEET,
    boundary: [
      {
        ...{ 'nexus_bundle_age_seconds{pod="live-a"}': stays(180), 'process_start_time_seconds{pod="live-a"}': stays(-9000) },
        ...{ 'nexus_bundle_age_seconds{pod="live-b"}': `-1+0x18 5+0x1000`, 'process_start_time_seconds{pod="live-b"}': stays(300) },
      },
    ],
    missing: { series: { nexus_bundle_age_seconds: stays(181) }, fires: true, because: "old is old, whenever the pod was started" },
  },
  {
    alert: "NexusConfigurationDiffers",
    fires: {
      series: { [`${TENANTS},pod="live-a"}`]: turns(12, 13), [`${TENANTS},pod="live-b"}`]: stays(12) },
      onsetSeconds: TURN_SECONDS,
      says: ["1"],
    },
    silent: HEALTHY_FLEET,
    boundary: [{ [`${TENANTS},pod="live-a"}`]: lapses(12, 13, 300), [`${TENANTS},pod="live-b"}`]: stays(12) }],
    missing: { series: { [`${TENANTS},pod="live-a"}`]: stays(13) }, fires: false, because: "one pod alone differs from nobody" },
  },
  {
    alert: "NexusConfigurationRejected",
    fires: { series: { nexus_bundle_rejected_entries: turns(0, 2) }, onsetSeconds: TURN_SECONDS, says: ["2"] },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_bundle_rejected_entries: lapses(0, 2, 300) }],
    missing: { series: { up: stays(1) }, fires: false, because: "nothing is known of any" },
  },
  {
    alert: "NexusKeySetUnavailable",
    fires: { series: { nexus_jwks_outage_seconds: `0+0x9 30+30x100` }, onsetSeconds: TURN_SECONDS, says: ["5m 30s"] },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_jwks_outage_seconds: lapses(0, 30, 300) }],
    missing: { series: { up: stays(1) }, fires: false, because: "no issuer has a jwksURL" },
  },
  {
    alert: "NexusTriggersFail",
    fires: {
      series: { [PUBLISHED]: rises(180), [INVALID]: rises(9), [FAILED]: rises(6), [DEAD]: rises(5) },
      onsetSeconds: 30,
      says: ["5.5%"],
    },
    silent: HEALTHY_FLEET,
    boundary: [
      { [PUBLISHED]: rises(181), [INVALID]: rises(9), [FAILED]: rises(5), [DEAD]: rises(5) },
      { [PUBLISHED]: rises(9), [FAILED]: rises(0.95) }, // 9.5 in five minutes
    ],
    missing: { series: { [FAILED]: rises(1) }, fires: true, because: "nothing succeeds any more: all there is are failures" },
  },
  {
    alert: "NexusPurgeFails",
    fires: {
      series: { 'nexus_purges_total{outcome="failed"}': rises(1), 'nexus_purges_total{outcome="done"}': rises(0) },
      onsetSeconds: 30,
      says: ["31"],
    },
    silent: HEALTHY_FLEET,
    boundary: [{ 'nexus_purges_total{outcome="failed"}': rises(1), 'nexus_purges_total{outcome="done"}': "0+0x9 1+1x1000" }],
    missing: { series: { 'nexus_purges_total{outcome="failed"}': rises(1) }, fires: true, because: "none was ever done" },
  },
];

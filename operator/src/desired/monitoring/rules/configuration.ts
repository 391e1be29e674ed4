// Why: what servers were told and what they depend on for deciding who may in: a fleet with old configuration looks well and is
// wrong. Pure.
import type { Alert } from "./model.ts";
import { FLEET, gained, POD, perSecond, type Series, WHERE } from "./series.ts";

/** Digests are compared every minute: this is two comparisons that did not come. */
const OLD_SECONDS = 180;
const FAILED_SHARE = 0.05;
const MANY_FAILED = 10;

export function configurationAlerts(of: Series): readonly Alert[] {
  const age = of("nexus_bundle_age_seconds");
  const failed = of("nexus_triggers_total", 'outcome=~"failed|overflow|dead"');
  return [
    {
      name: "NexusConfigurationOld",
      // -1: never confirmed. A pod that has just started is not meant.
      expr: `count by (${FLEET}) (${age} > ${OLD_SECONDS} or (${age} == -1 and on (${POD}) time() - ${of("process_start_time_seconds")} > ${OLD_SECONDS}))`,
      forSeconds: 60,
      severity: "warning",
      summary: `Pods of ${WHERE} may have old configuration`,
      description: `On {{ $value }} pods no leading operator has confirmed the configuration for ${OLD_SECONDS} s. They go on with what they have: new tenants, rotated keys and changed templates may not work there, and revoked ones still do.`,
    },
    {
      name: "NexusConfigurationDiffers",
      expr: `max by (${FLEET}) (max by (${FLEET}, kind) (${of("nexus_bundle_entries")}) - min by (${FLEET}, kind) (${of("nexus_bundle_entries")})) > 0`,
      forSeconds: 300,
      severity: "warning",
      summary: `Pods of ${WHERE} have different configuration`,
      description:
        "For 5 minutes one pod has had {{ $value }} tenants or templates more than another. Whether a request works depends on the pod it reaches.",
    },
    {
      name: "NexusConfigurationRejected",
      expr: `max by (${FLEET}) (${of("nexus_bundle_rejected_entries")}) > 0`,
      forSeconds: 300,
      severity: "warning",
      summary: `Servers of ${WHERE} cannot use all of their configuration`,
      description:
        "{{ $value }} objects that the operator sent are refused by a server. The others work; these keep their last good version, or none. Servers and operator may be of releases too far apart.",
    },
    {
      name: "NexusKeySetUnavailable",
      expr: `max by (${FLEET}) (${of("nexus_jwks_outage_seconds")}) > 0`,
      forSeconds: 300,
      severity: "warning",
      summary: `An issuer's key set cannot be had by ${WHERE}`,
      description:
        "For {{ $value | humanizeDuration }} an issuer's jwksURL has not answered. Known keys stay in use; tokens signed with a newer one are refused, and those people cannot connect.",
    },
    {
      name: "NexusTriggersFail",
      expr: `${perSecond(FLEET, failed, "5m")} / ${perSecond(FLEET, of("nexus_triggers_total"), "5m")} > ${FAILED_SHARE} and ${gained(FLEET, failed, "5m")} >= ${MANY_FAILED}`,
      forSeconds: 300,
      severity: "warning",
      summary: `Triggers of ${WHERE} fail`,
      description: `{{ $value | humanizePercentage }} of the triggers from Redis failed, overflowed or became dead letters; it fires above ${FAILED_SHARE * 100} % and from ${MANY_FAILED} in 5 minutes on. What backends send by pub/sub is lost then, what they send to the stream is tried again.`,
    },
    {
      name: "NexusPurgeFails",
      expr: `${gained(FLEET, of("nexus_purges_total", 'outcome="failed"'), "30m")} > 0 unless ${gained(FLEET, of("nexus_purges_total", 'outcome="done"'), "30m")} > 0`,
      forSeconds: 900,
      severity: "warning",
      summary: `Data of deleted tenants of ${WHERE} are not deleted`,
      description:
        "{{ $value | humanize }} tries in 30 minutes failed, and none succeeded. The data of a Tenant with deletionPolicy Delete are still there; a tenant with the same id is not taken in before they are gone.",
    },
  ];
}

// Why: the cases of alerts about certificates of a fleet. promtool's clock starts at 0, so an end is a time from now.
import { type AlertCase, rises, stays, wakes } from "./case.ts";
import { HEALTHY_FLEET } from "./healthy.ts";

const DAY = 86_400;
const LISTENER = "nexus_tls_certificate_expiry_timestamp_seconds";
const ADMIN = "nexus_admin_certificate_expiry_timestamp_seconds";

/** At ten minutes so many days are left and no more; nine minutes later it has been so for its time. */
const ending = (alert: string, metric: string, days: number, left: string): AlertCase => ({
  alert,
  fires: {
    series: { [metric]: stays(days * DAY + 600), [`${metric}{pod="live-b"}`]: stays(90 * DAY) },
    onsetSeconds: 630, // the first step below
    says: [left],
  },
  silent: HEALTHY_FLEET,
  boundary: [{ [metric]: stays(days * DAY + 9000) }],
  missing: {
    series: { [metric]: stays(0) },
    fires: false,
    because: "0 says that there is none; one that cannot be read is the operator's to tell",
  },
});

export const CERTIFICATE_CASES: readonly AlertCase[] = [
  ending("NexusListenerCertificateExpires", LISTENER, 14, "13d 23h 58m 30s"),
  ending("NexusListenerCertificateExpiresSoon", LISTENER, 2, "1d 23h 58m 30s"),
  ending("NexusAdminCertificateExpires", ADMIN, 3, "2d 23h 58m 30s"),
  {
    alert: "NexusListenerCertificateNotRead",
    fires: { series: { 'nexus_tls_rereads_total{outcome="failed"}': wakes(1) }, onsetSeconds: 300, says: ["5"] },
    silent: HEALTHY_FLEET,
    boundary: [{ 'nexus_tls_rereads_total{outcome="failed"}': stays(6), 'nexus_tls_rereads_total{outcome="taken"}': rises(1) }],
    missing: { series: { 'nexus_tls_rereads_total{outcome="taken"}': rises(1) }, fires: false, because: "none failed" },
  },
];

// Why: certificates end at a time that is known long before. A value of 0 says that there is none, or none that can be read, and
// must not look like one that ended in 1970. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Alert } from "./model.ts";
import { FLEET, gained, type Series, WHERE } from "./series.ts";

const DAY = 86_400;
const LISTENER_DAYS = 14;
const LISTENER_LAST_DAYS = 2;
const ADMIN_DAYS = 3;

const left = (series: string): string => `min by (${FLEET}) (${series} > 0) - time()`;

/** Only for clusters that end TLS themselves. */
function listener(cluster: NexusCluster, of: Series): readonly Alert[] {
  if (!cluster.spec.tls) return [];
  const remaining = left(of("nexus_tls_certificate_expiry_timestamp_seconds"));
  return [
    {
      name: "NexusListenerCertificateExpires",
      expr: `${remaining} < ${LISTENER_DAYS * DAY}`,
      forSeconds: 60,
      severity: "warning",
      summary: `The certificate of ${WHERE} ends soon`,
      description: `The certificate that people see is valid for another {{ $value | humanizeDuration }}; it fires below ${LISTENER_DAYS} days. Nobody notices before it ends; then nobody can connect.`,
    },
    {
      name: "NexusListenerCertificateExpiresSoon",
      expr: `${remaining} < ${LISTENER_LAST_DAYS * DAY}`,
      forSeconds: 60,
      severity: "critical",
      summary: `The certificate of ${WHERE} ends within two days`,
      description: `The certificate that people see is valid for another {{ $value | humanizeDuration }}; it fires below ${LISTENER_LAST_DAYS} days. When it has ended nobody can connect, and sessions that break do not come back.`,
    },
    {
      name: "NexusListenerCertificateNotRead",
      expr: `${gained(FLEET, of("nexus_tls_rereads_total", 'outcome="failed"'), "5m")} > 0`,
      forSeconds: 120,
      severity: "warning",
      summary: `Servers of ${WHERE} cannot use their new certificate`,
      description:
        "{{ $value | humanize }} tries in 5 minutes to read the changed files failed. The old certificate stays in use until it ends; a pod that starts now would not come up.",
    },
  ];
}

export const certificateAlerts = (cluster: NexusCluster, of: Series): readonly Alert[] => [
  ...listener(cluster, of),
  {
    name: "NexusAdminCertificateExpires",
    expr: `${left(of("nexus_admin_certificate_expiry_timestamp_seconds"))} < ${ADMIN_DAYS * DAY}`,
    forSeconds: 60,
    severity: "critical",
    summary: `The certificate between operator and ${WHERE} ends soon`,
    description: `A pod's admin certificate is valid for another {{ $value | humanizeDuration }}; it fires below ${ADMIN_DAYS} days, and the operator renews it 30 days before. When it has ended no configuration reaches the pod any more.`,
  },
];

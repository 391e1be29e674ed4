// Why: inboxes that lie in PostgreSQL: only for clusters whose spec.storage.inbox says so. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Alert } from "./model.ts";
import { FLEET, perSecond, quantile, type Series, WHERE } from "./series.ts";

const SLOW_SECONDS = 0.5;
const SLOW_CALLS_PER_SECOND = 1;

export const postgresAlerts = (cluster: NexusCluster, of: Series): readonly Alert[] =>
  cluster.spec.storage.inbox !== "Postgres"
    ? []
    : [
        {
          name: "NexusPostgresDown",
          expr: `count by (${FLEET}) (${of("nexus_postgres_connected")} == 0)`,
          forSeconds: 60,
          severity: "critical",
          summary: `Pods of ${WHERE} do not reach PostgreSQL`,
          description:
            "{{ $value }} pods have had no answer from PostgreSQL for a minute. Publishes to users fail with 503 and nobody gets what waits in an inbox; channels go on.",
        },
        {
          name: "NexusPostgresSlow",
          expr: `${quantile(0.99, FLEET, of("nexus_postgres_call_duration_seconds_bucket"), "5m")} > ${SLOW_SECONDS} and ${perSecond(FLEET, of("nexus_postgres_call_duration_seconds_count"), "5m")} >= ${SLOW_CALLS_PER_SECOND}`,
          forSeconds: 300,
          severity: "warning",
          summary: `PostgreSQL of ${WHERE} is slow`,
          description: `One statement in a hundred takes {{ $value | humanizeDuration }} or more, waiting for a connection included; it fires above ${SLOW_SECONDS} s. Publishes to users and connects wait for it.`,
        },
        {
          name: "NexusPostgresInboxesUnannounced",
          expr: `sum by (${FLEET}) (${of("nexus_postgres_unannounced_inboxes")}) > 0`,
          forSeconds: 300,
          severity: "warning",
          summary: `Entries of ${WHERE} lie in PostgreSQL and nobody was told`,
          description:
            "For 5 minutes {{ $value }} inboxes have had entries that Redis did not announce. They are safe; their users get them late, or at their next connect.",
        },
      ];

// Why: the cases of alerts about inboxes in PostgreSQL.
import { type AlertCase, histogram, lapses, stays, TURN_SECONDS, turns } from "./case.ts";
import { HEALTHY_FLEET } from "./healthy.ts";

export const POSTGRES_CASES: readonly AlertCase[] = [
  {
    alert: "NexusPostgresDown",
    fires: {
      series: { nexus_postgres_connected: turns(1, 0), 'nexus_postgres_connected{pod="live-b"}': turns(1, 0) },
      onsetSeconds: TURN_SECONDS,
      says: ["2"],
    },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_postgres_connected: lapses(1, 0, 60) }],
    missing: { series: { up: stays(0) }, fires: false, because: "pods that say nothing are NexusPodDown" },
  },
  {
    alert: "NexusPostgresSlow",
    // One a second.
    fires: {
      series: histogram("nexus_postgres_call_duration_seconds", { "0.5": 29.685, "1": 30 }),
      onsetSeconds: 300,
      says: ["523.8ms"],
    },
    silent: HEALTHY_FLEET,
    boundary: [
      histogram("nexus_postgres_call_duration_seconds", { "0.5": 990, "1": 1000 }),
      histogram("nexus_postgres_call_duration_seconds", { "0.5": 1, "1": 29 }),
    ],
    missing: { series: { nexus_postgres_connected: stays(0) }, fires: false, because: "nothing is asked: NexusPostgresDown" },
  },
  {
    alert: "NexusPostgresInboxesUnannounced",
    fires: { series: { nexus_postgres_unannounced_inboxes: turns(0, 4) }, onsetSeconds: TURN_SECONDS, says: ["4"] },
    silent: HEALTHY_FLEET,
    boundary: [{ nexus_postgres_unannounced_inboxes: lapses(0, 4, 300) }],
    missing: { series: { up: stays(1) }, fires: false, because: "nothing is known of any" },
  },
];

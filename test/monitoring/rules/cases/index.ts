// Why: all cases of all alerts in one list, beside the rules they are about. `scripts/check` counts them: an alert without a case
// is no alert.
import { clusterRules } from "@nexus/operator/desired/monitoring/rules/cluster.ts";
import type { RuleGroup } from "@nexus/operator/desired/monitoring/rules/model.ts";
import { operatorRules } from "@nexus/operator/desired/monitoring/rules/operator.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { aCluster } from "../../../operator/bundle/fixtures.ts";
import type { Scope } from "../promtool-tests.ts";
import type { AlertCase } from "./case.ts";
import { CERTIFICATE_CASES } from "./certificates.ts";
import { CLUSTER_CASES } from "./clusters.ts";
import { CONFIGURATION_CASES } from "./configuration.ts";
import { FLEET_CASES } from "./fleet.ts";
import { OPERATOR_CASES } from "./operator.ts";
import { POSTGRES_CASES } from "./postgres.ts";
import { REDIS_CASES } from "./redis.ts";
import { SLO_CASES } from "./slo.ts";
import { TENANT_CASES } from "./tenants.ts";
import { TRAFFIC_CASES } from "./traffic.ts";

/** A cluster that uses everything, so that no alert is left out. */
export const FULL_CLUSTER: NexusCluster = aCluster({
  redis: { mode: "Managed" },
  storage: { inbox: "Postgres", postgres: { urlSecretRef: { name: "database" } } },
  tls: { secretRef: { name: "listener" } },
  autoscaling: { maxReplicas: 10, targets: { connectionsPerPod: 8000 } },
  monitoring: { tracing: { endpoint: "http://collector:4318" } },
  pods: { resources: { limits: { memory: "1Gi", cpu: "500m" } } },
});

export const OPERATOR_JOB = "nexus-system/nexus-operator";

/** Cases that are judged in one run of promtool, and the rules they are about. */
export type CaseSet = {
  readonly name: string;
  readonly groups: readonly RuleGroup[];
  readonly cases: readonly AlertCase[];
  readonly scope: Scope;
};

const WHERE = { namespace: "prod", nexus_cluster: "live" };
const FLEET: Scope = { scraped: { ...WHERE, pod: "live-a" }, alerted: WHERE };
const OPERATOR: Scope = { scraped: { job: OPERATOR_JOB, namespace: "nexus-system", pod: "operator-a" }, alerted: {} };

const RULES = [...clusterRules(FULL_CLUSTER), ...operatorRules({ job: OPERATOR_JOB })];
const of = (prefix: string, cases: readonly AlertCase[], scope: Scope = FLEET): CaseSet => ({
  name: prefix,
  groups: RULES.filter(({ name }) => name === prefix || name === `${prefix}-recordings`),
  cases,
  scope,
});

export const CASE_SETS: readonly CaseSet[] = [
  of("nexus-slo", SLO_CASES),
  of("nexus-fleet", FLEET_CASES),
  of("nexus-traffic", TRAFFIC_CASES),
  of("nexus-redis", REDIS_CASES),
  of("nexus-postgres", POSTGRES_CASES),
  of("nexus-configuration", CONFIGURATION_CASES),
  of("nexus-tenants", TENANT_CASES),
  of("nexus-certificates", CERTIFICATE_CASES),
  of("nexus-operator", OPERATOR_CASES, OPERATOR),
  of("nexus-clusters", CLUSTER_CASES, OPERATOR),
];

/** Every case of every alert. */
export const ALERT_CASES: readonly AlertCase[] = CASE_SETS.flatMap(({ cases }) => cases);

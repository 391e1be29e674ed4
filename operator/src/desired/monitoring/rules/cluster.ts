// Why: the rules of one NexusCluster: what it promised (SLOs), and what its servers say of themselves. They use series of the
// servers only, so that they also work where a Prometheus sees one namespace. Thresholds come from the custom resource. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { namespaceOf } from "../../acceptance.ts";
import { certificateAlerts } from "./certificates.ts";
import { configurationAlerts } from "./configuration.ts";
import { fleetAlerts } from "./fleet.ts";
import type { Matchers, RuleGroup } from "./model.ts";
import { postgresAlerts } from "./postgres.ts";
import { redisAlerts } from "./redis.ts";
import { seriesOf } from "./series.ts";
import { sloGroups } from "./slo.ts";
import { tenantAlerts } from "./tenants.ts";
import { trafficAlerts } from "./traffic.ts";

/** What its PodMonitor gives every series of this fleet; `nexus_cluster` is written by the operator, `namespace` by Prometheus. */
export const clusterMatchers = (cluster: NexusCluster): Matchers => ({
  namespace: namespaceOf(cluster),
  nexus_cluster: cluster.metadata.name,
});

/** Rules for the series of one cluster. Groups it has no use for are left out. */
export function clusterRules(cluster: NexusCluster): readonly RuleGroup[] {
  const of = seriesOf(clusterMatchers(cluster));
  const groups: readonly RuleGroup[] = [
    ...sloGroups(cluster, of),
    { name: "nexus-fleet", rules: fleetAlerts(cluster, of) },
    { name: "nexus-traffic", rules: trafficAlerts(cluster, of) },
    { name: "nexus-redis", rules: redisAlerts(cluster, of) },
    { name: "nexus-postgres", rules: postgresAlerts(cluster, of) },
    { name: "nexus-configuration", rules: configurationAlerts(of) },
    { name: "nexus-tenants", rules: tenantAlerts(of) },
    { name: "nexus-certificates", rules: certificateAlerts(cluster, of) },
  ];
  return groups.filter(({ rules }) => rules.length > 0);
}

// Why: which dashboards there are, for whoever ships them: the operator those of a fleet, the chart those of all. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Dashboard } from "./model.ts";
import { clusterDashboard } from "./pages/cluster.ts";
import { operatorDashboard } from "./pages/operator.ts";
import { overviewDashboard } from "./pages/overview.ts";
import { redisDashboard } from "./pages/redis.ts";
import { tenantsDashboard } from "./pages/tenants.ts";
import { type ClusterPage, pages } from "./scope.ts";

const PAGES = {
  cluster: clusterDashboard,
  tenants: tenantsDashboard,
  redis: redisDashboard,
} as const satisfies Record<ClusterPage, (cluster: NexusCluster) => Dashboard>;

/** Of one fleet; without Redis no page about it. Other fleets have other uids and the same file names. */
export const clusterDashboards = (cluster: NexusCluster): readonly Dashboard[] => pages(cluster).map((page) => PAGES[page](cluster));

/** Of an installation: all fleets, and the operator. */
export const fixedDashboards = (): readonly Dashboard[] => [overviewDashboard, operatorDashboard];

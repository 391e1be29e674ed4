// Why: which dashboards there are, for whoever ships them: the operator those of a fleet, the chart those of all. Pure.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { namespaceOf } from "../../acceptance.ts";
import { RUNBOOK_BASE_URL } from "../rules/render.ts";
import type { Dashboard } from "./model.ts";
import { clusterDashboard } from "./pages/cluster.ts";
import { operatorDashboard } from "./pages/operator.ts";
import { overviewDashboard } from "./pages/overview.ts";
import { redisDashboard } from "./pages/redis.ts";
import { tenantsDashboard } from "./pages/tenants.ts";
import { dashboardFile } from "./render.ts";
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

/** Text by file name. Grafana has all files of all fleets in one folder, so the names hold namespace and cluster. */
export const clusterDashboardFiles = (cluster: NexusCluster, runbooks: string = RUNBOOK_BASE_URL): Readonly<Record<string, string>> =>
  filesOf(clusterDashboards(cluster), { runbooks, owner: `${namespaceOf(cluster)}.${cluster.metadata.name}.` });

/** As {@link clusterDashboardFiles}, for those of an installation. */
export const fixedDashboardFiles = (runbooks: string = RUNBOOK_BASE_URL): Readonly<Record<string, string>> =>
  filesOf(fixedDashboards(), { runbooks, owner: "" });

const filesOf = (dashboards: readonly Dashboard[], { runbooks, owner }: { readonly runbooks: string; readonly owner: string }) =>
  Object.fromEntries(
    dashboards.map((one) => {
      const { name, text } = dashboardFile(one, runbooks);
      return [`${owner}${name}`, text];
    }),
  );

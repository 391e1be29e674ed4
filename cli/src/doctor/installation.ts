// Why: an installation in Kubernetes, from a workstation: first whether it can be asked at all, then what everybody shares, then each
// NexusCluster. A part that may not be looked at is said so and hides nothing else. It must never write.
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { ClusterFailure, type Connection, failureText } from "../kube/connect.ts";
import { asResource, servedKind } from "../kube/objects.ts";
import { apiChecks } from "./api.ts";
import { callerCheck } from "./caller.ts";
import { type Check, fail, skip } from "./check.ts";
import { fleetChecks } from "./fleet.ts";
import { operatorChecks } from "./operator.ts";
import type { Outside } from "./settings.ts";

/** `name`: only this NexusCluster of the connection's namespace. */
export type Scope = { readonly name: string | undefined; readonly isEverywhere: boolean };

export async function checkInstallation(connect: () => Promise<Connection>, scope: Scope, outside: Outside): Promise<readonly Check[]> {
  let connection: Connection;
  try {
    connection = await connect();
  } catch (error) {
    if (!(error instanceof ClusterFailure)) throw error;
    return [fail("kubeconfig", error.message, "name a kubeconfig: --kubeconfig FILE, or KUBECONFIG in the environment")];
  }
  const api = await apiChecks(connection, outside.nowMs);
  if (!api.isReachable) return api.checks;
  const parts = [
    () => callerCheck(connection, scope.isEverywhere ? undefined : connection.namespace),
    () => operatorChecks(connection, outside.nowMs()),
    () => clusters(connection, scope, outside),
  ];
  const checks: Check[] = [...api.checks];
  for (const part of parts) checks.push(...(await asked(connection, part)));
  return checks;
}

/** What the API server refuses becomes a line, too. */
async function asked(connection: Connection, part: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await part();
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    const text = failureText(error, connection.server);
    return error.status === 403
      ? [skip("API server", text)]
      : [fail("API server", text, "look at the API server and at the words above; then ask again")];
  }
}

async function clusters(connection: Connection, scope: Scope, outside: Outside): Promise<readonly Check[]> {
  const where = scope.isEverywhere ? {} : { namespace: connection.namespace };
  const { items } = await connection.api.list(servedKind("NexusCluster"), where);
  const all = items
    .map((one) => asResource<NexusCluster>(one))
    .filter(({ metadata }) => scope.name === undefined || metadata.name === scope.name);
  if (all.length === 0) {
    const what = scope.name === undefined ? "NexusCluster" : `NexusCluster ${connection.namespace}/${scope.name}`;
    if (scope.name !== undefined) return [fail(what, "does not exist", `kubectl get nexusclusters -A shows which there are`)];
    return [skip(what, scope.isEverywhere ? "there is none" : `there is none in namespace ${connection.namespace}; -A looks everywhere`)];
  }
  const checks: Check[] = [];
  for (const cluster of all) checks.push(...(await asked(connection, () => fleetChecks(connection, cluster, outside))));
  return checks;
}

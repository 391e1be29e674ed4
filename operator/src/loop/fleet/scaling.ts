// Why: who decides the size of a fleet: its spec, the operator's own scaler, or somebody else's. The size must never fall
// because the one who decides changes.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { notSupported } from "../../desired/children.ts";
import type { ScalingSeen } from "../../status/scaling.ts";
import type { FleetWork } from "./work.ts";

/** `replicas`: what to set now; undefined: leave it. */
export type ScalingFound = { readonly replicas: number | undefined; readonly seen: ScalingSeen };

/** Brings scalers about and says which size to set. Rejects with `KubeError`. */
export async function reconcileScaling({ cluster }: FleetWork): Promise<ScalingFound> {
  const seen: ScalingSeen = cluster.spec.autoscaling ? { kind: "notSupported" } : { kind: "notRequested" };
  return { replicas: wantedReplicas(cluster), seen };
}

/** Without a broker there is one pod at the most, whatever an older CRD let through or a broker we cannot wire yet is asked for. */
export const wantedReplicas = (cluster: NexusCluster): number => {
  const hasBroker = cluster.spec.redis.mode !== "None" && !notSupported(cluster).includes("spec.redis.mode");
  return hasBroker ? cluster.spec.replicas : Math.min(1, cluster.spec.replicas);
};

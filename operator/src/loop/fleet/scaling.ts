// Why: who decides the size of a fleet: its spec, the operator's own scaler, or somebody else's. The size must never fall
// because the one who decides changes: the old one goes, is seen gone, and the next begins with the size there is.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { keyOfObject } from "../../desired/acceptance.ts";
import { notSupported } from "../../desired/children.ts";
import { rulesOfRemoval } from "../../desired/scaling/rules.ts";
import { beginScaling, decideSize } from "../../plan/scale.ts";
import { movingToReplicas, SCALING_NOT_REQUESTED, waitsForScaler, wasScaled } from "../../status/scaling.ts";
import { balanceAfterGrowth } from "./balance.ts";
import { liveDeployment } from "./deployment.ts";
import { next, type ScalingFound, scaleByLoad } from "./own-scaler.ts";
import { seenPods } from "./pods.ts";
import { reconcileHorizontal, reconcileKeda, removeOthers } from "./scalers.ts";
import { endShrink, mayShrink, writeCosts } from "./shrink.ts";
import type { FleetWork } from "./work.ts";

/** Brings scalers about and says which size to set. Rejects with `KubeError`. */
export async function reconcileScaling(work: FleetWork): Promise<ScalingFound> {
  const { cluster, deps } = work;
  const { provider } = cluster.spec.autoscaling ?? {};
  const key = keyOfObject(cluster);
  const size = liveDeployment(work)?.spec.replicas;
  if (provider !== "Nexus") deps.scaling.read(key, "scaler", provider !== undefined);
  const isFleet = hasBroker(cluster);
  const left = await removeOthers(work, isFleet ? provider : undefined);
  if (left !== undefined) return { replicas: undefined, seen: waitsForScaler(left) };
  if (!isFleet) return { replicas: Math.min(1, cluster.spec.replicas), seen: SCALING_NOT_REQUESTED };
  if (size !== undefined) await balanceAfterGrowth(work, size);
  return await byProvider(work, size);
}

async function byProvider(work: FleetWork, size: number | undefined): Promise<ScalingFound> {
  const { autoscaling } = work.cluster.spec;
  if (!autoscaling) return await fixedSize(work, size);
  switch (autoscaling.provider) {
    case "Nexus":
      return await scaleByLoad(work, autoscaling, size ?? 1);
    case "HPA":
      await markPods(work);
      return { replicas: undefined, seen: await reconcileHorizontal(work, autoscaling) };
    case "KEDA":
      await markPods(work);
      return { replicas: undefined, seen: await reconcileKeda(work, autoscaling) };
    default:
      return autoscaling.provider satisfies never;
  }
}

/** Others shrink without a word: costs are kept as they should be when they do. */
async function markPods(work: FleetWork): Promise<void> {
  const { scaling } = work.deps;
  const key = keyOfObject(work.cluster);
  const memory = scaling.memory(key);
  memory.scale = undefined;
  endShrink(work);
  const round = scaling.loads.last(key);
  if (!round || round.number === memory.scaledRound) return;
  memory.scaledRound = round.number;
  await writeCosts(work, seenPods(work, round).staying, { withUnknown: false });
}

/** `replicas` of the spec: at once when it was edited, by the rules of shrinking when a scaler was taken away. */
async function fixedSize(work: FleetWork, size: number | undefined): Promise<ScalingFound> {
  const { cluster, deps } = work;
  const { scaling } = deps;
  const wanted = cluster.spec.replicas;
  const memory = scaling.memory(keyOfObject(cluster));
  if (size === undefined || size <= wanted) {
    memory.scale = undefined;
    endShrink(work);
    return { replicas: wanted, seen: SCALING_NOT_REQUESTED };
  }
  if (!wasScaled(cluster.status?.conditions)) {
    const isReady = wanted === 0 || (await mayShrink(work, size - wanted));
    return { replicas: isReady ? wanted : undefined, seen: SCALING_NOT_REQUESTED };
  }
  const rules = rulesOfRemoval(wanted);
  const nowMs = scaling.clock.monotonicMs();
  if (memory.scale === undefined || memory.rules !== "removed") {
    memory.scale = { ...beginScaling(nowMs, rules), steppedDownMs: nowMs }; // a new leader does not know of the last step
    memory.rules = "removed";
  }
  const { replicas } = decideSize(memory.scale, size, nowMs, rules);
  work.again(STEP_LOOK_MS);
  return { replicas: await next(work, { size, replicas, because: undefined }), seen: movingToReplicas(wanted) };
}

/** How often it is looked whether the next step is due. */
const STEP_LOOK_MS = 5_000;

/** Without a broker there is one pod at the most, whatever an older CRD let through or a broker we cannot wire yet is asked for. */
const hasBroker = (cluster: NexusCluster): boolean =>
  cluster.spec.redis.mode !== "None" && !notSupported(cluster).includes("spec.redis.mode");

/** Pods the fleet should have now. `size`: of its Deployment, where there is one. */
export function wantedReplicas(cluster: NexusCluster, size: number | undefined): number {
  const { autoscaling, replicas } = cluster.spec;
  if (!hasBroker(cluster)) return Math.min(1, replicas);
  return autoscaling ? (size ?? autoscaling.minReplicas) : replicas;
}

// Why: scalers that are objects: a HorizontalPodAutoscaler, or KEDA's ScaledObject. Two at a time would fight over the size, so
// the old one is seen gone before a new one comes. The size is theirs while they are there.
import { keyOfObject } from "../../desired/acceptance.ts";
import { childNames } from "../../desired/names.ts";
import { horizontalPodAutoscaler } from "../../desired/scaling/horizontal.ts";
import { FALLBACK_BEHAVIOR, kedaAutoscalerName, scaledObject, triggerAuthentication } from "../../desired/scaling/keda.ts";
import type { Autoscaling } from "../../desired/scaling/target.ts";
import type { KubeObject } from "../../plan/object.ts";
import { horizontalScaler, kedaScaler, type ScalerCondition, type ScalingSeen } from "../../status/scaling.ts";
import { KINDS, OPTIONAL_KINDS } from "../kinds.ts";
import { kindNotServed, serves } from "./optional.ts";
import type { FleetWork } from "./work.ts";

type Provider = Autoscaling["provider"] | undefined;

const GONE_MS = 1_000;

/** Takes away every scaler but `wanted`'s. What is still there, in words; undefined: nothing is. Rejects with `KubeError`. */
export async function removeOthers(work: FleetWork, wanted: Provider): Promise<string | undefined> {
  const { server } = childNames(work.cluster.metadata.name);
  const left: string[] = [];
  const take = async (kind: typeof KINDS.HorizontalPodAutoscaler | (typeof OPTIONAL_KINDS)["ScaledObject" | "TriggerAuthentication"]) => {
    if (!(await work.remove(kind, server))) left.push(`${kind.kind} ${server}`);
  };
  if (wanted !== "HPA") await take(KINDS.HorizontalPodAutoscaler);
  if (wanted !== "KEDA") {
    const memory = work.deps.scaling.memory(keyOfObject(work.cluster));
    if (work.ours(OPTIONAL_KINDS.ScaledObject, server)) memory.isKedaGone = false;
    await take(OPTIONAL_KINDS.ScaledObject);
    await take(OPTIONAL_KINDS.TriggerAuthentication);
    if (!memory.isKedaGone && work.deps.capabilities.has(OPTIONAL_KINDS.ScaledObject)) memory.isKedaGone = await areKedasGone(work, left);
  }
  return left.length === 0 ? undefined : left.join(" and ");
}

/** KEDA scales through an autoscaler of its own, which is collected after the ScaledObject. */
async function areKedasGone(work: FleetWork, left: string[]): Promise<boolean> {
  const name = kedaAutoscalerName(work.cluster.metadata.name);
  const found = await work.deps.api.get({ kind: KINDS.HorizontalPodAutoscaler, namespace: work.namespace, name });
  if (!found) return left.length === 0;
  left.push(`HorizontalPodAutoscaler ${name} of KEDA`);
  work.again(GONE_MS);
  return false;
}

/** Rejects with `KubeError`. */
export async function reconcileHorizontal(work: FleetWork, autoscaling: Autoscaling): Promise<ScalingSeen> {
  const desired = horizontalPodAutoscaler(work.cluster, autoscaling, work.deps.context);
  await work.child(KINDS.HorizontalPodAutoscaler, desired);
  return horizontalScaler(conditionsOf(work.ours(KINDS.HorizontalPodAutoscaler, desired.metadata.name)), autoscaling);
}

/** Rejects with `KubeError`. */
export async function reconcileKeda(work: FleetWork, autoscaling: Autoscaling): Promise<ScalingSeen> {
  const { cluster, deps } = work;
  const { ScaledObject, TriggerAuthentication } = OPTIONAL_KINDS;
  if (!serves(work, ScaledObject)) {
    const { reason, message } = kindNotServed(ScaledObject, "spec.autoscaling.provider: KEDA");
    return { status: "False", reason, message };
  }
  const authentication = triggerAuthentication(cluster, autoscaling, deps.context);
  if (authentication) await work.child(TriggerAuthentication, authentication);
  else await work.remove(TriggerAuthentication, childNames(cluster.metadata.name).server);
  const canKeepSize = await deps.schemas.hasField(ScaledObject, FALLBACK_BEHAVIOR);
  const desired = scaledObject(cluster, autoscaling, { ...deps.context, canKeepSize });
  await work.child(ScaledObject, desired);
  return kedaScaler(conditionsOf(work.ours(ScaledObject, desired.metadata.name)), autoscaling);
}

/** Conditions of any object's status. Their shape is the API server's. */
function conditionsOf(object: KubeObject | undefined): readonly ScalerCondition[] | undefined {
  const status: unknown = object && Reflect.get(object, "status");
  const conditions: unknown = typeof status === "object" && status !== null ? Reflect.get(status, "conditions") : undefined;
  return Array.isArray(conditions) ? (conditions as readonly ScalerCondition[]) : undefined;
}

// Why: fewer pods means somebody's connections end, so the emptiest pods have to go: their deletion costs are written, seen in
// the watch, and given time to reach the controllers before a size falls. It must never hold up a shrinking for ever.
import { keyOfObject } from "../../desired/acceptance.ts";
import { MANAGER } from "../../desired/names.ts";
import { COST_ANNOTATION, costOf, deletionCost, takesEmptiest } from "../../plan/deletion-cost.ts";
import { KINDS } from "../kinds.ts";
import { isConflict, isNotFound } from "../kube-error.ts";
import { type SeenPod, seenPods } from "./pods.ts";
import type { FleetWork } from "./work.ts";

/** A pod's cost is written at most so often. */
const WRITE_MS = 60_000;
/** A watch that does not show a cost by then will not stop us. */
const SEE_MS = 10_000;
/** Other watches lag behind ours: the controller that picks the pods has its own. */
const SETTLE_MS = 2_000;
/** How long the first answers of the pods are waited for. */
const ANSWERS_MS = 12_000;
const LOOK_MS = 500;
const OUTDATED_MS = 5_000;

/** Whether the size may fall by `count` now: the costs stand. False: look again (it was said when). Rejects with `KubeError`. */
export async function mayShrink(work: FleetWork, count: number): Promise<boolean> {
  const { scaling } = work.deps;
  const key = keyOfObject(work.cluster);
  const memory = scaling.memory(key);
  const nowMs = scaling.clock.monotonicMs();
  memory.shrinkSinceMs ??= nowMs;
  scaling.read(key, "shrink", true);
  const round = scaling.loads.last(key);
  if (!round && nowMs - memory.shrinkSinceMs < ANSWERS_MS) {
    work.again(LOOK_MS);
    return false;
  }
  const { staying } = seenPods(work, round);
  // One that became ready since the pods were asked: the next round knows it.
  if (round && staying.some(({ isReady, isAsked }) => isReady && !isAsked)) {
    work.again(LOOK_MS);
    return false;
  }
  const hasWritten = await writeCosts(work, staying, { withUnknown: true });
  const isSeen = staying.every(({ pod, uid }) => {
    const written = memory.costs.get(uid);
    return !written || nowMs - written.atMs >= SEE_MS || costOf(pod.metadata.annotations) === written.cost;
  });
  if (hasWritten || !isSeen) {
    memory.costsSeenMs = undefined;
    work.again(LOOK_MS);
    return false;
  }
  const marked = staying.map(({ pod, said }) => ({ cost: costOf(pod.metadata.annotations), sessions: said?.sessions }));
  if (!takesEmptiest(marked, count)) {
    memory.costsSeenMs = undefined; // sessions moved since, and a cost that is less than a minute old cannot be written
    work.again(OUTDATED_MS);
    return false;
  }
  memory.costsSeenMs ??= nowMs;
  const leftMs = memory.costsSeenMs + SETTLE_MS - nowMs;
  if (leftMs > 0) {
    work.again(leftMs);
    return false;
  }
  endShrink(work);
  return true;
}

/** Nothing shrinks any more: the next time begins anew. */
export function endShrink({ cluster, deps: { scaling } }: FleetWork): void {
  const memory = scaling.memory(keyOfObject(cluster));
  memory.shrinkSinceMs = undefined;
  memory.costsSeenMs = undefined;
  scaling.read(keyOfObject(cluster), "shrink", false);
}

/** Writes the costs that differ, of each pod at most once a minute. True when one was written. Rejects with `KubeError`. */
export async function writeCosts(
  { cluster, namespace, deps }: FleetWork,
  pods: readonly SeenPod[],
  { withUnknown }: { readonly withUnknown: boolean },
): Promise<boolean> {
  const { scaling, api } = deps;
  const { costs } = scaling.memory(keyOfObject(cluster));
  const alive = new Set(pods.map(({ uid }) => uid));
  for (const uid of costs.keys()) if (!alive.has(uid)) costs.delete(uid);
  let hasWritten = false;
  for (const { pod, uid, said, isReady } of pods) {
    const isTold = pod.metadata.annotations?.[COST_ANNOTATION] !== undefined;
    // What a silent pod said before is the best we know; one that is not ready goes first whatever its cost.
    if (!said && (!withUnknown || isTold || !isReady)) continue;
    const cost = deletionCost(said?.sessions);
    const written = costs.get(uid);
    if (cost === (written?.cost ?? costOf(pod.metadata.annotations))) continue;
    if (written && scaling.clock.monotonicMs() - written.atMs < WRITE_MS) continue;
    try {
      const patch = { metadata: { uid, annotations: { [COST_ANNOTATION]: String(cost) } } };
      await api.mergePatch({ kind: KINDS.Pod, namespace, name: pod.metadata.name }, patch, { manager: MANAGER });
      costs.set(uid, { cost, atMs: scaling.clock.monotonicMs() });
      hasWritten = true;
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error; // it went by itself
    }
  }
  return hasWritten;
}

// Why: what scaling looks at is the server pods of one fleet and what each said last, put side by side once.
import { keyOfObject } from "../../desired/acceptance.ts";
import type { PodLoad } from "../../plan/scale-demand.ts";
import type { Round, Said } from "../scaling/loads.ts";
import { isPodEnded, isPodLive, isPodReady, isServerPod, type PodObject } from "../views.ts";
import type { FleetWork } from "./work.ts";

/** `isAsked`: the round asked it; one that came since has not said anything because nobody asked. `said`: undefined: no answer. */
export type SeenPod = {
  readonly pod: PodObject;
  readonly uid: string;
  readonly isReady: boolean;
  readonly isAsked: boolean;
  readonly said: Said | undefined;
};

/** `staying`: pods that are not being deleted, with or without an address. `leaving`: those that are, and still answer. */
export function sideBySide(pods: readonly PodObject[], round: Round | undefined) {
  const seen = pods
    .filter((pod) => isServerPod(pod) && !isPodEnded(pod.status))
    .map((pod): SeenPod => {
      const uid = pod.metadata.uid ?? "";
      const isReady = isPodLive(pod) && isPodReady(pod);
      return { pod, uid, isReady, isAsked: round?.pods.has(uid) ?? false, said: round?.pods.get(uid) };
    });
  const isLeaving = ({ pod }: SeenPod) => pod.metadata.deletionTimestamp !== undefined;
  return { staying: seen.filter((one) => !isLeaving(one)), leaving: seen.filter((one) => isLeaving(one) && one.said) };
}

export const seenPods = ({ cluster, deps }: Pick<FleetWork, "cluster" | "deps">, round: Round | undefined) =>
  sideBySide(deps.views.pods.byIndex("cluster", keyOfObject(cluster)), round);

/** In the units the targets are in. */
export function loadOf({ sessions, load }: Said): PodLoad {
  if (!load) return { sessions };
  return { sessions, messagesPerSecond: load.messages_per_second, cpuCores: load.cpu_cores, memoryBytes: load.rss_bytes };
}

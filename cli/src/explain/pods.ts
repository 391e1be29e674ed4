// Why: why a pod is not ready stands in five places of its status; this reads them in the order in which they matter.
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { Connection } from "../kube/connect.ts";
import { latestWarning } from "./events.ts";
import { broken, type Link, note } from "./links.ts";

type Waiting = { readonly reason?: string; readonly message?: string };
type Terminated = Waiting & { readonly exitCode?: number };
type ContainerStatus = {
  readonly name: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly state?: { readonly waiting?: Waiting; readonly terminated?: Terminated };
  readonly lastState?: { readonly terminated?: Terminated };
};
export type SeenPod = KubeObject & {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
};

export const isPodReady = ({ status }: SeenPod): boolean =>
  status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;

export const listPods = async ({ api }: Connection, namespace: string, labelSelector: string): Promise<readonly SeenPod[]> =>
  (await api.list<SeenPod>(KINDS.Pod, { namespace, labelSelector })).items;

const ADVICE_OF_WAITING: Readonly<Record<string, string>> = {
  ImagePullBackOff: "Correct spec.image of the NexusCluster, or add spec.image.pullSecrets; the node cannot fetch the image.",
  ErrImagePull: "Correct spec.image of the NexusCluster, or add spec.image.pullSecrets; the node cannot fetch the image.",
  InvalidImageName: "Correct spec.image of the NexusCluster: it is no image name.",
  CrashLoopBackOff: "Read why it ended: kubectl logs --previous of this pod.",
  CreateContainerConfigError: "Something the container's environment or volumes name is missing: the words above name it.",
};

/** Of a pod that says nothing itself: where something it needs is known to be missing, that is what has to be done. */
export const WAIT_FOR_READY = "Wait a moment; when it stays, read its log: a server is ready once it has its configuration and its broker.";

/** Why the pod is not ready, in words; undefined when it is. */
export function podComplaint({ status, spec }: SeenPod): { readonly says: string; readonly todo: string } | undefined {
  const scheduled = status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False")
    return {
      says: `cannot be placed: ${scheduled.message ?? scheduled.reason ?? "no node fits"}`,
      todo: "Make room on a node, or loosen spec.pods (resources, nodeSelector, affinity, tolerations).",
    };
  for (const container of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const { waiting, terminated } = container.state ?? {};
    const last = terminated ?? container.lastState?.terminated;
    const ended = last
      ? `; it ended with ${last.exitCode ?? "?"}${last.reason ? ` ${last.reason}` : ""}${last.message ? `: ${firstLine(last.message)}` : ""}`
      : "";
    if (waiting?.reason && waiting.reason !== "ContainerCreating" && waiting.reason !== "PodInitializing")
      return {
        says: `container ${container.name} waits: ${waiting.reason}${waiting.message ? `: ${firstLine(waiting.message)}` : ""}${ended}`,
        todo: ADVICE_OF_WAITING[waiting.reason] ?? "Do what the words above ask for.",
      };
    if (!container.ready && last)
      return { says: `container ${container.name} is not ready${ended}`, todo: "Read why it ended: kubectl logs --previous of this pod." };
  }
  if (status?.phase === "Failed")
    return {
      says: `failed: ${status.reason ?? ""} ${status.message ?? ""}`.trim(),
      todo: "Kubernetes replaces it; when it comes back, do what the words ask for.",
    };
  if (spec?.nodeName === undefined)
    return { says: "waits for a node", todo: "Wait; when it stays, look at the nodes: no scheduler has placed it." };
  return { says: "runs and is not ready yet", todo: WAIT_FOR_READY };
}

const firstLine = (text: string): string =>
  text
    .split("\n")
    .find((line) => line.trim() !== "")
    ?.slice(0, 300) ?? "";

/** One link for the first pod of each complaint. */
export async function podLinks(connection: Connection, pods: readonly SeenPod[]): Promise<readonly Link[]> {
  const told = new Set<string>();
  const links: Link[] = [];
  for (const pod of pods) {
    if (isPodReady(pod) || pod.metadata.deletionTimestamp !== undefined) continue;
    const complaint = podComplaint(pod);
    if (!complaint || told.has(complaint.says)) continue;
    told.add(complaint.says);
    const what = `Pod ${pod.metadata.namespace}/${pod.metadata.name}`;
    const warning = await latestWarning(connection, pod);
    links.push(broken(what, warning === undefined ? complaint.says : `${complaint.says} (event ${warning})`, complaint.todo));
  }
  return links;
}

/** Pods that are ready now and have been restarted are worth a word. */
export const restartNotes = (pods: readonly SeenPod[]): readonly Link[] =>
  pods.flatMap((pod) => {
    const container = pod.status?.containerStatuses?.find(({ restartCount = 0 }) => restartCount > 2);
    return container && isPodReady(pod)
      ? [
          note(
            `Pod ${pod.metadata.namespace}/${pod.metadata.name}`,
            `container ${container.name} was restarted ${container.restartCount} times`,
            "Read why: kubectl logs --previous of this pod.",
          ),
        ]
      : [];
  });

// Why: from a workstation the program in each pod is asked, by kubectl exec: it has the way, the rights and the words for it. It must
// never run anything else there.
import { selectorLabels } from "@nexus/operator/desired/names.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { isPodReady, type SeenPod } from "../explain/pods.ts";
import type { Connection } from "../kube/connect.ts";
import { OPERATOR_SELECTOR } from "../render/operator-labels.ts";
import type { Wish } from "./here.ts";

export type Place = { readonly cluster: string } | "operator";
export type Told = { readonly pod: string; readonly problem: string | undefined };

/** Ready pods of a fleet in the connection's namespace, or of the operator wherever it runs. */
export async function podsOf({ api, namespace }: Connection, place: Place): Promise<readonly SeenPod[]> {
  const labels = place === "operator" ? OPERATOR_SELECTOR : selectorText(place.cluster);
  const { items } = await api.list<SeenPod>(KINDS.Pod, { ...(place === "operator" ? {} : { namespace }), labelSelector: labels });
  return items.filter(isPodReady);
}

const selectorText = (cluster: string): string =>
  Object.entries(selectorLabels(cluster, "server"))
    .map(([name, value]) => `${name}=${value}`)
    .join(",");

/** `kubectl` without the program's name. `reach`: `--kubeconfig` and `--context` as they were given. */
export function execArguments(pod: SeenPod, container: string, { level, minutes }: Wish, reach: readonly string[]): readonly string[] {
  const { name, namespace = "default" } = pod.metadata;
  const time = minutes === undefined ? [] : ["--minutes", String(minutes)];
  return [...reach, "exec", "-n", namespace, name, "-c", container, "--", "/usr/bin/nexus", "log-level", level, ...time];
}

/** One after another; a pod that does not take it keeps nobody else from it. */
export async function changeThere(
  pods: readonly SeenPod[],
  container: string,
  asked: { readonly wish: Wish; readonly reach: readonly string[]; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<readonly Told[]> {
  const told: Told[] = [];
  for (const pod of pods) {
    const args = execArguments(pod, container, asked.wish, asked.reach);
    const child = Bun.spawn(["kubectl", ...args], { env: { ...asked.env }, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    const [words, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    told.push({ pod: `${pod.metadata.namespace}/${pod.metadata.name}`, problem: code === 0 ? undefined : words.trim().slice(0, 500) });
  }
  return told;
}

// Why: a real operator with real servers and no node: every server pod of a fleet is run as a process of this machine, with the
// environment and the Secrets its pod template names. It knows of pods what the API server says, and tells it what a kubelet would.
import { eventually } from "../eventually.ts";
import type { Stage } from "../operator.ts";
import { podApi } from "../pod-api.ts";
import { HostPod, type HostPodOptions } from "./host-pod.ts";
import type { Target } from "./prometheus.ts";

export type HostKubelet = AsyncDisposable & {
  /** Pods that run or were killed, by name. */
  readonly pods: ReadonlyMap<string, HostPod>;
  /** Waits until the API server was told of `count` Ready pods. @throws Error with what went wrong last */
  ready(count: number): Promise<readonly HostPod[]>;
  /** What to scrape, with the labels that the fleet's PodMonitor gives. */
  targets(): readonly Target[];
};

const LOOK_MS = 200;
/** Looks between two reads of the mounted Secrets: about a second. */
const MOUNT_EVERY = 5;

/** Runs pods as they come, and ends those that are gone, until it is disposed of. */
export function hostKubelet(stage: Stage, namespace: string, cluster: string, options: HostPodOptions = {}): HostKubelet {
  const api = podApi(stage, namespace, cluster);
  const stop = new AbortController();
  const pods = new Map<string, HostPod>();
  const ready = new Set<string>();
  let looks = 0;
  let trouble: unknown;

  const end = async (pod: HostPod) => {
    pods.delete(pod.name);
    ready.delete(pod.name);
    await pod[Symbol.asyncDispose]();
  };
  const look = async () => {
    const there = await api.list();
    for (const pod of [...pods.values()]) if (!there.some(({ metadata }) => metadata.name === pod.name)) await end(pod);
    for (const pod of there) {
      if (pods.has(pod.metadata.name)) continue;
      const started = await HostPod.start(api, pod, options);
      pods.set(started.name, started);
      await api.tell(started.name, started.ip, false);
    }
    for (const pod of pods.values()) {
      if (looks % MOUNT_EVERY === 0) await pod.mount(api);
      const isReady = await pod.isReady();
      if (isReady === ready.has(pod.name)) continue;
      await api.tell(pod.name, pod.ip, isReady);
      if (isReady) ready.add(pod.name);
      else ready.delete(pod.name);
    }
    looks++;
  };
  const serving = (async () => {
    while (!stop.signal.aborted) {
      await look().catch((error: unknown) => {
        trouble = error; // tried again at once; told by whoever waits
      });
      await Bun.sleep(LOOK_MS); // a kubelet's pace
    }
  })();
  return {
    pods,
    ready: (count) =>
      eventually(
        `${count} pods of ${namespace}/${cluster} are ready`,
        () => {
          if (ready.size >= count) return [...pods.values()];
          throw trouble ?? new Error(`${pods.size} run, ${ready.size} are ready`);
        },
        { timeoutMs: 90_000, intervalMs: 200 },
      ),
    targets: () =>
      [...pods.values()].map(({ name, ip }) => ({
        address: `${ip}:9090`,
        labels: { namespace, nexus_cluster: cluster, pod: name, container: "server", job: `${namespace}/${cluster}-server` },
      })),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await serving;
      await Promise.all([...pods.values()].map(end));
    },
  };
}

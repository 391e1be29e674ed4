// Why: a real operator with real servers and no node: every server pod of a fleet is run as a process of this machine, with the
// environment and the Secrets its pod template names, on an address of its own. It must never outlive its test, and knows of a pod
// what the API server says.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { eventually } from "../eventually.ts";
import { type FleetNode, startNode } from "../fleet/node.ts";
import type { Stage } from "../operator.ts";
import { nextAddress, type Pod, type PodApi, type PodSpec, podApi, type SecretSource } from "../pod-api.ts";
import type { Target } from "./prometheus.ts";

/** Public, ops and admin port are the usual ones, on the pod's address. */
export type HostPod = { readonly name: string; readonly ip: string; readonly url: string; readonly process: FleetNode };

export type HostKubelet = AsyncDisposable & {
  /** Pods that run, by name. */
  readonly pods: ReadonlyMap<string, HostPod>;
  /** Waits until the API server was told of `count` Ready pods. @throws Error with what went wrong last */
  ready(count: number): Promise<readonly HostPod[]>;
  /** What to scrape, with the labels that the fleet's PodMonitor gives. */
  targets(): readonly Target[];
};

const LOOK_MS = 200;

/** Runs pods as they come, and ends those that are gone, until it is disposed of. `env`: more of every server's environment. */
export function hostKubelet(stage: Stage, namespace: string, cluster: string, env: Readonly<Record<string, string>> = {}): HostKubelet {
  const api = podApi(stage, namespace, cluster);
  const stop = new AbortController();
  const pods = new Map<string, HostPod & { readonly folder: string }>();
  const ready = new Set<string>();
  let trouble: unknown;

  const end = async ({ name, process, folder }: HostPod & { readonly folder: string }) => {
    pods.delete(name);
    ready.delete(name);
    await process.kill();
    await rm(folder, { recursive: true, force: true });
  };
  const look = async () => {
    const there = await api.list();
    for (const pod of [...pods.values()]) if (!there.some(({ metadata }) => metadata.name === pod.name)) await end(pod);
    for (const pod of there) if (!pods.has(pod.metadata.name)) pods.set(pod.metadata.name, await start(api, pod, env));
    for (const { name, ip } of pods.values()) {
      const isReady = (await fetch(`http://${ip}:9090/ready`).catch(() => undefined))?.ok === true; // a pod that is killed answers nobody
      if (isReady === ready.has(name)) continue;
      await api.tell(name, ip, isReady);
      if (isReady) ready.add(name);
      else ready.delete(name);
    }
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

/** Starts the pod's only container and says that it runs. */
async function start(api: PodApi, { metadata: { name }, spec }: Pod, more: Readonly<Record<string, string>>) {
  const ip = nextAddress();
  const folder = await mkdtemp(join(tmpdir(), "nexus-host-pod-"));
  try {
    await mountSecrets(api, spec, folder);
    const own = (spec.containers[0]?.env ?? []).map(({ name: key, value }) => [
      key,
      value?.replace(/^\/var\/run\//, `${folder}/var/run/`) ?? name,
    ]);
    const hosts = { NEXUS_HTTP_HOST: ip, NEXUS_OPS_HOST: ip, NEXUS_ADMIN_HOST: ip };
    const ports = { NEXUS_HTTP_PORT: "8081", NEXUS_OPS_PORT: "9090", NEXUS_ADMIN_PORT: "9091" };
    const process = await startNode(name, { ...Object.fromEntries(own), ...hosts, ...ports, ...more });
    await api.tell(name, ip, false);
    return { name, ip, url: `http://${ip}:8081`, process, folder };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Files as they would be mounted, once: they are not written again when a Secret changes. @throws Error when a Secret is not there yet */
async function mountSecrets(api: PodApi, { containers, volumes = [] }: PodSpec, folder: string): Promise<void> {
  for (const { name, mountPath } of containers[0]?.volumeMounts ?? []) {
    const volume = volumes.find((one) => one.name === name);
    const place = join(folder, mountPath);
    await mkdir(place, { recursive: true });
    const sources = volume?.projected?.sources.map(({ secret }) => secret) ?? [volume?.secret];
    for (const source of sources) if (source) await writeSecret(api, source, place);
  }
}

async function writeSecret(
  api: PodApi,
  { secretName, name = secretName ?? "", items, optional }: SecretSource,
  place: string,
): Promise<void> {
  const data = await api.secret(name);
  if (data === undefined) {
    if (optional) return;
    throw new Error(`the Secret ${name} is not there yet`);
  }
  for (const { key, path } of items ?? Object.keys(data).map((each) => ({ key: each, path: each }))) {
    const target = join(place, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, data[key] ?? "", { mode: 0o600 });
  }
}

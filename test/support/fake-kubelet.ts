// Why: a control plane without a node has pods that nobody runs. This runs each server pod as a fake one that speaks the real
// admin protocol, and writes the status a kubelet would: an address, then Ready once a leader has confirmed the pod.

import { eventually } from "./eventually.ts";
import { type FakePod, startFakePod } from "./fake-pod.ts";
import type { Stage } from "./operator.ts";
import { nextAddress, type Pod, podApi } from "./pod-api.ts";

export type FakeKubelet = AsyncDisposable & {
  /** The pods that run, by name. */
  readonly pods: ReadonlyMap<string, FakePod>;
  /** Starts every pod of the cluster that has no address, waits until `count` of them run, and until each is Ready. */
  runPods(count: number): Promise<readonly FakePod[]>;
  /** Runs pods as they come and lets go of those that are gone, until it is disposed of. */
  serve(): AsyncDisposable;
  /** Makes pods beside those of the Deployment, as a bigger fleet would have; they still have to be run. */
  addPods(count: number): Promise<void>;
};

const LOOK_MS = 100;
const log = (error: unknown) => process.stderr.write(`fake kubelet: ${error instanceof Error ? error.message : String(error)}\n`);

export function fakeKubelet(stage: Stage, namespace: string, cluster: string): FakeKubelet {
  const pods = new Map<string, FakePod>();
  const { list, secret, tell } = podApi(stage, namespace, cluster);
  const start = async (name: string): Promise<void> => {
    const text = async (suffix: string, key: string) => (await secret(`${cluster}-admin-${suffix}`))?.[key]?.toString() ?? "";
    const [token, pair] = [await text("token", "token"), { certPem: await text("tls", "tls.crt"), keyPem: await text("tls", "tls.key") }];
    const authority = { certPem: pair.certPem, issue: async () => pair }; // the operator issued it: the mounted Secret
    const ip = nextAddress();
    pods.set(name, await startFakePod({ authority, token, cluster: `${namespace}/${cluster}`, ip, port: 9091 }));
    await tell(name, ip, false);
  };

  /** Pods that are gone stop answering. */
  const dropOthers = async (there: readonly Pod[]): Promise<void> => {
    for (const [name, pod] of pods) {
      if (there.some(({ metadata }) => metadata.name === name)) continue;
      pods.delete(name);
      await pod[Symbol.asyncDispose]();
    }
  };

  return {
    pods,
    async runPods(count) {
      await eventually(
        `${count} pods run`,
        async () => {
          const there = await list();
          await dropOthers(there);
          for (const { metadata, status } of there) if (!pods.has(metadata.name) && status?.podIP === undefined) await start(metadata.name);
          return pods.size >= count;
        },
        { timeoutMs: 60_000 },
      );
      const running = await list();
      await Promise.all(
        running.map(async ({ metadata: { name } }) => {
          const pod = pods.get(name);
          if (!pod) return;
          await eventually(`pod ${name} was confirmed`, () => pod.confirmed, { timeoutMs: 60_000 });
          await tell(name, pod.ip, true);
        }),
      );
      return running.flatMap(({ metadata }) => pods.get(metadata.name) ?? []);
    },
    serve() {
      const stop = new AbortController();
      const ready = new Set<string>();
      const look = async () => {
        const there = await list();
        await dropOthers(there);
        for (const { metadata, status } of there) if (!pods.has(metadata.name) && status?.podIP === undefined) await start(metadata.name);
        for (const [name, pod] of pods) {
          if (!pod.confirmed || ready.has(name)) continue;
          await tell(name, pod.ip, true);
          ready.add(name);
        }
      };
      const serving = (async () => {
        while (!stop.signal.aborted) {
          await look().catch((error: unknown) => log(error)); // a pod may go while it is looked at, like any other
          await Bun.sleep(LOOK_MS); // a kubelet's pace
        }
      })();
      return {
        async [Symbol.asyncDispose]() {
          stop.abort();
          await serving;
        },
      };
    },
    async addPods(count) {
      const names = Array.from({ length: count }, (_, index) => `${cluster}-server-extra-${index}`);
      const labels = {
        "app.kubernetes.io/name": "nexus",
        "app.kubernetes.io/instance": cluster,
        "app.kubernetes.io/component": "server",
        "app.kubernetes.io/managed-by": "nexus-operator",
      };
      const spec = { serviceAccountName: "default", containers: [{ name: "server", image: "nexus.dev/nexus:test" }] };
      await stage.plane.apply(names.map((name) => ({ apiVersion: "v1", kind: "Pod", metadata: { name, namespace, labels }, spec })));
    },
    async [Symbol.asyncDispose]() {
      for (const pod of pods.values()) await pod[Symbol.asyncDispose]();
    },
  };
}

// Why: the pods of the measured cluster: as many as asked for, beside the one its Deployment makes, run by this process. It does
// what a kubelet would: an address, then Ready once a leader has confirmed the pod.
import { eventually } from "../../support/eventually.ts";
import type { Stage } from "../../support/operator.ts";
import { statusOf } from "../../support/pod-api.ts";
import { type LeanPod, startLeanPod } from "./lean-pod.ts";
import { CLUSTER, NAMESPACE } from "./names.ts";

const SELECTOR = `app.kubernetes.io/instance=${CLUSTER},app.kubernetes.io/component=server`;
const LOOK_MS = 200;

type PodObject = {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status?: { readonly podIP?: string };
};

/** Calls back once every pod has this generation (or a later one) of an entry. */
export type Arrival = { readonly generation: number; readonly done: (atMs: number) => void; readonly pods: Set<string> };

export class Fleet implements AsyncDisposable {
  readonly pods = new Map<string, LeanPod>();
  readonly #stage: Stage;
  readonly #ready = new Set<string>();
  readonly #arrivals = new Map<string, Arrival>();
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  get readyCount(): number {
    return this.#ready.size;
  }

  /** When an entry's generation is live on every pod there is now, on the monotonic clock. */
  arrival(key: string, generation: number): Promise<number> {
    return new Promise((done) => this.#arrivals.set(key, { generation, done, pods: new Set(this.pods.keys()) }));
  }

  /** Runs pods as they come, until disposed of. */
  serve(): void {
    this.#running = (async () => {
      while (!this.#isStopped) {
        await this.#look().catch((error: unknown) => process.stderr.write(`fleet: ${error}\n`));
        await Bun.sleep(LOOK_MS);
      }
    })();
  }

  /** Makes pods beside those of the Deployment. */
  async add(count: number, prefix: string): Promise<void> {
    const labels = Object.fromEntries(
      [...SELECTOR.split(","), "app.kubernetes.io/name=nexus", "app.kubernetes.io/managed-by=nexus-operator"].map((one) => one.split("=")),
    );
    const spec = { serviceAccountName: "default", containers: [{ name: "server", image: "nexus.dev/nexus:bench" }] };
    for (let at = 0; at < count; at++) {
      const metadata = { name: `${CLUSTER}-server-${prefix}-${at}`, namespace: NAMESPACE, labels };
      await this.#send("POST", "pods", { apiVersion: "v1", kind: "Pod", metadata, spec });
    }
  }

  async ready(count: number, timeoutMs: number): Promise<void> {
    await eventually(`${count} pods are ready`, () => this.#ready.size >= count, { timeoutMs, intervalMs: 50 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    for (const pod of this.pods.values()) await pod[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const { items } = await this.#read<{ items: PodObject[] }>(`pods?labelSelector=${encodeURIComponent(SELECTOR)}`);
    for (const { metadata, status } of items) {
      const { name } = metadata;
      if (metadata.deletionTimestamp !== undefined) continue;
      if (!this.pods.has(name) && status?.podIP === undefined) await this.#start(name);
      const pod = this.pods.get(name);
      if (!pod?.isConfirmed || this.#ready.has(name) || status?.podIP === undefined) continue;
      await this.#send("PATCH", `pods/${name}/status`, { status: statusOf(status.podIP, true) });
      this.#ready.add(name);
    }
  }

  async #start(name: string): Promise<void> {
    const tls = await this.#secret("tls");
    const token = await this.#secret("token");
    if (!tls || !token) return; // the operator has not made them yet
    const ip = `127.${64 + (process.pid % 128)}.7.${this.pods.size + 1}`;
    const text = (data: Record<string, string>, key: string) => Buffer.from(data[key] ?? "", "base64").toString();
    const pair = { certPem: text(tls, "tls.crt"), keyPem: text(tls, "tls.key") };
    const onEntry = (key: string, generation: number) => this.#arrived(name, key, generation);
    this.pods.set(name, startLeanPod({ ...pair, token: text(token, "token"), cluster: `${NAMESPACE}/${CLUSTER}`, ip, onEntry }));
    await this.#send("PATCH", `pods/${name}/status`, { status: statusOf(ip, false) });
  }

  #arrived(pod: string, key: string, generation: number): void {
    const arrival = this.#arrivals.get(key);
    if (!arrival || generation < arrival.generation) return;
    arrival.pods.delete(pod);
    if (arrival.pods.size > 0) return;
    this.#arrivals.delete(key);
    arrival.done(performance.now());
  }

  async #secret(suffix: string): Promise<Record<string, string> | undefined> {
    const answer = await this.#stage.plane.request(`/api/v1/namespaces/${NAMESPACE}/secrets/${CLUSTER}-admin-${suffix}`);
    return answer.ok ? ((await answer.json()) as { data?: Record<string, string> }).data : undefined; // a Secret
  }

  async #read<T>(path: string): Promise<T> {
    const answer = await this.#stage.plane.request(`/api/v1/namespaces/${NAMESPACE}/${path}`);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T; // the API server answers what the path names
  }

  async #send(method: string, path: string, body: object): Promise<void> {
    const headers = { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" };
    const init = { method, headers, body: JSON.stringify(body) };
    const answer = await this.#stage.plane.request(`/api/v1/namespaces/${NAMESPACE}/${path}`, init);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }
}

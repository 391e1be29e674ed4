// Why: what a kubelet says to the API server about the server pods of one fleet, for tests on a control plane without a node: it
// lists them, gives them an address and a status. It must never make or delete a pod.
import type { Stage } from "./operator.ts";

export type Pod = {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: PodSpec;
  readonly status?: { readonly podIP?: string };
};
type Item = { readonly key: string; readonly path: string };
export type SecretSource = {
  readonly secretName?: string;
  readonly name?: string;
  readonly items?: readonly Item[];
  readonly optional?: boolean;
};
export type PodSpec = {
  readonly containers: readonly {
    readonly env?: readonly { readonly name: string; readonly value?: string }[];
    readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  }[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly secret?: SecretSource;
    readonly projected?: { readonly sources: readonly { readonly secret?: SecretSource }[] };
  }[];
};

export type PodApi = {
  /** Server pods that are not on their way out. */
  list(): Promise<readonly Pod[]>;
  /** Data of a Secret, decoded; undefined when there is none. */
  secret(name: string): Promise<Readonly<Record<string, Buffer>> | undefined>;
  /** Running at `ip`, Ready or not. */
  tell(name: string, ip: string, isReady: boolean): Promise<void>;
};

export function podApi(stage: Stage, namespace: string, cluster: string): PodApi {
  const base = `/api/v1/namespaces/${namespace}`;
  const selector = encodeURIComponent(`app.kubernetes.io/instance=${cluster},app.kubernetes.io/component=server`);
  return {
    async list() {
      const answer = await stage.plane.request(`${base}/pods?labelSelector=${selector}`);
      if (!answer.ok) throw new Error(`pods: ${answer.status} ${await answer.text()}`);
      const { items } = (await answer.json()) as { items: Pod[] }; // the API server answers what the path names
      return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    },
    async secret(name) {
      const answer = await stage.plane.request(`${base}/secrets/${name}`);
      if (answer.status === 404) return undefined;
      if (!answer.ok) throw new Error(`secret ${name}: ${answer.status} ${await answer.text()}`);
      const { data = {} } = (await answer.json()) as { data?: Record<string, string> }; // as above
      return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, "base64")]));
    },
    async tell(name, ip, isReady) {
      const headers = { "content-type": "application/merge-patch+json" };
      const body = JSON.stringify({ status: statusOf(ip, isReady) });
      const answer = await stage.plane.request(`${base}/pods/${name}/status`, { method: "PATCH", headers, body });
      if (!answer.ok) throw new Error(`status of pod ${name}: ${answer.status} ${await answer.text()}`);
    },
  };
}

/** What a kubelet says of a pod that runs. */
export function statusOf(ip: string, isReady: boolean) {
  const at = new Date().toISOString();
  const conditions = ["Ready", "ContainersReady", "Initialized", "PodScheduled"].map((type) => ({
    type,
    status: isReady || type === "PodScheduled" ? "True" : "False",
    lastTransitionTime: at,
  }));
  return { phase: "Running", podIP: ip, podIPs: [{ ip }], startTime: at, conditions };
}

/** 127.0.0.0/8 is all loopback: each pod has an address, and so the admin port, of its own. */
let lastAddress = 0;
const net = 64 + (process.pid % 128);
export const nextAddress = (): string => {
  lastAddress++;
  return `127.${net}.${lastAddress >> 8}.${lastAddress & 255}`;
};

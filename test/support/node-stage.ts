// Why: what every test with real pods needs: a node, our image, the operator as the chart's rights let it run, a broker that
// pods can reach, and a fleet behind its Service. It must never reach into a pod: what a test knows, it knows from outside.
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { buildImage } from "../../scripts/image.ts";
import { type NodeCluster, startNodeCluster } from "./cluster/node.ts";
import { eventually } from "./eventually.ts";
import type { Target } from "./fleet/target.ts";
import { type RedisServer, startRedis } from "./redis/server.ts";

const root = join(import.meta.dir, "../..");
export const STAGE_IMAGE = "nexus.dev/nexus:0.1.0";
export const OPERATOR_NAMESPACE = "nexus-system";

export type KubeFleet = Target & {
  readonly namespace: string;
  readonly name: string;
  readonly url: string;
};

export type ServerPod = {
  readonly name: string;
  readonly ip: string;
  readonly isReady: boolean;
  readonly isLeaving: boolean;
  readonly restarts: number;
};

export type NodeStage = AsyncDisposable & {
  readonly cluster: NodeCluster;
  /** A Redis on this machine, and where pods reach it. */
  readonly redis: RedisServer;
  readonly redisAddress: string;
  /** kubectl's output; a failure is an error with its words. */
  kubectl(...args: readonly string[]): Promise<string>;
  /** `kubectl get -o json`; the caller names the shape of what it asked for. */
  get<T>(...args: readonly string[]): Promise<T>;
  /** A NexusCluster over {@link NodeStage.redis} with one tenant, Ready. `spec` is laid over what every fleet here has. */
  fleet(name: string, spec: Readonly<Record<string, unknown>>): Promise<KubeFleet>;
  /** Server pods of a fleet, leaving ones included. */
  pods(fleet: KubeFleet): Promise<readonly ServerPod[]>;
  patch(fleet: KubeFleet, spec: Readonly<Record<string, unknown>>): Promise<void>;
  /** Resolves once the cluster's condition is True for its newest generation. */
  untilReady(fleet: KubeFleet, timeoutMs?: number): Promise<void>;
  /** Kills a random operator pod without grace; answers its name, or undefined while there is none. */
  killOperator(): Promise<string | undefined>;
};

type Listed = { readonly items: readonly Pod[] };
type Pod = {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
};

/** More than any rollout lets pass, so that what is missing was lost and not trimmed. */
const KEPT = { size: 10_000, ttlSeconds: 900 };

export async function startNodeStage(): Promise<NodeStage> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startNodeCluster());
  const host = cluster.addresses.hostAddress;
  const redis = stack.use(await startRedis({ settings: [`bind 127.0.0.1 ${host}`, "protected-mode no"] }));
  const archive = await buildImage({ name: STAGE_IMAGE });
  await cluster.importImage(archive.path);
  const kubectl = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr.trim()}`);
    return stdout;
  };
  await kubectl("apply", "-f", join(root, "crds"));
  await kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s");
  await kubectl("apply", "-k", join(root, "operator/deploy"));
  await kubectl("rollout", "status", "-n", OPERATOR_NAMESPACE, "deployment/nexus-operator", "--timeout=90s");
  const owned = stack.move();
  const get = async <T>(...args: readonly string[]): Promise<T> => JSON.parse(await kubectl("get", "-o", "json", ...args)) as T; // see the docstring
  const redisAddress = `${host}:${redis.port}`;

  const stage: NodeStage = {
    ...{ cluster, redis, redisAddress, kubectl, get },
    async fleet(name, spec) {
      const secret = crypto.randomUUID() + crypto.randomUUID();
      const namespace = name;
      await kubectl("create", "namespace", namespace);
      await kubectl("create", "secret", "generic", "-n", namespace, "tokens", `--from-literal=key=${secret}`);
      await cluster.apply(fleetObjects({ name, namespace, redisAddress, spec }));
      await kubectl("wait", "-n", namespace, "--for=condition=Ready", `nexuscluster/${name}`, "tenant/default", "--timeout=120s");
      const address = await kubectl("get", "-n", namespace, `service/${name}-server`, "-o", "jsonpath={.spec.clusterIP}");
      const encoded = await kubectl("get", "-n", namespace, "secret/default-apikey-backend", "-o", "jsonpath={.data.key}");
      const place = { url: `http://${address}:8081` };
      const boot = { apiKey: Buffer.from(encoded, "base64").toString(), tokenOf: (user: string) => tokenOf(user, secret) };
      return { namespace, name, ...place, boot, nodes: [place], next: () => place };
    },
    async pods({ namespace, name }) {
      const selector = `app.kubernetes.io/instance=${name},app.kubernetes.io/component=server`;
      const { items } = await get<Listed>("pods", "-n", namespace, "-l", selector);
      return items.map(({ metadata, status }) => ({
        name: metadata.name,
        ip: status.podIP ?? "",
        isReady: status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false,
        isLeaving: metadata.deletionTimestamp !== undefined,
        restarts: status.containerStatuses?.[0]?.restartCount ?? 0,
      }));
    },
    async patch({ namespace, name }, spec) {
      await kubectl("patch", "-n", namespace, `nexuscluster/${name}`, "--type=merge", "-p", JSON.stringify({ spec }));
    },
    async untilReady({ namespace, name }, timeoutMs = 120_000) {
      type Seen = {
        readonly metadata: { readonly generation: number };
        readonly status?: { readonly conditions?: readonly { type: string; status: string; observedGeneration: number }[] };
      };
      await eventually(
        `${name} is Ready`,
        async () => {
          const seen = await get<Seen>("-n", namespace, `nexuscluster/${name}`);
          const ready = seen.status?.conditions?.find(({ type }) => type === "Ready");
          if (ready?.status === "True" && ready.observedGeneration === seen.metadata.generation) return true;
          throw new Error(JSON.stringify(seen.status?.conditions ?? "no status"));
        },
        { timeoutMs, intervalMs: 250 },
      );
    },
    async killOperator() {
      const { items } = await get<Listed>("pods", "-n", OPERATOR_NAMESPACE, "-l", "app.kubernetes.io/name=nexus-operator");
      const running = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      const name = running[Math.floor(Math.random() * running.length)]?.metadata.name;
      if (name === undefined) return undefined;
      await kubectl("delete", "pod", "-n", OPERATOR_NAMESPACE, name, "--grace-period=0", "--force", "--ignore-not-found");
      return name;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  return stage;
}

type FleetObjects = {
  readonly name: string;
  readonly namespace: string;
  readonly redisAddress: string;
  readonly spec: Readonly<Record<string, unknown>>;
};

/** Rates per address are off: a whole crowd comes from one. */
function fleetObjects({ name, namespace, redisAddress, spec }: FleetObjects) {
  const meta = (of: string) => ({ name: of, namespace });
  const limits = { upgradesPerMinutePerAddress: 0, requestsPerSecond: 0 };
  return [
    {
      apiVersion: "nexus.dev/v1alpha1",
      kind: "NexusCluster",
      metadata: meta(name),
      spec: {
        redis: { mode: "External", external: { addresses: [redisAddress] } },
        limits,
        channels: ["kept.*", "@broadcast"].map((match) => ({ match, history: KEPT })),
        monitoring: { podMonitor: "Disabled", rules: "Disabled", dashboard: "Disabled" },
        ...spec,
      },
    },
    {
      apiVersion: "nexus.dev/v1alpha1",
      kind: "Tenant",
      metadata: meta("default"),
      spec: {
        clusterRef: { name },
        auth: {
          issuers: [{ name: "tests", algorithms: ["HS256"], secretRef: { name: "tokens" } }],
          apiKeys: [{ name: "backend", scopes: ["publish", "read", "admin"] }],
        },
        quotas: { inbox: { messages: 1000, ttlSeconds: 900 } },
      },
    },
  ];
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

function tokenOf(user: string, secret: string): string {
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: user, exp: Math.floor(Date.now() / 1000) + 3600 })}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

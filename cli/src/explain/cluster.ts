// Why: what a NexusCluster needs to be Ready, in the order in which one needs the other: Secrets, broker, Deployment, pods, then
// what the operator itself says. It must never write.
import { keyOfObject, namespaceOf } from "@nexus/operator/desired/acceptance.ts";
import { childNames } from "@nexus/operator/desired/names.ts";
import { KINDS, type Kind } from "@nexus/operator/loop/kinds.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { ConditionReason } from "@nexus/protocol/resources/conditions.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Connection } from "../kube/connect.ts";
import { isReady } from "../kube/objects.ts";
import { latestWarning } from "./events.ts";
import { broken, fine, type Link, note } from "./links.ts";
import { isPodReady, listPods, podLinks, restartNotes, WAIT_FOR_READY } from "./pods.ts";
import { secretLinks, secretsIn } from "./secrets.ts";
import { adviceFor, ownLinks } from "./spoken.ts";

type Workload = KubeObject & {
  readonly spec?: { readonly replicas?: number };
  readonly status?: {
    readonly readyReplicas?: number;
    readonly phase?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
};

const selector = (cluster: string, component: string): string =>
  `app.kubernetes.io/name=nexus,app.kubernetes.io/instance=${cluster},app.kubernetes.io/component=${component}`;

/** Links of one cluster, without the operator's. */
export async function clusterLinks(connection: Connection, cluster: NexusCluster): Promise<readonly Link[]> {
  const namespace = namespaceOf(cluster);
  const { name } = cluster.metadata;
  const words = brokerWords(cluster);
  const ground = [
    ...(await secretLinks(connection, namespace, secretsIn(cluster.spec, "spec"))),
    ...(cluster.spec.redis.mode === "Managed" ? await brokerLinks(connection, namespace, name) : []),
    ...words,
  ];
  const isGroundBroken = ground.some(({ state }) => state === "broken");
  const servers = await deploymentLinks(connection, namespace, name);
  return [
    ...ground,
    ...servers.map((link) => (isGroundBroken && link.todo === WAIT_FOR_READY ? { ...link, follows: true } : link)),
    ...(await scalerLinks(connection, cluster)),
    ...(await ownLinks(connection, cluster)).filter(({ says }) => words.length === 0 || !says.startsWith("RedisReady is ")),
  ];
}

const NOT_REACHED: ConditionReason = "RedisUnavailable";

/**
 * What the servers say of their broker comes before them: a pod that waits for it only says that it is not ready. Pods that were
 * ready stay so without a broker: of a cluster that is Ready it is a note, told with the other conditions.
 */
export function brokerWords(cluster: NexusCluster): readonly Link[] {
  const said = cluster.status?.conditions?.find(({ type, reason }) => type === "RedisReady" && reason === NOT_REACHED);
  return said && !isReady(cluster) ? [broken(`Redis of ${keyOfObject(cluster)}`, said.message, adviceFor(said.reason))] : [];
}

async function deploymentLinks(connection: Connection, namespace: string, cluster: string): Promise<readonly Link[]> {
  const { server } = childNames(cluster);
  const what = `Deployment ${namespace}/${server}`;
  const deployment = await connection.api.get<Workload>({ kind: KINDS.Deployment, namespace, name: server });
  if (!deployment)
    return [
      broken(what, "does not exist", "The operator makes it: what keeps it from that stands in the conditions below, or in its log."),
    ];
  const [wanted, ready] = [deployment.spec?.replicas ?? 1, deployment.status?.readyReplicas ?? 0];
  const pods = await listPods(connection, namespace, selector(cluster, "server"));
  const failure = deployment.status?.conditions?.find(({ type, status }) => type === "ReplicaFailure" && status === "True");
  const links: Link[] = [];
  if (failure)
    links.push(
      broken(
        what,
        `pods cannot be made: ${failure.message ?? failure.reason}`,
        "Most often a ResourceQuota or an admission rule: the words above name it.",
      ),
    );
  links.push(...(await podLinks(connection, pods)));
  if (ready >= wanted && wanted > 0) return [fine(what, `${ready}/${wanted} pods are ready`), ...links.map(asNote), ...restartNotes(pods)];
  if (wanted === 0) return [broken(what, "no pods are asked for", "Raise spec.replicas of the NexusCluster.")];
  if (links.length > 0) return links;
  const warning = pods.length === 0 ? await latestWarning(connection, deployment) : undefined;
  const says = `${ready}/${wanted} pods are ready${pods.length === 0 ? ", and none exists" : ""}${warning === undefined ? "" : ` (event ${warning})`}`;
  return [broken(what, says, "Wait a moment; when it stays, look at the Deployment's events.")];
}

/** With enough ready pods a pod in trouble breaks nothing. */
const asNote = ({ object, says, todo }: Link): Link => note(object, says, todo);

async function brokerLinks(connection: Connection, namespace: string, cluster: string): Promise<readonly Link[]> {
  const { redis } = childNames(cluster);
  const what = `StatefulSet ${namespace}/${redis}`;
  const set = await connection.api.get<Workload>({ kind: KINDS.StatefulSet, namespace, name: redis });
  if (!set)
    return [
      broken(what, "does not exist", "The operator makes it: what keeps it from that stands in the conditions below, or in its log."),
    ];
  const claims = await connection.api.list<Workload>(KINDS.PersistentVolumeClaim, { namespace, labelSelector: selector(cluster, "redis") });
  const links: Link[] = [];
  for (const claim of claims.items.filter(({ status }) => status?.phase === "Pending")) {
    const warning = await latestWarning(connection, claim);
    links.push(
      broken(
        `PersistentVolumeClaim ${namespace}/${claim.metadata.name}`,
        `waits for a volume${warning === undefined ? "" : ` (event ${warning})`}`,
        "Name a StorageClass that exists in spec.redis.managed.storage.storageClassName, or make one the default.",
      ),
    );
  }
  const pods = await listPods(connection, namespace, selector(cluster, "redis"));
  if (pods.length > 0 && pods.every(isPodReady)) return [fine(what, "the broker's pod is ready"), ...restartNotes(pods)];
  links.push(...(await podLinks(connection, pods)));
  return links.length > 0
    ? links
    : [broken(what, "the broker has no ready pod", "Wait a moment; when it stays, look at the StatefulSet's events.")];
}

/** A scaler in trouble leaves the size alone: worth knowing, never why a cluster is not Ready. */
async function scalerLinks({ api }: Connection, cluster: NexusCluster): Promise<readonly Link[]> {
  if (cluster.spec.autoscaling?.provider !== "HPA") return [];
  const namespace = namespaceOf(cluster);
  const { server } = childNames(cluster.metadata.name);
  const kind: Kind = KINDS.HorizontalPodAutoscaler;
  const scaler = await api.get<Workload>({ kind, namespace, name: server });
  const what = `HorizontalPodAutoscaler ${namespace}/${server}`;
  if (!scaler)
    return [note(what, "does not exist", `The operator makes it for NexusCluster ${keyOfObject(cluster)}: see AutoscalingActive below.`)];
  const failing = scaler.status?.conditions?.find(
    ({ type, status }) => (type === "ScalingActive" || type === "AbleToScale") && status === "False",
  );
  if (!failing) return [fine(what, "scales")];
  return [
    note(
      what,
      `${failing.reason}: ${failing.message ?? ""}`,
      "Install what serves the metrics it asks for (metrics-server), or set requests in spec.pods.resources.",
    ),
  ];
}

// Why: one NexusCluster as people and pods have it: its chain of objects, the configuration in each pod, certificates, the copy for
// new pods, the names people use. Secrets are read for dates and counts only; nothing of them is ever shown.
import { namespaceOf } from "@nexus/operator/desired/acceptance.ts";
import { publicHosts } from "@nexus/operator/desired/exposure/hosts.ts";
import { childNames, selectorLabels } from "@nexus/operator/desired/names.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { isForbidden } from "@nexus/operator/loop/kube-error.ts";
import type { SecretObject } from "@nexus/operator/loop/secret-source.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { clusterLinks } from "../explain/cluster.ts";
import type { Link } from "../explain/links.ts";
import { isPodReady, listPods } from "../explain/pods.ts";
import { adviceFor } from "../explain/spoken.ts";
import type { Connection } from "../kube/connect.ts";
import { conditionOf } from "../kube/objects.ts";
import { type Check, fail, ok, skip, warn } from "./check.ts";
import { checkOf } from "./links.ts";
import { nameChecks } from "./names.ts";
import { podChecks } from "./pods.ts";
import { certificateCheck } from "./secret-files.ts";
import type { Outside } from "./settings.ts";

/** Pods that are asked one by one; more would be a load on the API server. */
const MOST_PODS = 20;

const selectorOf = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");

/** Rejects with `KubeError`. */
export async function fleetChecks(connection: Connection, cluster: NexusCluster, { resolve, nowMs }: Outside): Promise<readonly Check[]> {
  const namespace = namespaceOf(cluster);
  const { name } = cluster.metadata;
  const links = await clusterLinks(connection, cluster);
  // The broker has a check of its own: one that is away fails an installation also while pods stay ready.
  const isOfBroker = ({ object, says }: Link) => object.startsWith("Redis of ") || says.startsWith("RedisReady is ");
  // A note without advice repeats what fails elsewhere.
  const chain = links.filter((link) => !isOfBroker(link) && (link.state !== "note" || link.todo !== undefined)).map(checkOf);
  const pods = await listPods(connection, namespace, selectorOf(selectorLabels(name, "server")));
  const ready = pods.filter(isPodReady);
  const asked = await Promise.all(ready.slice(0, MOST_PODS).map((pod) => podChecks(connection, pod, nowMs)));
  const left =
    ready.length > MOST_PODS ? [skip(`pods of ${namespace}/${name}`, `${ready.length - MOST_PODS} of ${ready.length} were not asked`)] : [];
  return [
    ...brokerChecks(cluster),
    ...chain,
    bundleCheck(cluster),
    ...asked.flat(),
    ...left,
    ...(await secretChecks(connection, cluster, nowMs())),
    ...(await nameChecks(publicHosts(cluster), resolve, false)),
  ];
}

/** Pure: what the status says of the configuration in the pods. */
export function bundleCheck({ metadata, status }: NexusCluster): Check {
  const what = `configuration of ${metadata.namespace}/${metadata.name}`;
  const bundle = status?.bundle;
  if (!bundle) return fail(what, "the operator has not told any", "see the operator above: it writes the status");
  const seen = `${bundle.podsSynced} of ${bundle.podsTotal} ready pods have ${bundle.digest.slice(0, 12)}`;
  if (bundle.podsSynced === bundle.podsTotal) return ok(what, seen);
  return warn(
    what,
    seen,
    "wait a minute; when it stays, look at NetworkPolicies between the operator and port 9091, and at the operator's log",
  );
}

/** Pure: what the pods say of their broker, as the status has it; nothing where the cluster has none. */
export function brokerChecks(cluster: NexusCluster): readonly Check[] {
  const what = `broker of ${cluster.metadata.namespace}/${cluster.metadata.name}`;
  const ready = conditionOf(cluster, "RedisReady");
  if (!ready || ready.reason === "NotRequested") return [];
  if (ready.status === "True") return [ok(what, ready.message || ready.reason)];
  const seen = `RedisReady is ${ready.status}, ${ready.reason}: ${ready.message}`;
  return [ready.status === "False" ? fail(what, seen, adviceFor(ready.reason)) : warn(what, seen, adviceFor(ready.reason))];
}

async function secretChecks(connection: Connection, cluster: NexusCluster, nowMs: number): Promise<readonly Check[]> {
  const namespace = namespaceOf(cluster);
  const { name } = cluster.metadata;
  const names = childNames(name);
  const listener = cluster.spec.tls?.secretRef?.name ?? (cluster.spec.tls ? names.listenerTls : undefined);
  const wanted = [
    { what: `certificate of the admin CA (${names.adminCa})`, secret: names.adminCa },
    { what: `certificate of the admin port (${names.adminTls})`, secret: names.adminTls },
    ...(listener === undefined ? [] : [{ what: `certificate of the public port (${listener})`, secret: listener }]),
  ];
  try {
    const checks: Check[] = [];
    for (const { what, secret } of wanted) {
      const found = await connection.api.get<SecretObject>({ kind: KINDS.Secret, namespace, name: secret });
      const pem = found?.data?.["tls.crt"];
      if (pem === undefined)
        checks.push(fail(what, "is not there", "the operator makes it, or spec.tls.secretRef names it: see the conditions above"));
      else checks.push(certificateCheck(what, Buffer.from(pem, "base64").toString(), nowMs));
    }
    return [...checks, await bootCheck(connection, namespace, name)];
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return [skip(`certificates of ${namespace}/${name}`, "not allowed to read Secrets")];
  }
}

/** The copy new pods start with while nobody leads. Every cluster has at least the part with its own settings. */
async function bootCheck({ api }: Connection, namespace: string, cluster: string): Promise<Check> {
  const what = `boot copy of ${namespace}/${cluster}`;
  const labelSelector = selectorOf(selectorLabels(cluster, "server"));
  const { items } = await api.list(KINDS.Secret, { namespace, labelSelector });
  const parts = items.filter(({ metadata }) => metadata.name.startsWith(`${cluster}-boot-`));
  if (parts.length > 0) return ok(what, `${parts.length} of 64 parts hold something`);
  return fail(
    what,
    "there is none: a pod that starts while no operator leads has no configuration",
    "see ConfigSynced above: a quota or a missing right keeps the operator from writing it",
  );
}

// Why: the server pods of a fleet: template, strategy and size, each with its own way to be written. A template that only this
// operator's version changed waits for approval. The size goes through the scale subresource alone.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { deployment, deploymentPods } from "../../desired/children.ts";
import { childNames, INPUTS_ANNOTATION, MANAGER, PODS_MANAGER } from "../../desired/names.ts";
import { compare } from "../../plan/compare.ts";
import { managersOf } from "../../plan/managed-fields.ts";
import type { KubeObject } from "../../plan/object.ts";
import { rendered, renderedDigest } from "../../plan/rendered.ts";
import { KINDS } from "../kinds.ts";
import type { DeploymentObject } from "../views.ts";
import { type FleetWork, putBack } from "./work.ts";

export type PendingRollout = { readonly digest: string; readonly reason: string; readonly fields: string[] };

/**
 * Template, then the rest, then the size. A new Deployment is made whole (a strategy cannot be changed to one that
 * contradicts a default), with the template as the pods' manager will render it, so that taking it over starts no second
 * rollout. `replicas`: the size asked for; undefined leaves the size alone. `isPaused`: the rollout waits. Rejects with `KubeError`.
 */
export async function reconcileDeployment(
  work: FleetWork,
  { replicas, isPaused }: { readonly replicas: number | undefined; readonly isPaused: boolean },
): Promise<PendingRollout | undefined> {
  const { cluster, deps } = work;
  const { views, context } = deps;
  const pods = deploymentPods(cluster, context);
  const live = deps.newest.get(views.deployments, pods);
  const pending = live ? pendingUpgrade(cluster, pods, live) : undefined;
  if (!live) {
    const rest = deployment(cluster, context);
    const spec: unknown = Reflect.get(rendered(pods, "podTemplate").object, "spec");
    const whole = { ...rest, spec: { ...(spec as object), ...rest.spec } }; // a rendering keeps its spec an object
    await work.child(KINDS.Deployment, whole);
  }
  if (!pending) {
    const outcome = await work.child(KINDS.Deployment, pods, { manager: PODS_MANAGER, digestAt: "podTemplate" });
    if (outcome.kind === "nameConflict" || outcome.kind === "terminating" || outcome.kind === "stale") return undefined;
  }
  const outcome = await work.child(KINDS.Deployment, deployment(cluster, context, { isPaused }));
  // The answer of the apply just made is newer than any store.
  const now = "live" in outcome ? outcome.live : undefined;
  if (now && replicas !== undefined) await setSize(work, now, replicas);
  return pending;
}

/**
 * Sets the size of the Deployment as seen; nothing when it has it. Somebody who sets another size again and again (an
 * autoscaler that is not ours) is told of, and let be. Rejects with `KubeError` (409 when it changed meanwhile).
 */
export async function setSize({ namespace, deps, notes, again, warn }: FleetWork, live: KubeObject, wanted: number): Promise<void> {
  const { contests } = deps;
  const spec: unknown = Reflect.get(live, "spec");
  const present: unknown = typeof spec === "object" && spec !== null ? Reflect.get(spec, "replicas") : undefined;
  const size = `${live.metadata.uid}/scale`;
  if (present === wanted) {
    contests.applied(size, String(wanted));
    return;
  }
  const what = `Deployment ${live.metadata.name}`;
  const managers = managersOf(live.metadata.managedFields, ["spec", "replicas"], MANAGER);
  const path = managers.length > 0 ? `spec.replicas (${managers.join(", ")})` : "spec.replicas";
  const isDrift = contests.hasApplied(size, String(wanted));
  const retryAfterMs = isDrift ? contests.found(size, ["spec.replicas"]) : 0;
  if (retryAfterMs > 0) {
    notes.contested.push(`${what} ${path}`);
    again(retryAfterMs);
    return;
  }
  const ref = { kind: KINDS.Deployment, namespace, name: live.metadata.name };
  const { resourceVersion } = await deps.api.setScale(ref, { replicas: wanted }, { manager: MANAGER });
  contests.applied(size, String(wanted));
  if (isDrift) putBack([path], { what, notes, warn });
  const scaled = { ...live, metadata: { ...live.metadata, resourceVersion }, spec: { ...Object(spec), replicas: wanted } };
  deps.newest.put(scaled);
}

/** The Deployment as young as we know it. */
export const liveDeployment = ({ cluster, namespace, deps }: FleetWork): DeploymentObject | undefined =>
  deps.newest.get(deps.views.deployments, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace, name: childNames(cluster.metadata.name).server },
  });

/** Set when the user's inputs are those of the live template and only our rendering differs, and nobody approved it. */
function pendingUpgrade(
  cluster: NexusCluster,
  desired: KubeObject & { readonly spec: { readonly template: { readonly metadata: object } } },
  live: DeploymentObject,
): PendingRollout | undefined {
  const annotations = live.spec.template?.metadata?.annotations;
  const inputs: unknown = Reflect.get(Reflect.get(desired.spec.template.metadata, "annotations") ?? {}, INPUTS_ANNOTATION);
  const { object, digest } = rendered(desired, "podTemplate");
  if (annotations?.[INPUTS_ANNOTATION] !== inputs || renderedDigest(live, "podTemplate") === digest) return undefined;
  const { upgrades, approve } = cluster.spec.rollout;
  if (upgrades === "Automatic" || approve === digest) return undefined;
  const fields = compare(object, live, PODS_MANAGER).differences.map(({ path }) => path);
  return { digest, reason: "this operator renders the pods differently from the same spec", fields: fields.slice(0, 16) };
}

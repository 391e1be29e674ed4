// Why: files against a cluster: each object is asked of the API server without being written, and what it would become is told
// field by field; of a NexusCluster also what becomes of its objects. Reads only.

import type { RenderContext } from "@nexus/operator/desired/pod-template.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { KubeObject, Manifest } from "@nexus/operator/plan/object.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import type { Placed } from "../files/references.ts";
import type { Connection } from "../kube/connect.ts";
import { asResource, nameOf, servedKind } from "../kube/objects.ts";
import { type Change, changesBetween } from "./changes.ts";
import { type FleetPlan, type ObjectPlan, planFleet } from "./children.ts";
import { dryRun, LAST_APPLIED } from "./dry-run.ts";
import { effectOf } from "./effects.ts";

export type ResourcePlan = ObjectPlan & {
  readonly place: { readonly file: string; readonly line: number };
  /** The API server's words when it would refuse the object. */
  readonly refused: string | undefined;
  readonly fleet: FleetPlan | undefined;
};

type Options = { readonly context: RenderContext; readonly manager: string | undefined };

/** Rejects with `KubeError` when the cluster cannot be asked; a refusal of one object is part of the plan. */
export async function planResource(
  connection: Connection,
  { object, resource }: Placed,
  { context, manager }: Options,
): Promise<ResourcePlan> {
  const { kind, metadata } = resource;
  const namespace = metadata.namespace ?? connection.namespace;
  const desired = asManifest(object.value, namespace);
  const head = {
    object: nameOf({ ...desired, metadata: { ...desired.metadata, namespace } }),
    place: { file: object.file, line: object.line("") },
  };
  const live = await connection.api.get({ kind: servedKind(kind), namespace, name: metadata.name });
  let after: Manifest;
  try {
    after = await dryRun(connection, { kind, desired, live, ...(manager === undefined ? {} : { manager }) });
  } catch (error) {
    if (!(error instanceof KubeError) || ![400, 404, 409, 422].includes(error.status)) throw error;
    return { ...head, action: live ? "change" : "create", changes: [], refused: wordsOf(error, namespace), fleet: undefined };
  }
  const changes = live ? changesBetween(usersPart(live), usersPart(after)) : [];
  const clusters = { before: live && asResource<NexusCluster>(live), after: asResource<NexusCluster>(after) };
  const fleet = kind === "NexusCluster" ? await planFleet(connection, clusters, context) : undefined;
  return { ...head, action: live ? "change" : "create", changes, refused: undefined, fleet };
}

/** Without the status, which only the operator writes, and with its namespace. */
function asManifest(value: Record<string, unknown>, namespace: string): Manifest {
  const { status: _, ...rest } = value;
  return { ...rest, metadata: { ...Object(rest.metadata), namespace } } as unknown as Manifest; // its schema has been checked
}

const wordsOf = (error: KubeError, namespace: string): string =>
  error.status === 404
    ? `namespace ${namespace} does not exist: apply it first`
    : error.causes.length > 0
      ? error.causes.map(({ field, message }) => `${field}: ${message}`).join("; ")
      : error.message;

/** Labels, annotations and spec: what a file can say. */
function usersPart(object: KubeObject): Record<string, unknown> {
  const { [LAST_APPLIED]: _, ...annotations } = object.metadata.annotations ?? {};
  return { metadata: { labels: object.metadata.labels ?? {}, annotations }, spec: Reflect.get(object, "spec") };
}

/** Whether anything would change, in the object or in what belongs to it. */
export const changesAnything = ({ action, changes, fleet }: ResourcePlan): boolean =>
  action === "create" || changes.length > 0 || (fleet?.objects.length ?? 0) > 0;

const SIGNS = { create: "+", change: "~", delete: "-" } as const;

/** What people read. */
export function planText(plans: readonly ResourcePlan[]): string {
  const lines = plans.filter((plan) => plan.refused !== undefined || changesAnything(plan)).flatMap(planLines);
  const changed = plans.filter((plan) => plan.refused === undefined && changesAnything(plan));
  const created = changed.filter(({ action }) => action === "create").length;
  const rolling = plans.filter(({ fleet }) => fleet?.rollsPods).map(({ object }) => object);
  const refused = plans.filter((plan) => plan.refused !== undefined).length;
  const summary = `${created} to create, ${changed.length - created} to change, ${plans.length - changed.length - refused} unchanged${refused > 0 ? `, ${refused} refused` : ""}.`;
  const pods = changed.length === 0 ? [] : [rolling.length > 0 ? `Pods are replaced: ${rolling.join(", ")}.` : "No pod is replaced."];
  return [...lines, ...(lines.length > 0 ? [""] : []), summary, ...pods].join("\n");
}

function planLines({ object, action, changes, refused, fleet, place }: ResourcePlan): readonly string[] {
  if (refused !== undefined) return [`! ${object} (${place.file}:${place.line}): refused: ${refused}`];
  const kind = object.split(" ")[0] as NexusCluster["kind"]; // written by nameOf
  const own = changes.map((change) => `    ${changeText(change)}${effectText(effectOf(kind, change.path))}`);
  const children = (fleet?.objects ?? []).flatMap((child) => [
    `  ${SIGNS[child.action]} ${child.object}`,
    ...child.changes.map((change) => `      ${changeText(change)}`),
  ]);
  const notes = (fleet?.notes ?? []).map((text) => `  note: ${text}`);
  const sign = action === "change" && changes.length === 0 ? " " : SIGNS[action];
  return [`${sign} ${object} (${place.file}:${place.line})`, ...own, ...children, ...notes];
}

const effectText = (effect: string | undefined): string => (effect === undefined ? "" : `   # ${effect}`);
const SHOWN_CHARACTERS = 200;

/** `path: before → after`. */
export function changeText({ path, before, after }: Change): string {
  const text = (value: unknown): string => {
    const json = JSON.stringify(value);
    return json.length > SHOWN_CHARACTERS ? `${json.slice(0, SHOWN_CHARACTERS)}… (${json.length} characters)` : json;
  };
  if (before === undefined) return `+ ${path}: ${text(after)}`;
  return after === undefined ? `- ${path}: ${text(before)}` : `~ ${path}: ${text(before)} → ${text(after)}`;
}

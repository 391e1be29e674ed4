// Why: only the API server knows what an object becomes (defaults, fields of others, rules about changes): it is asked, without
// anything being written. The object is sent the way its owner sends it, so that what it would keep or lose is what it will.
import { objectPath, withQuery } from "@nexus/operator/kube/paths.ts";
import type { KubeObject, ManagedFieldsEntry, Manifest } from "@nexus/operator/plan/object.ts";
import type { Kind } from "@nexus/protocol/resources/names.ts";
import type { Connection } from "../kube/connect.ts";
import { servedKind } from "../kube/objects.ts";

/** Where client-side `kubectl apply`, and Argo CD, keep what they sent last. */
export const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const DEFAULT_MANAGER = "kubectl";

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

export type DryRunRequest = {
  readonly kind: Kind;
  /** As the file has it, with its namespace. */
  readonly desired: Manifest;
  readonly live: KubeObject | undefined;
  /** Field manager of a server-side apply; absent: whoever applied the object before. */
  readonly manager?: string;
};

/** The object as it would be. Rejects with `KubeError`: 422 says which field is refused. */
export async function dryRun({ transport }: Connection, { kind, desired, live, manager }: DryRunRequest): Promise<Manifest> {
  const { namespace = "default", name } = desired.metadata;
  const path = objectPath({ kind: servedKind(kind), namespace, name });
  const lastApplied = live?.metadata.annotations?.[LAST_APPLIED];
  const isClientSide = lastApplied !== undefined && manager === undefined;
  const fieldManager = isClientSide ? "kubectl-client-side-apply" : (manager ?? appliedBy(live?.metadata.managedFields) ?? DEFAULT_MANAGER);
  const query = { dryRun: "All", fieldValidation: "Strict", fieldManager, ...(isClientSide ? {} : { force: true }) };
  const answer = await transport.request({
    method: "PATCH",
    path: withQuery(path, query),
    contentType: isClientSide ? "application/merge-patch+json" : "application/apply-patch+yaml",
    body: isClientSide ? threeWayPatch(parsed(lastApplied), desired) : desired,
  });
  return answer.body as Manifest; // an object of the kind that was sent
}

/** Who applies this object: the manager of a server-side apply that owns part of the spec. */
function appliedBy(entries: readonly ManagedFieldsEntry[] | undefined): string | undefined {
  return entries?.find(
    ({ operation, subresource, fieldsV1 }) => operation === "Apply" && !subresource && isRecord(fieldsV1) && "f:spec" in fieldsV1,
  )?.manager;
}

/** What kubectl sends for a custom resource: the object, and null for what was in the last one and is in this one no more. */
export function threeWayPatch(last: unknown, desired: unknown): unknown {
  if (!isRecord(last) || !isRecord(desired)) return desired;
  const patch: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(desired)) patch[name] = threeWayPatch(last[name], value);
  for (const name of Object.keys(last)) if (!(name in desired)) patch[name] = null;
  return patch;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return {}; // somebody wrote the annotation by hand: nothing is known to be removed
    throw error;
  }
}

// Why: one way to ask an API server what it thinks of an object we render: server-side apply as the operator does it, with every
// unknown field refused and every warning told. It must never forgive anything.
import { collectionPath } from "@nexus/operator/kube/paths.ts";
import { KINDS, type Kind, OPTIONAL_KINDS } from "@nexus/operator/loop/kinds.ts";
import type { KubeObject, Manifest } from "@nexus/operator/plan/object.ts";
import type { ClusterApi } from "../cluster/api.ts";

/** `message`: the words of a refusal. `warnings`: the header, null without one. */
export type Answer = { readonly status: number; readonly body: Manifest & { readonly message?: string }; readonly warnings: string | null };

/** The entry of an object in the operator's table of kinds. @throws Error for a kind it does not know */
export function kindOf(object: KubeObject): Kind {
  const known: readonly Kind[] = [...Object.values(KINDS), ...Object.values(OPTIONAL_KINDS)];
  const found = known.find(({ kind, group }) => kind === object.kind && object.apiVersion.startsWith(group));
  if (!found) throw new Error(`${object.apiVersion} ${object.kind} is in no table of kinds`);
  return found;
}

/** Whether somebody else defines the kind. */
export const isOptional = (object: KubeObject): boolean => Object.values<Kind>(OPTIONAL_KINDS).includes(kindOf(object));

/** A server-side apply as the API server answers it. `query`: `dryRun=All`, or nothing. */
export async function strictApply(api: ClusterApi, object: Manifest, query = ""): Promise<Answer> {
  const { namespace, name } = object.metadata;
  const path = `${collectionPath(kindOf(object), namespace)}/${name}?fieldManager=nexus-operator&force=true&fieldValidation=Strict&${query}`;
  const headers = { "content-type": "application/apply-patch+yaml" };
  const answer = await api.request(path, { method: "PATCH", headers, body: JSON.stringify(object) });
  const body = (await answer.json()) as Answer["body"]; // an object, or a Status with a message
  return { status: answer.status, body, warnings: answer.headers.get("warning") };
}

// Why: we never take over an object that somebody else made under our name. Pure.
import type { KubeObject } from "./object.ts";

/** Whose a live child is: the uid of its controlling owner, and labels (with the operator's id among them). */
export type Identity = { readonly ownerUid?: string; readonly labels: Readonly<Record<string, string>> };

const OPERATOR_ID = "nexus.dev/operator-id";
/** What the names of all our field managers begin with. */
const OUR_MANAGERS = "nexus-operator";

/**
 * Why `live` is not ours, or undefined when it is. A controller decides by its uid alone. An object without any controller
 * (somebody removed the reference) is ours only if it has all our labels and one of our managers wrote to it.
 */
export function foreignReason(live: KubeObject, identity: Identity): string | undefined {
  const controller = live.metadata.ownerReferences?.find((owner) => owner.controller);
  if (controller) {
    if (identity.ownerUid === undefined) return `is controlled by ${controller.kind} ${controller.name}`;
    if (controller.uid !== identity.ownerUid) return `is controlled by another ${controller.kind}, ${controller.name}`;
    return isOfAnother(live, identity) ? "belongs to another operator" : undefined;
  }
  const written = live.metadata.managedFields?.some(({ manager = "" }) => manager.startsWith(OUR_MANAGERS)) ?? true;
  const hasLabels = Object.keys(identity.labels).every((name) => !labelsDiffer(live, identity, name));
  return written && hasLabels ? undefined : "was not made by this operator";
}

/** Two operators are told apart by this label. Without it (somebody removed our labels) the owner's uid alone decides. */
const isOfAnother = (live: KubeObject, identity: Identity): boolean =>
  live.metadata.labels?.[OPERATOR_ID] !== undefined && labelsDiffer(live, identity, OPERATOR_ID);

/** A label we did not set decides nothing. */
const labelsDiffer = (live: KubeObject, identity: Identity, name: string): boolean =>
  identity.labels[name] !== undefined && live.metadata.labels?.[name] !== identity.labels[name];

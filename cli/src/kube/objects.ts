// Why: objects of ours as commands need them: found by any name kubectl takes for a kind, read with their conditions. It must never
// trust a status to be there.
import { KINDS as KUBE_KINDS } from "@nexus/operator/loop/kinds.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { Condition, ConditionType } from "@nexus/protocol/resources/conditions.ts";
import { KINDS, type Kind } from "@nexus/protocol/resources/names.ts";
import type { Resource } from "@nexus/protocol/resources/schema.ts";
import { UsageError } from "../command.ts";
import { hint } from "../suggest.ts";

/** How the API server serves one of our kinds. */
export const servedKind = (kind: Kind) => KUBE_KINDS[kind];

const WORDS: ReadonlyMap<string, Kind> = new Map(
  Object.values(KINDS).flatMap(({ kind, plural, singular, shortName }) =>
    [kind.toLowerCase(), plural, singular, shortName, `${plural}.nexus.dev`].map((word) => [word, kind] as const),
  ),
);

/** `tenant/acme`, `nxt/acme`, `Tenant acme`. @throws UsageError when it names no kind or no object */
export function objectNamed(words: readonly string[]): { readonly kind: Kind; readonly name: string } {
  const [kindWord = "", name = "", ...rest] = words.length === 1 ? (words[0] ?? "").split("/") : words;
  if (rest.length > 0 || kindWord === "" || name === "") throw new UsageError("KIND/NAME: must be one object, such as tenant/acme");
  const kind = WORDS.get(kindWord.toLowerCase());
  if (kind) return { kind, name };
  throw new UsageError(
    `KIND/NAME: ${kindWord} is none of nexuscluster, tenant and template${hint(kindWord.toLowerCase(), [...WORDS.keys()])}`,
  );
}

/** `Tenant shop/acme`. */
export const nameOf = ({ kind, metadata }: KubeObject): string =>
  `${kind} ${metadata.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata.name}`;

type WithConditions = KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] | undefined } | undefined };

export const conditionOf = (object: WithConditions, type: ConditionType): Condition | undefined =>
  object.status?.conditions?.find((one) => one.type === type);

/** What Ready says about the spec as it is now; undefined when it is about an older one, or nothing was said. */
export function currentReady(object: WithConditions): Condition | undefined {
  const ready = conditionOf(object, "Ready");
  return ready && ready.observedGeneration >= (object.metadata.generation ?? 0) ? ready : undefined;
}

export const isReady = (object: WithConditions): boolean => currentReady(object)?.status === "True";

/** A resource of ours as the API server hands it out: its CRD has checked it. */
export const asResource = <R extends Resource>(object: KubeObject): R => object as unknown as R;

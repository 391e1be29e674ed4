// Why: what the operator says of an object itself, with the advice for each reason; and when it says nothing, that it does not.
import { CONDITION_REASONS, CONDITION_TYPES, type Condition, type ConditionReason } from "@nexus/protocol/resources/conditions.ts";
import type { Resource } from "@nexus/protocol/resources/schema.ts";
import type { Connection } from "../kube/connect.ts";
import { currentReady, nameOf } from "../kube/objects.ts";
import { ADVICE } from "./advice.ts";
import { latestWarning } from "./events.ts";
import { broken, fine, type Link, note } from "./links.ts";

const isReason = (reason: string): reason is ConditionReason => Object.hasOwn(CONDITION_REASONS, reason);
/** What to do about a reason; a reason of a newer operator is one we cannot know. */
export const adviceFor = (reason: string): string =>
  (isReason(reason) ? ADVICE[reason] : undefined) ?? `${reason} is no reason this version knows: use a nexus as new as the operator.`;

/** Conditions that are there only while something is the matter, and those that say so by being False. */
const ABNORMAL: ReadonlySet<string> = new Set(["Drift", "Paused"]);
/** Told by Ready, or repeating it. */
const SUMMARIES: ReadonlySet<string> = new Set(["Ready", "Reconciling", "Stalled"]);

/** Reasons that only repeat what is wrong further down. */
const CONSEQUENCES: ReadonlySet<string> = new Set<ConditionReason>([
  "ClusterNotReady",
  "TenantNotAccepted",
  "NoReadyPods",
  "PushPending",
  "ReplicasNotReady",
  "RolloutStuck",
  "SecretNotFound",
  "ReferenceNotPermitted",
]);

/** What the object's own status says: first what keeps it from being Ready, then what is worth knowing. */
export async function ownLinks(connection: Connection, object: Resource): Promise<readonly Link[]> {
  const what = nameOf(object);
  const conditions: readonly Condition[] = object.status?.conditions ?? [];
  const ready = currentReady(object);
  const notes = conditions.flatMap((condition) => noteOf(what, condition));
  if (!ready) {
    const old = conditions.find(({ type }) => type === "Ready");
    const says = old
      ? `its status is about generation ${old.observedGeneration}, the spec is at ${object.metadata.generation}`
      : "nobody has written a status for it";
    const isPaused = conditions.some(({ type, status }) => type === "Paused" && status === "True");
    return [broken(what, says, adviceFor(isPaused ? "PausedByAnnotation" : "NotObserved")), ...notes];
  }
  if (ready.status === "True") return [fine(what, `Ready: ${ready.message}`), ...notes];
  const warning = await latestWarning(connection, object);
  const says = `${ready.reason}: ${ready.message}${warning === undefined ? "" : ` (event ${warning})`}`;
  return [{ ...broken(what, says, adviceFor(ready.reason)), follows: CONSEQUENCES.has(ready.reason) }, ...notes];
}

function noteOf(what: string, { type, status, reason, message }: Condition): readonly Link[] {
  if (SUMMARIES.has(type) || !Object.hasOwn(CONDITION_TYPES, type)) return [];
  const isTrouble = ABNORMAL.has(type) ? status === "True" : status === "False";
  if (!isTrouble) return [];
  const says = `${type} is ${status}, ${reason}: ${message}`;
  return [CONSEQUENCES.has(reason) ? note(what, says) : note(what, says, adviceFor(reason))];
}

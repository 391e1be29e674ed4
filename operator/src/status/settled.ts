// Why: almost every status of 100,000 Templates says the same: live on every pod. Recognised, it need not be kept. Pure. It must
// never recognise a status that a pass would still change.
import type { Condition } from "@nexus/protocol/resources/conditions.ts";
import type { TemplateStatus } from "@nexus/protocol/resources/template.ts";
import { type AttachedState, templateStatus } from "./attached.ts";

type About = { readonly generation: number; readonly templateId: string };

const SETTLED_FIELDS = 3; // observedGeneration, templateId, conditions
const EXPECTED: readonly Condition[] =
  templateStatus(
    { kind: "accepted", id: "", acknowledgement: { kind: "all" }, missing: [], unusable: [], suspended: false },
    { previous: undefined, generation: 0, now: "", nowMs: 0 },
    undefined,
  ).conditions ?? [];

/** Whether `status` is, but for the times in it, what a pass over a Template that is live everywhere writes. */
export function isSettledStatus(status: TemplateStatus | undefined, { generation, templateId }: About): boolean {
  if (!status?.conditions || status.observedGeneration !== generation || status.templateId !== templateId) return false;
  if (status.conditions.length !== EXPECTED.length || Object.keys(status).length !== SETTLED_FIELDS) return false;
  const { conditions } = status;
  return EXPECTED.every((expected) => conditions.some((one) => isSame(expected, one, generation)));
}

/** Whether a pass in this state would write a settled status over a settled one: nothing to do then. */
export const staysSettled = (state: AttachedState): boolean =>
  state.kind === "accepted" && state.acknowledgement.kind !== "rejected" && state.revokedUntil === undefined;

const isSame = (expected: Condition, found: Condition, generation: number): boolean =>
  found.type === expected.type &&
  found.status === expected.status &&
  found.reason === expected.reason &&
  found.message === expected.message &&
  found.observedGeneration === generation;

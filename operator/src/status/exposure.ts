// Why: what the status says of how people reach a fleet. Pure.
import type { ConditionReason } from "@nexus/protocol/resources/conditions.ts";

export type ExposureSeen = {
  /** URLs people can use, most public first. */
  readonly endpoints: readonly string[];
  /** What keeps the listener or its route from working and only a user can mend; a reason and a sentence. */
  readonly waitsFor: { readonly reason: ConditionReason; readonly message: string } | undefined;
};

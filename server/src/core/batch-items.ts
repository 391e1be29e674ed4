// Why: what a batch is before anything is sent: items with real targets, and which of them say the same thing again.
// Pure. It must never judge what only sending can tell (templates, quotas): that is per item and costs the others nothing.
import type { FieldError, Refusal } from "@nexus/protocol/failures.ts";
import type { Content } from "@nexus/protocol/rest/content.ts";
import { type BatchBody, MAX_BATCH_ITEMS } from "@nexus/protocol/rest/publishing.ts";
import { missingContent } from "./content.ts";
import { type PublishTarget, type PublishTargets, targetError, targetsErrors, wrongTarget } from "./publish-targets.ts";

export type BatchItem = { readonly target: PublishTarget | PublishTargets; readonly content: Content };

/** `duplicate` and `stopped`: not sent. `published` may have reached nobody. */
export type BatchItemResult =
  | { readonly kind: "published"; readonly notificationId: string; readonly deliveredTo: number; readonly queued: boolean }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "duplicate" | "stopped" };

/** What became of one item that was tried. */
export type SentItem = Extract<BatchItemResult, { kind: "published" | "refused" }>;

type WireItem = BatchBody["notifications"][number];

/** At most this many wrong members of one batch are told. */
const MAX_ERRORS = 16;

export const isMany = (target: BatchItem["target"]): target is PublishTargets => target.kind === "users" || target.kind === "channels";

/**
 * The items of a body that passed its schema. Refuses the whole batch with `limit_exceeded` (0 or too many items) and
 * `validation_error` with pointers: a target whose value does not fit its type, an illegal name, no content.
 */
export function batchItems({ notifications }: BatchBody): readonly BatchItem[] | Refusal {
  const count = notifications.length;
  if (count === 0 || count > MAX_BATCH_ITEMS) {
    return { code: "limit_exceeded", detail: `A batch has 1 to ${MAX_BATCH_ITEMS} notifications` };
  }
  const items: BatchItem[] = [];
  const errors: FieldError[] = [];
  for (const [index, wire] of notifications.entries()) {
    if (errors.length >= MAX_ERRORS) break;
    const at = `/notifications/${index}`;
    const target = targetOf(wire);
    if (typeof target === "string") errors.push({ pointer: `${at}/target/value`, detail: target });
    else errors.push(...namesWrong(target, at));
    const missing = missingContent(wire);
    if (missing !== undefined) errors.push({ pointer: `${at}${missing}`, detail: "is required without template_id" });
    if (typeof target !== "string") items.push({ target, content: wire });
  }
  if (errors.length === 0) return items;
  return { ...wrongTarget(errors.slice(0, MAX_ERRORS)), detail: "An item does not match the contract; nothing was sent" };
}

/** A target, or what its `value` must be. */
function targetOf({ target: { type, value }, audience }: WireItem): BatchItem["target"] | string {
  switch (type) {
    case "user":
      return typeof value === "string" ? { kind: "user", user: value } : "must be a text";
    case "channel":
      return typeof value === "string" ? { kind: "channel", channel: value } : "must be a text";
    case "users":
      return Array.isArray(value) ? { kind: "users", users: value } : "must be a list";
    case "channels":
      return Array.isArray(value) ? { kind: "channels", channels: value } : "must be a list";
    case "broadcast":
      return audience === undefined ? { kind: "broadcast" } : { kind: "broadcast", audience };
    default:
      return type satisfies never;
  }
}

function namesWrong(target: BatchItem["target"], at: string): readonly FieldError[] {
  if (isMany(target)) return targetsErrors(target, `${at}/target/value`);
  const wrong = targetError(target);
  if (!wrong) return [];
  return [{ pointer: target.kind === "broadcast" ? `${at}${wrong.pointer}` : `${at}/target/value`, detail: wrong.detail }];
}

/**
 * What `deduplicate` compares (Ara's meaning, which its clients build on): the same target, a list in any order and doubles
 * aside, and the same event type. Payloads do not count.
 */
export function duplicateKey(target: BatchItem["target"], eventType: string): string {
  return JSON.stringify([sameTarget(target), eventType]);
}

function sameTarget(target: BatchItem["target"]): unknown {
  if (target.kind === "users") return { ...target, users: [...new Set(target.users)].sort() };
  return target.kind === "channels" ? { ...target, channels: [...new Set(target.channels)].sort() } : target;
}

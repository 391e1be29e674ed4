// Why: what both forms of triggers and the rest of the server tell each other. It must never hold anything but types.
import type { Trigger, TriggerOutcome, TriggerSink } from "../../core/trigger.ts";

export type TriggerForm = "pubsub" | "stream";
/**
 * `limited`: over a quota; `failed`: the broker or we were at fault. By `pubsub` these two are lost, by `stream` tried
 * again. `overflow`: too many at once (pubsub). `dead`: an entry became a dead letter.
 */
export type TriggerResult = "published" | "invalid" | "refused" | "limited" | "failed" | "overflow" | "dead";
export type TriggerTake = (form: TriggerForm, trigger: Trigger) => Promise<TriggerOutcome>;
export type TriggerCount = (form: TriggerForm, result: TriggerResult) => void;

/** What the rest of the server gives: where triggers go, whether this node may take work now, and who counts. */
export type TriggerUse = { readonly sink: TriggerSink; readonly ready: () => boolean; readonly counted: TriggerCount };

// Why: what the status says of a fleet's broker: what the spec names is there, what the operator runs is up, and what the
// servers themselves say of it. Only they know whether it can be reached. Pure.
import type { ConditionReason } from "@nexus/protocol/resources/conditions.ts";
import { few, type Judgement, judge } from "./conditions.ts";

/**
 * `refused`: something only a user can mend; servers keep what they have. `wired`: servers are told where it is; `starting`:
 * what the operator runs is not up yet, in words.
 */
export type RedisSeen =
  | { readonly kind: "notRequested" }
  | { readonly kind: "refused"; readonly reason: ConditionReason; readonly message: string }
  | { readonly kind: "wired"; readonly starting?: string };

/** What pods say: how many reach it and how many do not, and why not, of the first by name. */
export type BrokerWords = { readonly up: number; readonly down: readonly { readonly pod: string; readonly why: string }[] };

/** `RedisReady`. */
export function redisReady(seen: RedisSeen | undefined, words: BrokerWords): Judgement {
  if (!seen) return judge("RedisReady", "Unknown", "NotObserved", "not looked at yet");
  switch (seen.kind) {
    case "notRequested":
      return judge("RedisReady", "True", "NotRequested", "not asked for");
    case "refused":
      return judge("RedisReady", "False", seen.reason, seen.message);
    case "wired":
      return reached(seen.starting, words);
    default:
      return seen satisfies never;
  }
}

function reached(starting: string | undefined, { up, down }: BrokerWords): Judgement {
  if (starting !== undefined) return judge("RedisReady", "False", "Connecting", starting);
  if (down.length > 0) {
    const which = few(down.map(({ pod, why }) => `${pod}: ${why}`));
    return judge("RedisReady", "False", "RedisUnavailable", `${down.length}/${up + down.length} pods do not reach it; ${which}`);
  }
  return up > 0
    ? judge("RedisReady", "True", "Available", "every pod reaches it")
    : judge("RedisReady", "Unknown", "Connecting", "no pod has said yet whether it reaches it");
}

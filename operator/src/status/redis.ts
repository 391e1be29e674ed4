// Why: what the status says of a fleet's broker. Pure.
import { type Judgement, judge } from "./conditions.ts";

export type RedisSeen = { readonly kind: "notRequested" } | { readonly kind: "notSupported" };

/** `RedisReady`. */
export function redisReady(seen: RedisSeen | undefined): Judgement {
  if (!seen) return judge("RedisReady", "Unknown", "NotObserved", "not looked at yet");
  return seen.kind === "notRequested"
    ? judge("RedisReady", "True", "NotRequested", "not asked for")
    : judge("RedisReady", "False", "NotSupported", "this version cannot wire a broker");
}

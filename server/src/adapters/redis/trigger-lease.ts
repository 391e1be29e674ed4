// Why: of all nodes one listens to Redis pub/sub for triggers, so that each message is taken once. The lease is a key that
// lives 5 s by Redis' own clock and is renewed every second.
// It must never let a node that may have lost it go on: what counts is when its last renewal began, on its own clock.

import type { Script } from "./link.ts";
import type { RedisParts } from "./parts.ts";

export const TRIGGER_LEASE_MS = 5_000;
export const TRIGGER_BEAT_MS = 1_000;

/** ARGV: who, ms. 1: it is theirs now. */
const HOLD: Script = {
  name: "nexusTriggerHold",
  lua: `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`,
};

const RELEASE: Script = {
  name: "nexusTriggerRelease",
  lua: `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0`,
};

export type TriggerLease = {
  /** Takes or renews it; whether it is this node's now. Rejects with `Failure` `broker_unavailable`. */
  hold(): Promise<boolean>;
  /** Whether nobody else can have it at this moment. */
  isHeld(): boolean;
  release(): Promise<void>;
};

export function createTriggerLease({ link, keys, self, clock }: Pick<RedisParts, "link" | "keys" | "self" | "clock">): TriggerLease {
  const key = keys.fleet("triggers/leader");
  let until = Number.NEGATIVE_INFINITY;
  return {
    async hold() {
      const began = clock.monotonic();
      const isOurs = (await link.run(HOLD, [key], [self, TRIGGER_LEASE_MS])) === 1;
      until = isOurs ? began + TRIGGER_LEASE_MS : Number.NEGATIVE_INFINITY;
      return isOurs;
    },
    isHeld: () => clock.monotonic() < until,
    async release() {
      until = Number.NEGATIVE_INFINITY;
      await link.run(RELEASE, [key], [self]);
    },
  };
}

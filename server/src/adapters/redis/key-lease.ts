// Why: some work is for one node of the fleet at a time. Who does it is a key that lives for a few seconds by Redis' own
// clock and is renewed while the work goes on.
// It must never let a node that may have lost it go on: what counts is when its last renewal began, on its own clock.
import type { Script } from "./link.ts";
import type { RedisParts } from "./parts.ts";

/** ARGV: who, ms. 1: it is theirs now. */
const HOLD: Script = {
  name: "nexusLeaseHold",
  lua: `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`,
};

const RELEASE: Script = {
  name: "nexusLeaseRelease",
  lua: `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0`,
};

export type KeyLease = {
  /** Takes or renews it; whether it is this node's now. Rejects with `Failure` `broker_unavailable`. */
  hold(): Promise<boolean>;
  /** Whether nobody else can have it at this moment. */
  isHeld(): boolean;
  release(): Promise<void>;
};

/** `name`: of the work, the same on every node. */
export function createKeyLease(
  { link, keys, self, clock }: Pick<RedisParts, "link" | "keys" | "self" | "clock">,
  { name, leaseMs }: { readonly name: string; readonly leaseMs: number },
): KeyLease {
  const key = keys.fleet(name);
  let until = Number.NEGATIVE_INFINITY;
  return {
    async hold() {
      const began = clock.monotonic();
      const isOurs = (await link.run(HOLD, [key], [self, leaseMs])) === 1;
      until = isOurs ? began + leaseMs : Number.NEGATIVE_INFINITY;
      return isOurs;
    },
    isHeld: () => clock.monotonic() < until,
    async release() {
      until = Number.NEGATIVE_INFINITY;
      await link.run(RELEASE, [key], [self]);
    },
  };
}

// Why: the broker of a fleet: what the operator runs itself, and whether what the spec names is there.
import type { RedisSeen } from "../../status/redis.ts";
import type { FleetWork } from "./work.ts";

/** Brings the broker's objects about and says what is known of it. Rejects with `KubeError`. */
export async function reconcileRedis({ cluster }: FleetWork): Promise<RedisSeen> {
  return cluster.spec.redis.mode === "None" ? { kind: "notRequested" } : { kind: "notSupported" };
}

// Why: the operator asks each node whether it reaches its broker, also one that waits for it and serves nobody yet. It must
// never say what changes from one look to the next: a status that moves with every try would be written with every try.
import type { BrokerWord } from "@nexus/protocol/admin.ts";
import type { BrokerHealth } from "./fleet-ports.ts";

export type BrokerSight = {
  /** What keeps the broker from being used at the start; no secret. */
  waitsFor(reason: string): void;
  /** From now on `health` says it. */
  opened(health: () => BrokerHealth): void;
  /** Undefined: this node has no broker. */
  word(): BrokerWord | undefined;
};

const MOST_CHARACTERS = 512;
const TOLD: Readonly<Record<"reconnecting" | "circuit_open", string>> = {
  reconnecting: "the connection to Redis is lost and is being made anew",
  circuit_open: "Redis does not answer",
};

const down = (detail: string): BrokerWord => ({ state: "down", detail: detail.slice(0, MOST_CHARACTERS) });

export function createBrokerSight(): BrokerSight {
  let reason = "waiting for the first answer of Redis";
  let health: (() => BrokerHealth) | undefined;
  return {
    waitsFor(next) {
      reason = next;
    },
    opened(next) {
      health = next;
    },
    word() {
      if (!health) return down(reason);
      const { status } = health();
      if (status === "disabled") return undefined;
      return status === "healthy" ? { state: "up", detail: "" } : down(TOLD[status]);
    },
  };
}

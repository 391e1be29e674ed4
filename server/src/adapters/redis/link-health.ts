// Why: what is told of the link to people and metrics, apart from the work. It must never decide anything.
import type { BrokerHealth } from "../../core/fleet-ports.ts";
import type { Breaker, BreakerState } from "./breaker.ts";

export type LinkHealth = Omit<BrokerHealth, "lagMs">;

const WORSE: Readonly<Record<BreakerState, number>> = { closed: 0, half_open: 1, open: 2 };

/** The worst of all breakers speaks for the link. */
export function healthOf(
  isConnected: boolean,
  breakers: Iterable<Breaker>,
  counts: { attempts: number; reconnections: number },
): LinkHealth {
  let breaker: BreakerState = "closed";
  let failures = 0;
  for (const one of breakers) {
    if (WORSE[one.state()] > WORSE[breaker]) breaker = one.state();
    failures = Math.max(failures, one.failures());
  }
  return {
    status: breaker === "open" ? "circuit_open" : isConnected && breaker === "closed" ? "healthy" : "reconnecting",
    ...{ connected: isConnected, breaker, failures },
    ...{ reconnectionAttempts: counts.attempts, reconnections: counts.reconnections },
  };
}

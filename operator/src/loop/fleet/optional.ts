// Why: kinds that not every cluster has are asked for in one way: what is missing is looked for again soon, told to the user by
// name, and never a reason to take anything away.

import type { Obstacle } from "../../status/exposure.ts";
import { apiVersionOf, type Kind } from "../kinds.ts";
import type { FleetWork } from "./work.ts";

/** A kind may be installed at any time. */
const AGAIN_MS = 10_000;

/** Whether the API server serves `kind`; when not, it is looked for now, and the fleet again a while later. */
export function serves({ deps, again }: Pick<FleetWork, "deps" | "again">, kind: Kind): boolean {
  if (deps.capabilities.has(kind)) return true;
  deps.capabilities.look();
  again(AGAIN_MS);
  return false;
}

/** What a user is told of a kind that is not served. `field`: what asks for it. */
export const kindNotServed = (kind: Kind, field: string): Obstacle => ({
  reason: "KindNotServed",
  message: `${field} needs the kind ${kind.kind} (${apiVersionOf(kind)}), which this cluster does not serve; what is there is kept`,
  isProgress: false,
});

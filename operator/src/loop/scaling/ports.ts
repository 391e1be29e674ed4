// Why: what scaling needs from the outside, as interfaces with their guarantees. `kube/` implements them, tests put plain
// objects in their place.
import type { AdminStatus, ShedRequest, ShedResult } from "@nexus/protocol/admin.ts";
import type { Kind } from "../kinds.ts";
import type { AdminCall, AdminTarget } from "../push-ports.ts";

/** Asks one pod. Rejects with `AdminError` and nothing else; nothing is sent twice. */
export interface LoadPort {
  status(target: AdminTarget, call: AdminCall): Promise<AdminStatus>;
  /** Sends sessions of a pod elsewhere; how many it will be. */
  shed(target: AdminTarget, request: ShedRequest, call: AdminCall): Promise<ShedResult>;
}

/** What fields the API server knows of a kind: the same kind is served by releases with and without them. */
export interface Schemas {
  /** Whether the served schema has this path of properties. False when it cannot be had. Never rejects. */
  hasField(kind: Kind, path: readonly string[]): Promise<boolean>;
}

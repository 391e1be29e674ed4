// Why: the certificate of the public port: a Secret of the user's, or one that cert-manager makes. It must be there before a
// pod that needs it starts.
import type { ConditionReason } from "@nexus/protocol/resources/conditions.ts";
import type { FleetWork } from "./work.ts";

/** What keeps the certificate from being there; undefined when it is, or none is asked for. */
export type ListenerTlsFound = { readonly reason: ConditionReason; readonly message: string } | undefined;

/** Rejects with `KubeError`. */
export async function reconcileListenerTls(_work: FleetWork): Promise<ListenerTlsFound> {
  return undefined;
}

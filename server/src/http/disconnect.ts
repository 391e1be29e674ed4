// Why: an operator sends a person or a lost device away at once, wherever in the fleet they are. That is no ban: whoever
// holds a good token may come again.
// It must never tell whether another tenant has such a session.
import { isUserId, USER_RULE } from "@nexus/protocol/names.ts";
import type { SessionDisconnected, UserDisconnected } from "@nexus/protocol/rest/listeners.ts";
import type { OperationId } from "@nexus/protocol/rest/operations.ts";
import type { Engine } from "../core/engine.ts";
import type { Handler } from "./call.ts";
import { invalidPath } from "./query.ts";

export type DisconnectHandlerDeps = { readonly engine: Pick<Engine, "fleet"> };

/**
 * Sessions end with `disconnected`. Refuse with `validation_error` (user id) and `not_found` (session); with
 * `broker_unavailable` when a server of the fleet did not answer: the detail says how many ended all the same.
 */
export function disconnectHandlers({ engine: { fleet } }: DisconnectHandlerDeps): Partial<Record<OperationId, Handler>> {
  return {
    async disconnectUser({ caller, params }) {
      const { id = "" } = params;
      if (!isUserId(id)) return invalidPath("id", `must be ${USER_RULE}`);
      const disconnected = await fleet.disconnect({ tenant: caller.tenant, user: id });
      return { kind: "answer", body: JSON.stringify({ user_id: id, disconnected } satisfies UserDisconnected) };
    },

    async disconnectSession({ caller, params }) {
      const { id = "" } = params;
      const disconnected = await fleet.disconnect({ tenant: caller.tenant, sessionId: id });
      if (disconnected === 0) return { code: "not_found", detail: "The tenant has no such session" };
      return { kind: "answer", body: JSON.stringify({ connection_id: id, disconnected } satisfies SessionDisconnected) };
    },
  };
}

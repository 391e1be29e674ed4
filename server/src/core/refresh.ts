// Why: a session outlives its token when the client brings the next one in time. It must never change whose session it is,
// and what the new token does not allow any more ends at once.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { ClientFrameOf } from "@nexus/protocol/frames.ts";
import type { Flusher } from "./flusher.ts";
import { controlFrame } from "./frame.ts";
import type { TokenVerifier } from "./ports.ts";
import type { Session } from "./session.ts";
import { mayListen, type SubscribeDeps, unsubscribe } from "./subscribe.ts";

export type RefreshDeps = SubscribeDeps & { readonly verifier: TokenVerifier; readonly flusher: Flusher };

/**
 * Answers `refreshed`, and `unsubscribed` for channels the new token does not cover. Refuses with `unauthorized`,
 * `issuer_unavailable` (worth another try), and `forbidden` for a token of another user or tenant; the session keeps its old token then.
 */
export async function refresh(
  deps: RefreshDeps,
  session: Session,
  { id, payload }: ClientFrameOf<"Refresh">,
): Promise<Refusal | undefined> {
  const verified = await deps.verifier.verify(payload.token);
  if (verified.kind === "refused") return { code: verified.code, detail: verified.detail };
  const { identity } = verified;
  if (identity.tenant !== session.tenant || identity.user !== session.user) {
    return { code: "forbidden", detail: "The token belongs to another user or tenant" };
  }
  session.identity = identity;
  const { expiresAt } = identity;
  const expiry = expiresAt === undefined ? {} : { expires_at: new Date(expiresAt).toISOString() };
  deps.flusher.reply(session, controlFrame({ type: "refreshed", ...expiry, ...(id === undefined ? {} : { id }) }));
  const lost = [...(session.channels ?? [])].filter((channel) => !mayListen(deps.tenants, session, channel));
  if (lost.length > 0) await unsubscribe(deps, session, { type: "Unsubscribe", payload: { channels: lost } });
  return undefined;
}

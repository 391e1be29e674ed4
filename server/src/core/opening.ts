// Why: how a session starts, whatever its transport: take a place, say where it stands, send what its user missed, go live.
// It must never leave a place taken for a session that is gone.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Engine } from "./engine.ts";
import type { Flusher } from "./flusher.ts";
import { controlFrame, errorFrame } from "./frame.ts";
import type { Hub } from "./hub.ts";
import { type Joining, type Located, placeOf } from "./joining.ts";
import type { Tenants } from "./ports.ts";
import type { Session } from "./session.ts";

export type OpeningDeps = {
  readonly engine: Pick<Engine, "directory" | "stats">;
  readonly tenants: Tenants;
  readonly hub: Hub;
  readonly flusher: Flusher;
  readonly joining: Joining;
};

/**
 * Takes the session's place in the whole cluster. Refuses with `connection_limit`; nothing is held then.
 * Rejects with the engine's `Failure`.
 */
export async function reserve({ engine, tenants }: OpeningDeps, session: Session): Promise<Refusal | undefined> {
  const quotas = tenants.tenant(session.tenant)?.quotas;
  const perTenant = quotas?.connections === undefined ? {} : { perTenant: quotas.connections };
  const outcome = await engine.directory.enter(session, { perUser: quotas?.connectionsPerUser ?? 1, ...perTenant });
  if (outcome !== "entered") {
    const detail = outcome === "user_limit" ? "This user has too many sessions" : "The tenant has too many sessions";
    return { code: "connection_limit", detail };
  }
  session.entered = true;
  if (session.ended)
    await engine.directory.leave(session); // it went away while it was entering
  else engine.stats.sessionOpened(session.tenant);
  return undefined;
}

/** Joins inbox and broadcast, tells a full session where it stands, and goes live. `session.ended` may be true afterwards. */
export async function open(deps: OpeningDeps, session: Session): Promise<void> {
  const { hub, joining } = deps;
  const { tenant, user } = session;
  const [inbox, broadcast] = await Promise.all([
    hub.join(session, { kind: "inbox", tenant, user }),
    hub.join(session, { kind: "broadcast", tenant }),
  ]);
  session.inbox = inbox;
  session.broadcast = broadcast;
  const [ofInbox, ofBroadcast] = await Promise.all([joining.locate(session, inbox), joining.locate(session, broadcast)]);
  if (session.ended) return;
  greet(deps, session, [ofInbox, ofBroadcast]);
  await joining.deliver(session, ofBroadcast);
  await joining.deliver(session, ofInbox);
}

function greet({ flusher, tenants }: OpeningDeps, session: Session, streams: readonly Located[]): void {
  if (!session.full) return;
  const { delivery, limits } = tenants.cluster();
  const connected = controlFrame(
    {
      type: "connected",
      connection_id: session.sessionId,
      user_id: session.user,
      tenant_id: session.tenant,
      heartbeat_seconds: delivery.heartbeatSeconds,
      max_frame_bytes: limits.frameBytes,
      streams: streams.map(({ state }) => state),
    },
    streams.map(placeOf),
  );
  flusher.reply(session, connected);
  if (session.resume !== "unreadable") return;
  const detail = "The cursor cannot be read; what may be missing is not known";
  flusher.reply(session, errorFrame({ code: "invalid_cursor", detail }));
}

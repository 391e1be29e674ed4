// Why: the life of every session of this node, whatever its transport: enter, catch up, live, end. Edges create and feed
// sessions, drain and configuration end them. It must never leave a listener, a lease or a place behind.

import type { Position } from "@nexus/protocol/cursor.ts";
import { FAILURES, Failure, type FailureCode } from "@nexus/protocol/failures.ts";
import { SHUTDOWN_REASON, type StreamState } from "@nexus/protocol/frames.ts";
import type { Defer } from "./defer.ts";
import { Endings } from "./endings.ts";
import type { Engine } from "./engine.ts";
import type { Fan } from "./fan.ts";
import { Flusher } from "./flusher.ts";
import { controlFrame, errorFrame, HEARTBEAT } from "./frame.ts";
import { Hub } from "./hub.ts";
import { Inbound } from "./inbound.ts";
import { Marks } from "./marks.ts";
import type { Outlet } from "./outlet.ts";
import { firstHeartbeat, Pool } from "./pool.ts";
import type { Clock, Entry, Ids, Log, Metrics, Tenants } from "./ports.ts";
import { Session, type SessionStart } from "./session.ts";
import { channelStream } from "./subscribe.ts";

export type SessionsDeps = {
  readonly tenants: Tenants;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly defer: Defer;
};

export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #pool = new Pool();
  readonly #endings = new Endings();
  readonly #marks: Marks;
  readonly #flusher: Flusher;
  readonly #hub: Hub;
  readonly #inbound: Inbound;
  #ordinal = 0;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    const { tenants, clock, log, metrics, defer } = deps;
    const { store, bus, directory } = deps.engine;
    const sendQueueBytes = () => tenants.cluster().limits.sendQueueBytes;
    const end = (session: Session, code: FailureCode) => this.end(session, code);
    this.#marks = new Marks(store, log, defer);
    this.#flusher = new Flusher({ clock, metrics, defer, marks: this.#marks, sendQueueBytes, end });
    const overflow = (session: Session) => this.end(session, "slow_consumer");
    this.#hub = new Hub({ bus, store, tenants, clock, log, flusher: this.#flusher, sendQueueBytes, overflow });
    this.#inbound = new Inbound({ hub: this.#hub, flusher: this.#flusher, tenants, store, directory, clock, log, metrics, end });
  }

  /** Sessions of this node, those being opened included. */
  count(): number {
    return this.#pool.size;
  }

  /** Different users with a session here. */
  users(): number {
    return this.#hub.active("inbox");
  }

  /** Channels somebody listens to here. */
  channels(): number {
    return this.#hub.active("channel");
  }

  /** Subscriptions and waiting bytes of all sessions; walks them, so ask for it seldom. */
  load(): { readonly subscriptions: number; readonly queuedBytes: number } {
    let subscriptions = 0;
    let queuedBytes = 0;
    for (const session of this.#pool.list()) {
      subscriptions += session.channels?.size ?? 0;
      queuedBytes += session.queuedBytes;
    }
    return { subscriptions, queuedBytes };
  }

  create(start: Omit<SessionStart, "sessionId" | "connectedAt">): Session {
    return new Session({ ...start, sessionId: this.#deps.ids.uuid(), connectedAt: this.#deps.clock.now() });
  }

  /** The connection is up. Takes the session's place, sends what its user missed and goes live. Never throws. */
  opened(session: Session, outlet: Outlet): void {
    const monotonic = this.#deps.clock.monotonic();
    session.outlet = outlet;
    session.seenAt = monotonic;
    session.heartbeatAt = firstHeartbeat(monotonic, this.#delivery().heartbeatSeconds * 1000, this.#ordinal++);
    this.#pool.add(session);
    this.#deps.metrics.sessionOpened(session.transport);
    this.#inbound.hold(session);
    void this.#enter(session).then(
      () => this.#inbound.idle(session),
      (error: unknown) => this.#failed(session, error),
    );
  }

  received(session: Session, message: string | Uint8Array): void {
    this.#inbound.receive(session, message);
  }

  /** A sign of life that is no frame (a WebSocket pong). */
  seen(session: Session): void {
    session.seenAt = this.#deps.clock.monotonic();
  }

  drained(session: Session): void {
    if (session.ended) this.#endings.drained(session);
    else this.#flusher.drained(session);
  }

  /** The connection is gone, by whichever side. */
  closed(session: Session, code: number): void {
    this.#endings.gone(session);
    this.#finish(session, code);
  }

  /**
   * Ends a session: what waits is written as far as the connection takes it, then it is closed with the failure's code.
   * A connection that still buffers is closed when it drained, or cut.
   */
  end(session: Session, code: FailureCode): void {
    if (session.ended) return;
    this.#flusher.write(session);
    const { close, title } = FAILURES[code];
    const { outlet } = session;
    this.#finish(session, close);
    if (outlet) this.#endings.close(session, { outlet, code: close, reason: title }, this.#deps.clock.monotonic());
  }

  /**
   * Tells up to `count` sessions to come back elsewhere and closes them (4000). `reconnectAfterSeconds` is asked per
   * session, so that the caller can spread them. Returns how many were closed.
   */
  shutdown(count: number, reconnectAfterSeconds: () => number): number {
    const chosen = this.#pool.first(count);
    for (const session of chosen) {
      const notice = controlFrame({ type: "shutdown", reason: SHUTDOWN_REASON, reconnect_after_seconds: reconnectAfterSeconds() });
      this.#flusher.reply(session, notice);
      this.end(session, "shutting_down");
    }
    return chosen.length;
  }

  /** Ends sessions whose tenant was suspended or removed. Call after every change of configuration. */
  revalidate(): void {
    for (const session of this.#pool.list()) {
      const tenant = this.#deps.tenants.tenant(session.tenant);
      if (!tenant || tenant.suspended) this.end(session, "tenant_suspended");
    }
  }

  /** Heartbeats, silence, expired tokens, paced senders. Call a few times a second; never throws. */
  tick(): void {
    const time = { now: this.#deps.clock.now(), monotonic: this.#deps.clock.monotonic() };
    const delivery = this.#delivery();
    this.#pool.due(time, delivery, (session, due) => {
      if (due !== "heartbeat") {
        this.end(session, due);
        return;
      }
      session.heartbeatAt = time.monotonic + delivery.heartbeatSeconds * 1000;
      this.#flusher.drained(session); // in case its connection never said so
      this.#flusher.enqueue(session, HEARTBEAT);
      if (!session.blocked) session.outlet?.ping();
    });
    this.#inbound.tick();
    this.#endings.tick(time.monotonic);
    void this.#hub.sweep();
  }

  /** Stores inbox marks that are still waiting. */
  async settle(): Promise<void> {
    await this.#marks.flush();
  }

  #delivery() {
    return this.#deps.tenants.cluster().delivery;
  }

  async #enter(session: Session): Promise<void> {
    const { directory, store } = this.#deps.engine;
    const { tenant, user } = session;
    const quotas = this.#deps.tenants.tenant(tenant)?.quotas;
    const limits = quotas?.connections === undefined ? {} : { perTenant: quotas.connections };
    const outcome = await directory.enter(session, { perUser: quotas?.connectionsPerUser ?? 1, ...limits });
    if (outcome !== "entered") {
      this.#reject(session, outcome);
      return;
    }
    if (session.ended) {
      await directory.leave(session); // it went away while it was entering
      return;
    }
    session.inbox = await this.#hub.join(session, { kind: "inbox", tenant, user });
    session.broadcast = await this.#hub.join(session, { kind: "broadcast", tenant });
    await this.#marks.settle(session.inbox);
    const { entries, top } = await store.unread(session.inbox.stream);
    const live = await store.top(session.broadcast.stream);
    if (session.ended) {
      this.#leaveAll(session);
      return;
    }
    this.#greet(session, [state("user", startOf(entries, top)), state("broadcast", live)]);
    session.broadcast.epoch = live.epoch;
    this.#hub.release(session, session.broadcast, live);
    await this.#catchUp(session, session.inbox, entries);
    this.#hub.release(session, session.inbox, top);
    this.#deps.log.debug("session.opened", { sessionId: session.sessionId, tenant, transport: session.transport });
  }

  #reject(session: Session, outcome: "user_limit" | "tenant_limit"): void {
    if (session.ended) return;
    const detail = outcome === "user_limit" ? "This user has too many sessions" : "The tenant has too many sessions";
    this.#deps.metrics.refused("connection_limit");
    this.#flusher.reply(session, errorFrame({ code: "connection_limit", detail }));
    this.end(session, "connection_limit");
  }

  #greet(session: Session, streams: readonly StreamState[]): void {
    if (!session.full) return;
    const { heartbeatSeconds } = this.#delivery();
    this.#flusher.reply(
      session,
      controlFrame({
        type: "connected",
        connection_id: session.sessionId,
        user_id: session.user,
        tenant_id: session.tenant,
        heartbeat_seconds: heartbeatSeconds,
        max_frame_bytes: this.#deps.tenants.cluster().limits.frameBytes,
        streams,
      }),
    );
  }

  /** What was missed is written at the client's pace: an inbox may hold more than a queue. */
  async #catchUp(session: Session, inbox: Fan, entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      if (session.blocked) await new Promise<void>((resolve) => (session.onDrained = resolve));
      if (session.ended) return;
      const frame = this.#hub.encode(entry, inbox);
      if (frame) this.#flusher.reply(session, frame);
    }
  }

  #failed(session: Session, error: unknown): void {
    const code = error instanceof Failure ? error.refusal.code : "internal";
    this.#deps.log.warn("session.open_failed", { sessionId: session.sessionId, code, error: String(error) });
    this.end(session, code);
    this.#leaveAll(session); // also when it had ended before, in the middle of joining
  }

  #finish(session: Session, code: number): void {
    if (session.ended) return;
    session.ended = true;
    this.#pool.remove(session);
    this.#leaveAll(session);
    this.#deps.metrics.sessionClosed(session.transport, code);
    this.#deps.log.debug("session.closed", { sessionId: session.sessionId, tenant: session.tenant, code });
    const { onDrained } = session;
    session.onDrained = undefined;
    session.queue = undefined;
    session.queuedBytes = 0;
    session.backlog = undefined;
    onDrained?.();
    this.#deps.engine.directory.leave(session).catch((error: unknown) => {
      this.#deps.log.warn("session.leave_failed", { sessionId: session.sessionId, error: String(error) }); // its lease runs out
    });
  }

  #leaveAll(session: Session): void {
    for (const fan of [session.inbox, session.broadcast]) if (fan) this.#hub.leave(session, fan);
    for (const channel of session.channels ?? []) {
      const fan = this.#hub.find(channelStream(session, channel));
      if (fan) this.#hub.leave(session, fan);
    }
    session.inbox = undefined;
    session.broadcast = undefined;
    session.channels = undefined;
  }
}

/** Where a reader stands before the first of `entries`, or at `top` when there are none. */
function startOf(entries: readonly Entry[], top: Position): Position {
  const first = entries[0]?.position;
  return first ? { epoch: first.epoch, offset: first.offset - 1 } : top;
}

const state = (stream: string, position: Position): StreamState => ({ stream, ...position, outcome: "fresh" });

// Why: the life of every session of this node, whatever its transport: enter, catch up, live, end. Edges create and feed
// sessions, drain and configuration end them. It must never leave a listener, a lease or a place behind.

import { type ClosingCode, FAILURES, Failure, type FailureCode, isClosing, type Refusal } from "@nexus/protocol/failures.ts";
import { SHUTDOWN_REASON } from "@nexus/protocol/frames.ts";
import type { FieldsOf } from "@nexus/protocol/log-line.ts";
import type { Tracer } from "@nexus/tracing/tracer.ts";
import { AckClock } from "./ack-clock.ts";
import type { Defer } from "./defer.ts";
import { Endings } from "./endings.ts";
import type { Engine } from "./engine.ts";
import { isOurFault } from "./fault.ts";
import { Flusher } from "./flusher.ts";
import { controlFrame, errorFrame, type Frame, HEARTBEAT } from "./frame.ts";
import { Hub } from "./hub.ts";
import { Inbound } from "./inbound.ts";
import { Joining } from "./joining.ts";
import type { LogEvents } from "./log-events.ts";
import { Marks } from "./marks.ts";
import { type OpeningDeps, open, reserve } from "./opening.ts";
import type { Outlet } from "./outlet.ts";
import { firstHeartbeat, Pool } from "./pool.ts";
import type { Clock, Ids, Log, Metrics, Tenants, TokenVerifier } from "./ports.ts";
import type { Publisher } from "./publish.ts";
import { createSeldom } from "./seldom.ts";
import { Session, type SessionStart } from "./session.ts";
import { channelStream, type SubscribeDeps, subscribe } from "./subscribe.ts";
import { DeliveryTraces } from "./trace-delivery.ts";

export type SessionsDeps = {
  readonly tenants: Tenants;
  readonly engine: Engine;
  readonly verifier: TokenVerifier;
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly defer: Defer;
  readonly gatherWindowMs?: number;
  /** A session could not be opened although it was admitted. */
  readonly openFailed?: (code: FailureCode) => void;
  readonly tracer?: Tracer | undefined;
};

export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #pool = new Pool();
  readonly #endings = new Endings();
  readonly #marks: Marks;
  readonly #flusher: Flusher;
  readonly #hub: Hub;
  readonly #opening: OpeningDeps & SubscribeDeps;
  readonly #inbound: Inbound;
  readonly #openFailed: (fields: FieldsOf<LogEvents, "session.open_failed">) => void;
  #ordinal = 0;
  /** What silence was judged by so far. */
  #staleSeconds: number;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    this.#staleSeconds = deps.tenants.cluster().delivery.staleSeconds;
    const { tenants, clock, log, metrics, defer } = deps;
    const { store, bus, directory } = deps.engine;
    const sendQueueBytes = () => tenants.cluster().limits.sendQueueBytes;
    const end = (session: Session, code: ClosingCode) => this.end(session, code);
    this.#openFailed = createSeldom(clock, ({ count, ...first }) => log.warn("session.open_failed", { ...first, count }));
    this.#marks = new Marks({ store, log, defer, metrics });
    const ackClock = new AckClock();
    const { gatherWindowMs } = deps;
    this.#flusher = new Flusher({ clock, metrics, defer, marks: this.#marks, ackClock, sendQueueBytes, end, gatherWindowMs });
    const overflow = (session: Session) => this.end(session, "slow_consumer");
    const traces = deps.tracer && new DeliveryTraces(deps.tracer);
    this.#hub = new Hub({ bus, store, tenants, clock, log, metrics, flusher: this.#flusher, defer, sendQueueBytes, overflow, traces });
    const joining = new Joining({
      hub: this.#hub,
      flusher: this.#flusher,
      marks: this.#marks,
      tenants,
      store,
      metrics,
      sendQueueBytes,
      traces,
    });
    this.#opening = { engine: deps.engine, hub: this.#hub, flusher: this.#flusher, joining, tenants, directory };
    const { verifier, publisher } = deps;
    const { receipts } = deps.engine;
    this.#inbound = new Inbound({
      ...this.#opening,
      traces,
      ackClock,
      store,
      receipts,
      verifier,
      publisher,
      clock,
      log,
      metrics,
      defer,
      end,
    });
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
  load(): { readonly subscriptions: number; readonly queuedBytes: number; readonly slowSessions: number } {
    let subscriptions = 0;
    let queuedBytes = 0;
    let slowSessions = 0;
    for (const session of this.#pool.list()) {
      subscriptions += session.channels?.size ?? 0;
      queuedBytes += session.queuedBytes;
      if (session.blocked && session.queuedBytes > 0) slowSessions++;
    }
    return { subscriptions, queuedBytes, slowSessions };
  }

  create(start: Omit<SessionStart, "sessionId" | "connectedAt">): Session {
    return new Session({ ...start, sessionId: this.#deps.ids.uuid(), connectedAt: this.#deps.clock.now() });
  }

  /**
   * Takes the session's place before there is a connection, where a refusal can still be an HTTP answer
   * (`connection_limit`). Whoever reserved calls `opened` or `closed`. Rejects with the engine's `Failure`.
   */
  async reserve(session: Session): Promise<Refusal | undefined> {
    try {
      const refusal = await reserve(this.#opening, session);
      if (refusal) this.#deps.metrics.refused(refusal.code, session.tenant);
      return refusal;
    } catch (error) {
      this.#deps.openFailed?.(error instanceof Failure ? error.refusal.code : "internal");
      throw error;
    }
  }

  /**
   * The connection is up. Takes the session's place, sends what its user missed, subscribes to `channels` and goes live.
   * Never throws.
   */
  opened(session: Session, outlet: Outlet, channels: readonly string[] = []): void {
    const monotonic = this.#deps.clock.monotonic();
    session.outlet = outlet;
    session.seenAt = monotonic;
    session.heartbeatAt = firstHeartbeat(monotonic, this.#delivery().heartbeatSeconds * 1000, this.#ordinal++);
    this.#pool.add(session);
    this.#deps.metrics.sessionOpened(session.transport);
    session.tally = this.#deps.metrics.tally(session.tenant);
    if (session.tally) session.tally.sessions++;
    this.#inbound.hold(session);
    void this.#enter(session, channels).then(
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
  end(session: Session, code: ClosingCode): void {
    if (session.ended) return;
    this.#flusher.write(session);
    if (session.transport === "sse" && code !== "shutting_down") sayWhy(session, code);
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
    return this.#sendAway(this.#pool.first(count), reconnectAfterSeconds);
  }

  /** The same for sessions picked at random: those that stay are a fair share of every tenant's. */
  shed(count: number, reconnectAfterSeconds: () => number): number {
    const closed = this.#sendAway(this.#pool.some(count, Math.random), reconnectAfterSeconds);
    this.#deps.metrics.sessionsShed(closed);
    return closed;
  }

  #sendAway(chosen: readonly Session[], reconnectAfterSeconds: () => number): number {
    for (const session of chosen) {
      const notice = controlFrame({ type: "shutdown", reason: SHUTDOWN_REASON, reconnect_after_seconds: reconnectAfterSeconds() });
      this.#flusher.reply(session, notice);
      this.end(session, "shutting_down");
    }
    return chosen.length;
  }

  /** Ends sessions because somebody asked for it (4507): their clients do not come back by themselves. Returns how many. */
  disconnect(match: (session: Session) => boolean): number {
    const chosen = this.#pool.list().filter(match);
    for (const session of chosen) this.end(session, "disconnected");
    return chosen.length;
  }

  /**
   * Ends sessions whose tenant was suspended or removed, brings forward heartbeats that a shorter interval has due earlier,
   * and lets silence begin anew where less of it is allowed: it was not asked about so often before, and says nothing yet.
   * Call after every change of configuration.
   */
  revalidate(): void {
    const { heartbeatSeconds, staleSeconds } = this.#delivery();
    const isStricter = staleSeconds < this.#staleSeconds;
    this.#staleSeconds = staleSeconds;
    const monotonic = this.#deps.clock.monotonic();
    const latest = monotonic + heartbeatSeconds * 1000;
    for (const session of this.#pool.list()) {
      const tenant = this.#deps.tenants.tenant(session.tenant);
      if (!tenant || tenant.suspended) this.end(session, "tenant_suspended");
      if (isStricter) session.seenAt = monotonic;
      if (session.heartbeatAt > latest) session.heartbeatAt = firstHeartbeat(monotonic, heartbeatSeconds * 1000, this.#ordinal++);
    }
  }

  /** Heartbeats, silence, expired tokens, paced senders. Call a few times a second; never throws. */
  tick(): void {
    const time = { now: this.#deps.clock.now(), monotonic: this.#deps.clock.monotonic() };
    const delivery = this.#delivery();
    let beat: Frame | undefined;
    const timed = () => (beat ??= controlFrame({ type: "heartbeat", timestamp: new Date(time.now).toISOString() }));
    this.#pool.due(time, delivery, (session, due) => {
      if (due !== "heartbeat") {
        this.end(session, due);
        return;
      }
      session.heartbeatAt = time.monotonic + delivery.heartbeatSeconds * 1000;
      this.#flusher.drained(session); // in case its connection never said so
      this.#flusher.enqueue(session, session.transport === "sse" ? timed() : HEARTBEAT);
      if (session.blocked) return;
      session.outlet?.ping();
      if (session.transport === "sse") session.seenAt = time.monotonic; // its connection takes what is written: nothing else can be known
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

  async #enter(session: Session, channels: readonly string[]): Promise<void> {
    const refusal = session.entered ? undefined : await reserve(this.#opening, session);
    if (refusal) {
      this.#shake(session, refusal.code);
      this.#reject(session, refusal);
      return;
    }
    if (!session.ended) await open(this.#opening, session);
    if (channels.length > 0 && !session.ended)
      await subscribe(this.#opening, session, { type: "Subscribe", payload: { channels: [...channels] } });
    this.#shake(session, undefined);
    if (session.ended) this.#leaveAll(session);
    else this.#deps.log.debug("session.opened", { sessionId: session.sessionId, tenant: session.tenant, transport: session.transport });
  }

  /** The handshake is over: the session is open, or why it is not. */
  #shake({ transport }: Session, refused: FailureCode | undefined): void {
    this.#deps.metrics.handshake(transport, refused === undefined ? "accepted" : isOurFault(refused) ? "failed" : "rejected");
  }

  #reject(session: Session, refusal: Refusal): void {
    if (session.ended) return;
    this.#deps.metrics.refused(refusal.code, session.tenant);
    this.#flusher.reply(session, errorFrame(refusal));
    this.end(session, closing(refusal.code));
  }

  #failed(session: Session, error: unknown): void {
    const code = error instanceof Failure ? closing(error.refusal.code) : "internal";
    this.#openFailed({ sessionId: session.sessionId, code, error: String(error) });
    this.#deps.openFailed?.(code);
    this.#shake(session, code);
    this.end(session, code);
    this.#leaveAll(session); // also when it had ended before, in the middle of joining
  }

  #finish(session: Session, code: number): void {
    if (session.ended) return;
    session.ended = true;
    this.#pool.remove(session);
    this.#leaveAll(session);
    this.#deps.metrics.sessionClosed(session.transport, code);
    if (session.tally) session.tally.sessions--;
    session.tally = undefined;
    this.#deps.log.debug("session.closed", { sessionId: session.sessionId, tenant: session.tenant, code });
    const { onDrained } = session;
    session.onDrained = undefined;
    session.queue = undefined;
    session.queuedBytes = 0;
    session.backlog = undefined;
    session.resume = undefined;
    onDrained?.();
    if (!session.entered) return; // it leaves when it has entered
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

/** What a session ends with that could not be opened: a client has to learn from the close code whether to come back. */
const closing = (code: FailureCode): ClosingCode => (isClosing(code) ? code : "internal");

/**
 * Where there is no close code, an `error` says why. It is no part of the queue, which is given up: one small frame goes
 * into the connection's own buffer, so that also a listener that was too slow learns it once it reads.
 */
function sayWhy({ outlet, encoder }: Session, code: ClosingCode): void {
  const frame = errorFrame({ code, detail: FAILURES[code].title });
  outlet?.send(encoder?.encode(frame) ?? frame.text);
}

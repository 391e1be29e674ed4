// Why: what a session sends is taken one frame at a time, at a bounded rate and in turns with the others, and a client that
// keeps sending what is refused is let go. It must never let a throw or a rejection escape: a socket handler would lose it
// silently.
import { type ClosingCode, Failure, type FailureCode, type Refusal } from "@nexus/protocol/failures.ts";
import type { FrameId } from "@nexus/protocol/frames.ts";
import { type AcknowledgeDeps, acknowledge } from "./acknowledge.ts";
import { type ClientFrame, decodeFrame } from "./decode.ts";
import type { Defer } from "./defer.ts";
import { controlFrame, errorFrame, PONG } from "./frame.ts";
import type { Clock, Log, Metrics } from "./ports.ts";
import { type RefreshDeps, refresh } from "./refresh.ts";
import { type ResumeDeps, resume } from "./resume.ts";
import type { Session } from "./session.ts";
import { publishFromSession, type SessionPublishDeps } from "./session-publish.ts";
import { type SubscribeDeps, subscribe, unsubscribe } from "./subscribe.ts";

/** A session that had this many frames refused within a minute is let go. */
export const FLOOD_LIMIT = 30;
const FLOOD_WINDOW_MS = 60_000;
/** What may wait beside one frame, in bytes: what still arrives after the socket was paused, one read of the kernel's buffer. */
const BACKLOG_BYTES = 2_097_152;
/** What a frame that waits costs beside its text, roughly, in bytes. */
const WAITING_BYTES = 64;
/** A frame of the full size counts this many times against the rate, a smaller one in proportion: so does the work it makes. */
const FULL_SIZE_COUNTS = 16;
/** How long frames that waited are dealt with before the node turns to others, in milliseconds. */
const TURN_MS = 2;
/** Refusals that a well-behaved client can run into, by our fault or its tenant's others'; they do not count as a flood. */
const HARMLESS: ReadonlySet<FailureCode> = new Set<FailureCode>([
  "internal",
  "rate_limited",
  "invalid_ack",
  "broker_unavailable",
  "issuer_unavailable",
]);

export type InboundDeps = SubscribeDeps &
  AcknowledgeDeps &
  RefreshDeps &
  ResumeDeps &
  SessionPublishDeps & {
    readonly clock: Clock;
    readonly log: Log;
    readonly metrics: Pick<Metrics, "frame" | "refused" | "acked" | "ackLatency">;
    readonly defer: Defer;
    readonly end: (session: Session, code: ClosingCode) => void;
  };

export class Inbound {
  readonly #deps: InboundDeps;
  /** Out of tokens, until the next tick. */
  readonly #paced = new Set<Session>();
  /** Something waits and may be started, in the order of asking. */
  readonly #ready = new Set<Session>();
  #isTurnDue = false;

  constructor(deps: InboundDeps) {
    this.#deps = deps;
  }

  /** Takes one message of a socket: text, or bytes of a binary frame. */
  receive(session: Session, message: string | Uint8Array): void {
    if (session.ended) return;
    session.seenAt = this.#deps.clock.monotonic();
    const { frameBytes } = this.#deps.tenants.cluster().limits;
    if (isOver(message, frameBytes)) {
      this.#deps.metrics.refused("frame_too_large", session.tenant);
      this.#deps.end(session, "frame_too_large");
      return;
    }
    // Large frames always wait for a turn: several may be in one read.
    const isSmall = message.length * FULL_SIZE_COUNTS <= frameBytes;
    if (isSmall && !session.busy && !session.backlog && this.#takeToken(session, message)) {
      this.#start(session, message);
      return;
    }
    session.backlog ??= [];
    session.backlog.push(message);
    session.backlogBytes += message.length + WAITING_BYTES;
    if (session.backlogBytes > BACKLOG_BYTES + frameBytes) this.#deps.end(session, "flood");
    else this.#pause(session);
    if (!session.busy) this.#await(session);
  }

  /** The session is being opened: what it sends meanwhile waits. Call `idle` afterwards. */
  hold(session: Session): void {
    session.busy = true;
  }

  idle(session: Session): void {
    session.busy = false;
    if (session.backlog) this.#await(session);
  }

  /** Goes on with sessions that ran out of tokens. Call a few times a second. */
  tick(): void {
    for (const session of this.#paced) this.#await(session);
    this.#paced.clear();
  }

  #await(session: Session): void {
    this.#ready.add(session);
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    this.#deps.defer(this.#turn, 0);
  }

  /** One frame of each session that waits, as far as the time goes. */
  readonly #turn = (): void => {
    this.#isTurnDue = false;
    const until = this.#deps.clock.monotonic() + TURN_MS;
    for (const session of this.#ready) {
      this.#ready.delete(session);
      if (!session.busy) this.#next(session);
      if (this.#deps.clock.monotonic() >= until) break;
    }
    const [first] = this.#ready;
    if (first) this.#await(first);
  };

  #start(session: Session, message: string | Uint8Array): void {
    session.busy = true;
    void this.#handle(session, message).then(() => this.idle(session));
  }

  #next(session: Session): void {
    if (session.ended) return;
    const { backlog } = session;
    const message = backlog?.[0];
    if (!backlog || message === undefined) return;
    if (!this.#takeToken(session, message)) {
      this.#paced.add(session);
      return;
    }
    backlog.shift();
    session.backlogBytes -= message.length + WAITING_BYTES;
    if (backlog.length === 0) {
      session.backlog = undefined;
      session.backlogBytes = 0;
      if (session.paused) {
        session.paused = false;
        session.outlet?.resume();
      }
    }
    this.#start(session, message);
  }

  #pause(session: Session): void {
    if (session.paused || session.ended) return;
    session.paused = true;
    session.outlet?.pause();
  }

  /** Takes what the message counts, which may leave a debt: no frame that is allowed is too large for the rate. */
  #takeToken(session: Session, message: string | Uint8Array): boolean {
    const { framesPerSecond: rate, frameBytes } = this.#deps.tenants.cluster().limits;
    if (rate === 0) return true;
    const now = this.#deps.clock.monotonic();
    if (session.tokensAt === 0) session.tokens = rate;
    else session.tokens = Math.min(rate, session.tokens + ((now - session.tokensAt) / 1000) * rate);
    session.tokensAt = now;
    if (session.tokens < 1) return false;
    session.tokens -= Math.max(1, Math.ceil((message.length * FULL_SIZE_COUNTS) / frameBytes));
    return true;
  }

  /** Never rejects. */
  async #handle(session: Session, message: string | Uint8Array): Promise<void> {
    try {
      await this.#perform(session, message);
    } catch (error) {
      this.#deps.log.error("session.failed", { sessionId: session.sessionId, tenant: session.tenant, error: String(error) });
      this.#deps.end(session, "internal");
    }
  }

  async #perform(session: Session, message: string | Uint8Array): Promise<void> {
    if (typeof message !== "string") {
      this.#deps.metrics.frame("binary");
      this.#refuse(session, { code: "unsupported_format", detail: "Frames are text" });
      return;
    }
    const decoded = decodeFrame(message);
    if (decoded.kind === "refused") {
      this.#deps.metrics.frame("invalid");
      this.#refuse(session, decoded.refusal, decoded.id);
      return;
    }
    const { frame } = decoded;
    this.#deps.metrics.frame(frame.type);
    try {
      const refusal = await this.#answer(session, frame);
      if (refusal) this.#refuse(session, refusal, frame.id);
    } catch (error) {
      // Under the frame's id, or whoever asked would wait for ever.
      if (!(error instanceof Failure)) throw error;
      this.#refuse(session, error.refusal, frame.id);
    }
  }

  async #answer(session: Session, frame: ClientFrame): Promise<Refusal | undefined> {
    switch (frame.type) {
      case "Ping":
        this.#deps.flusher.reply(session, frame.id === undefined ? PONG : controlFrame({ type: "pong", id: frame.id }));
        return undefined;
      case "Subscribe": {
        const refusal = await subscribe(this.#deps, session, frame);
        if (refusal) this.#count(session, refusal); // it has answered itself, after the good names
        return undefined;
      }
      case "Unsubscribe":
        await unsubscribe(this.#deps, session, frame);
        return undefined;
      case "Ack":
        return acknowledge(this.#deps, session, frame);
      case "Resume":
        return resume(this.#deps, session, frame);
      case "Refresh":
        return refresh(this.#deps, session, frame);
      case "Publish":
        return publishFromSession(this.#deps, session, frame);
      default:
        return frame satisfies never;
    }
  }

  #refuse(session: Session, refusal: Refusal, id?: FrameId): void {
    if (session.ended) return;
    this.#deps.flusher.reply(session, errorFrame(refusal, id));
    this.#count(session, refusal);
  }

  #count(session: Session, { code }: Refusal): void {
    this.#deps.metrics.refused(code, session.tenant);
    if (HARMLESS.has(code)) return;
    const now = this.#deps.clock.monotonic();
    if (now - session.offencesAt > FLOOD_WINDOW_MS) {
      session.offencesAt = now;
      session.offences = 0;
    }
    if (++session.offences > FLOOD_LIMIT) this.#deps.end(session, "flood");
  }
}

/** UTF-8 bytes are counted only where the count of UTF-16 units leaves it open. */
function isOver(message: string | Uint8Array, maxBytes: number): boolean {
  if (message.length > maxBytes) return true;
  return typeof message === "string" && message.length * 3 > maxBytes && Buffer.byteLength(message) > maxBytes;
}

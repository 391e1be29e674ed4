// Why: what a session sends is taken one frame at a time, at a bounded rate, and a client that keeps sending what is
// refused is let go. It must never let a throw or a rejection escape: a socket handler would lose it silently.
import { type ClosingCode, Failure, type FailureCode, type Refusal } from "@nexus/protocol/failures.ts";
import type { FrameId } from "@nexus/protocol/frames.ts";
import { type AcknowledgeDeps, acknowledge } from "./acknowledge.ts";
import { type ClientFrame, decodeFrame } from "./decode.ts";
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
/** What may arrive after the socket was paused: one read of the kernel's buffer, in bytes. */
const BACKLOG_BYTES = 1_048_576;
/** Refusals that a well-behaved client can run into; they do not count as a flood. */
const HARMLESS: ReadonlySet<FailureCode> = new Set<FailureCode>([
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
    readonly metrics: Pick<Metrics, "frame" | "refused">;
    readonly end: (session: Session, code: ClosingCode) => void;
  };

export class Inbound {
  readonly #deps: InboundDeps;
  readonly #paced = new Set<Session>();

  constructor(deps: InboundDeps) {
    this.#deps = deps;
  }

  /** Takes one message of a socket: text, or bytes of a binary frame. */
  receive(session: Session, message: string | Uint8Array): void {
    if (session.ended) return;
    session.seenAt = this.#deps.clock.monotonic();
    if (isOver(message, this.#deps.tenants.cluster().limits.frameBytes)) {
      this.#deps.metrics.refused("frame_too_large");
      this.#deps.end(session, "frame_too_large");
      return;
    }
    if (!session.busy && !session.backlog && this.#takeToken(session)) {
      this.#start(session, message);
      return;
    }
    session.backlog ??= [];
    session.backlog.push(message);
    session.backlogBytes += message.length;
    if (session.backlogBytes > BACKLOG_BYTES) this.#deps.end(session, "flood");
    else this.#pause(session);
    if (!session.busy) this.#paced.add(session);
  }

  /** The session is being opened: what it sends meanwhile waits. Call `idle` afterwards. */
  hold(session: Session): void {
    session.busy = true;
  }

  idle(session: Session): void {
    session.busy = false;
    this.#next(session);
  }

  /** Goes on with sessions that ran out of tokens. Call a few times a second. */
  tick(): void {
    for (const session of [...this.#paced]) {
      this.#paced.delete(session);
      if (!session.busy && !session.ended) this.#next(session);
    }
  }

  #start(session: Session, message: string | Uint8Array): void {
    session.busy = true;
    void this.#handle(session, message).then(() => this.idle(session));
  }

  #next(session: Session): void {
    if (session.ended) return;
    const { backlog } = session;
    if (!backlog) return;
    if (!this.#takeToken(session)) {
      this.#paced.add(session);
      return;
    }
    const message = backlog.shift() ?? "";
    session.backlogBytes -= message.length;
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

  #takeToken(session: Session): boolean {
    const rate = this.#deps.tenants.cluster().limits.framesPerSecond;
    if (rate === 0) return true;
    const now = this.#deps.clock.monotonic();
    if (session.tokensAt === 0) session.tokens = rate;
    else session.tokens = Math.min(rate, session.tokens + ((now - session.tokensAt) / 1000) * rate);
    session.tokensAt = now;
    if (session.tokens < 1) return false;
    session.tokens--;
    return true;
  }

  /** Never rejects. */
  async #handle(session: Session, message: string | Uint8Array): Promise<void> {
    try {
      await this.#perform(session, message);
    } catch (error) {
      if (error instanceof Failure) {
        this.#refuse(session, error.refusal);
        return;
      }
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
    const refusal = await this.#answer(session, frame);
    if (refusal) this.#refuse(session, refusal, frame.id);
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
    this.#deps.metrics.refused(code);
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

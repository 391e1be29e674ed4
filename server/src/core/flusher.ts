// Why: one write per socket costs more than everything else a delivery does, so entries are gathered and each session
// with pending frames is written once per window: at once when the node is idle, up to 2 ms under load.
// It must never drop a frame silently, nor write to a session that buffers.
import type { ClosingCode } from "@nexus/protocol/failures.ts";
import type { AckClock } from "./ack-clock.ts";
import type { Defer } from "./defer.ts";
import { CRITICAL_RANK, type EntryFacts, type Frame, gapFrame, NOWHERE } from "./frame.ts";
import type { Marks } from "./marks.ts";
import type { Clock, Metrics } from "./ports.ts";
import type { Session } from "./session.ts";
import { makeRoom } from "./slow-consumer.ts";
import type { DeliveryTrace } from "./trace-delivery.ts";

const MAX_WINDOW_MS = 2;
/** Smaller frames cost more to compress than they save, also where the client asked for it. */
const COMPRESS_FROM_BYTES = 4096;
/** Share of the time spent in flushing above which it pays to gather longer, and below which it does not. */
const BUSY = 0.25;
const IDLE = 0.1;

export type FlusherDeps = {
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "delivered" | "deliveryLatency" | "dropped" | "gap">;
  readonly defer: Defer;
  readonly marks: Marks;
  readonly ackClock?: AckClock;
  /** Live: what may wait for one session, in bytes. */
  readonly sendQueueBytes: () => number;
  readonly end: (session: Session, code: ClosingCode) => void;
  /** Holds the window still, in milliseconds; absent: it follows the load. */
  readonly gatherWindowMs?: number | undefined;
};

export class Flusher {
  readonly #deps: FlusherDeps;
  #dirty: Session[] = [];
  /** Entries of this pass whose latency is measured. */
  #live: EntryFacts[] = [];
  /** Entries of this pass whose traces are recorded. */
  #traced: DeliveryTrace[] | undefined;
  #scheduled = false;
  #windowMs = 0;
  #endedAt = 0;
  #current: Session | undefined;
  #written = { websocket: 0, sse: 0 };

  constructor(deps: FlusherDeps) {
    this.#deps = deps;
  }

  /** The entry's trace ends with this pass. Call before it is enqueued. */
  published({ entry }: Frame): void {
    if (!entry?.trace) return;
    this.#traced ??= [];
    this.#traced.push(entry.trace);
  }

  /** A live entry was enqueued for sessions that take it now: its latency is measured when the pass is over. */
  measure({ entry }: Frame): void {
    if (!entry) return;
    this.#live.push(entry);
    this.#schedule(); // also when they were all written by something else meanwhile
  }

  /** Adds a frame to a session's queue; it leaves with the next pass. */
  enqueue(session: Session, frame: Frame): void {
    if (session.ended) return;
    if (session.queuedBytes + frame.bytes > this.#deps.sendQueueBytes() || session.blocked) {
      if (!this.#admit(session, frame)) return;
    }
    session.queue ??= [];
    session.queue.push(frame);
    session.queuedBytes += frame.bytes;
    if (session.dirty || session.blocked) return;
    session.dirty = true;
    this.#dirty.push(session);
    this.#schedule();
  }

  /** Writes an answer (and what waits before it) without waiting for the window. */
  reply(session: Session, frame: Frame): void {
    this.enqueue(session, frame);
    this.write(session);
  }

  /** Ends the window now: Critical entries do not wait. */
  urge(frame: Frame): void {
    if (frame.entry?.rank === CRITICAL_RANK) this.run();
  }

  /** The connection's buffer is empty again, or may be. */
  drained(session: Session): void {
    if (!session.blocked || session.ended || (session.outlet?.getBufferedAmount() ?? 0) > 0) return;
    session.blocked = false;
    this.#tellLosses(session);
    this.write(session);
    this.#schedule(); // its deliveries are counted with the next pass
    if (session.blocked) return;
    const { onDrained } = session;
    session.onDrained = undefined;
    onDrained?.();
  }

  /** Writes what a session's connection takes. */
  write(session: Session): void {
    const { queue, outlet } = session;
    if (!queue || !outlet || session.blocked || session.ended) return;
    this.#current = session;
    if (queue.length === 1) this.#writeCurrent();
    else outlet.cork(this.#writeCurrent);
    this.#current = undefined;
    if (!session.blocked && outlet.getBufferedAmount() > 0) session.blocked = true;
  }

  readonly #writeCurrent = (): void => {
    const session = this.#current;
    if (!session?.outlet || !session.queue) return;
    const { queue, outlet } = session;
    const now = this.#deps.clock.now();
    let sent = 0;
    let delivered = 0;
    for (const frame of queue) {
      const { entry } = frame;
      if (entry && entry.expiresAt <= now) {
        this.#deps.metrics.dropped("expired", 1);
        sent++;
        continue;
      }
      const text = session.encoder ? session.encoder.encode(frame) : frame.text;
      const result = outlet.send(text, frame.bytes >= COMPRESS_FROM_BYTES);
      if (result === 0) {
        session.blocked = true; // not taken: it stays first in the queue
        break;
      }
      sent++;
      if (entry) {
        delivered++;
        if (entry.marks && entry.position) this.#deps.marks.note(entry.fan, entry.position);
        if (entry.trace) entry.trace.written(session);
      }
      if (result < 0) {
        session.blocked = true;
        break;
      }
    }
    this.#written[session.transport] += delivered;
    if (session.tally) session.tally.deliveries += delivered;
    this.#forget(session, queue, sent);
  };

  #forget(session: Session, queue: readonly Frame[], count: number): void {
    if (count === queue.length) {
      session.queue = undefined;
      session.queuedBytes = 0;
      return;
    }
    for (let i = 0; i < count; i++) session.queuedBytes -= queue[i]?.bytes ?? 0;
    session.queue = queue.slice(count);
  }

  /** Writes every session that has something waiting. */
  readonly run = (): void => {
    const { clock, metrics } = this.#deps;
    const startedAt = clock.monotonic();
    const dirty = this.#dirty;
    const live = this.#live;
    this.#dirty = [];
    this.#live = [];
    this.#scheduled = false;
    for (const session of dirty) {
      session.dirty = false;
      this.write(session);
    }
    const { websocket, sse } = this.#written;
    this.#written = { websocket: 0, sse: 0 };
    if (websocket > 0) metrics.delivered("websocket", websocket);
    if (sse > 0) metrics.delivered("sse", sse);
    const endedAt = clock.monotonic();
    if (live.length > 0) this.#measure(live, endedAt);
    if (this.#traced) this.#endTraces(this.#traced);
    this.#adapt(startedAt, endedAt);
  };

  #measure(live: readonly EntryFacts[], endedAt: number): void {
    const { clock, metrics, ackClock } = this.#deps;
    const now = clock.now();
    for (const { id, occurredAt } of live) {
      metrics.deliveryLatency(now - occurredAt);
      ackClock?.written(id, endedAt);
    }
  }

  #endTraces(traced: readonly DeliveryTrace[]): void {
    this.#traced = undefined;
    for (const trace of traced) trace.passed();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#deps.defer(() => {
      if (this.#scheduled) this.run(); // not when a Critical entry ended this window early
    }, this.#deps.gatherWindowMs ?? this.#windowMs);
  }

  #adapt(startedAt: number, endedAt: number): void {
    const busy = (endedAt - startedAt) / Math.max(endedAt - this.#endedAt, 0.001);
    this.#endedAt = endedAt;
    if (busy > BUSY) this.#windowMs = Math.min(this.#windowMs + 1, MAX_WINDOW_MS);
    else if (busy < IDLE) this.#windowMs = 0;
  }

  /** Whether the frame may be queued. Only a session that buffers is ever judged. */
  #admit(session: Session, frame: Frame): boolean {
    if (!session.blocked) this.write(session);
    if (session.ended) return false;
    if (!session.blocked) return true;
    const limit = this.#deps.sendQueueBytes() - (session.outlet?.getBufferedAmount() ?? 0);
    if (session.queuedBytes + frame.bytes <= limit) return true;
    const room = makeRoom(session.queue ?? [], frame, limit);
    if (room.kind === "disconnect") {
      this.#deps.metrics.dropped("slow_consumer", 1 + (session.queue?.length ?? 0));
      this.#deps.end(session, "slow_consumer");
      return false;
    }
    session.queue = room.queue;
    session.queuedBytes = room.queue.reduce((sum, kept) => sum + kept.bytes, 0);
    this.#deps.metrics.dropped("slow_consumer", room.dropped.length);
    for (const { entry } of room.dropped) {
      if (entry?.policy !== "DropOldest") continue; // LatestOnly: a newer entry says it all
      session.lost ??= new Map();
      session.lost.set(entry.fan, entry.position ?? NOWHERE);
    }
    return room.incoming;
  }

  /** `gap` frames go before what is left of the queue: that is where the holes are. */
  #tellLosses(session: Session): void {
    const { lost } = session;
    session.lost = undefined;
    if (!lost) return;
    this.#deps.metrics.gap("slow_consumer", lost.size);
    if (!session.full) return;
    const gaps = [...lost].map(([fan, position]) => gapFrame(fan, "slow_consumer", position));
    session.queue = [...gaps, ...(session.queue ?? [])];
    for (const gap of gaps) session.queuedBytes += gap.bytes;
  }
}

// Why: all sessions of this node in one dense list, so that one timer serves them all: heartbeats, silence, expired
// tokens. It must never hold a timer or a closure per session.
import type { ClosingCode } from "@nexus/protocol/failures.ts";
import type { Delivery } from "@nexus/protocol/resources/settings.ts";
import type { Session } from "./session.ts";

export class Pool {
  readonly #sessions: Session[] = [];

  get size(): number {
    return this.#sessions.length;
  }

  add(session: Session): void {
    session.index = this.#sessions.length;
    this.#sessions.push(session);
  }

  remove(session: Session): void {
    const last = this.#sessions.at(-1);
    if (session.index < 0 || !last) return;
    this.#sessions[session.index] = last;
    last.index = session.index;
    this.#sessions.pop();
    session.index = -1;
  }

  /** A copy: sessions may end while it is walked. */
  list(): readonly Session[] {
    return [...this.#sessions];
  }

  /** The oldest places of the list first; which sessions those are is as good as random. */
  first(count: number): readonly Session[] {
    return this.#sessions.slice(0, count);
  }

  /** Different sessions, picked at random; all of them when there are no more. `random` is in [0, 1). */
  some(count: number, random: () => number): readonly Session[] {
    if (count >= this.#sessions.length) return this.list();
    const picked = new Set<Session>();
    // Few of many are picked anew until they differ; many are better spread by starting somewhere.
    if (count * 2 > this.#sessions.length) {
      const from = Math.floor(random() * this.#sessions.length);
      return [...this.#sessions.slice(from), ...this.#sessions.slice(0, from)].slice(0, count);
    }
    while (picked.size < count) {
      const session = this.#sessions[Math.floor(random() * this.#sessions.length)];
      if (session) picked.add(session);
    }
    return [...picked];
  }

  /** Calls `visit` for sessions something is due for. `now` wall and `monotonic` in milliseconds. */
  due(time: { readonly now: number; readonly monotonic: number }, delivery: Delivery, visit: (session: Session, due: Due) => void): void {
    const staleMs = delivery.staleSeconds * 1000;
    for (let i = this.#sessions.length - 1; i >= 0; i--) {
      const session = this.#sessions[i]; // backwards: a session that ends is replaced by one already seen
      if (!session) continue;
      if ((session.identity.expiresAt ?? Number.POSITIVE_INFINITY) <= time.now) visit(session, "token_expired");
      else if (time.monotonic - session.seenAt >= staleMs) visit(session, "stale_session");
      else if (time.monotonic >= session.heartbeatAt) visit(session, "heartbeat");
    }
  }
}

export type Due = "heartbeat" | Extract<ClosingCode, "token_expired" | "stale_session">;

/** The first heartbeat comes between a half and a whole interval, so that a reconnect storm does not beat as one. */
export function firstHeartbeat(monotonic: number, heartbeatMs: number, ordinal: number): number {
  const spread = ((ordinal * 2654435761) % 4294967296) / 4294967296; // Fibonacci hashing: even without randomness
  return monotonic + heartbeatMs * (0.5 + spread / 2);
}

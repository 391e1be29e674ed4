// Why: announcements and what sessions read from the store come on two ways, and either may be faster. This decides, per
// stream and node, which announced entry is new to whom. It must never drop one that a session has not had.
import type { Position } from "@nexus/protocol/cursor.ts";
import { Fan } from "./fan.ts";
import { Members } from "./members.ts";
import type { Session } from "./session.ts";

/** `late`: it was announced or read before. `hole`: entries are missing before it; nothing is noted then. */
export type Step = "next" | "late" | "hole" | "epoch_changed";

/** A stream with the sessions of this node that listen to it. */
export class LiveFan extends Fan {
  readonly members = new Members<Session>();
  /** `announced` was only read by a session: what was announced up to there was not held back for others. */
  #isRead = false;
  /** Live sessions that read further than what was announced here, and how far. */
  #ahead: Map<Session, Position> | undefined;

  /** Notes an announced entry; `id`: of its notification. */
  follow(position: Position, id: string): Step {
    const last = this.announced;
    if (last !== undefined && last.epoch === position.epoch) {
      if (position.offset <= last.offset) return "late";
      if (position.offset > last.offset + 1) return "hole";
    }
    this.announced = position;
    this.announcedId = id;
    this.#isRead = false;
    return last === undefined || last.epoch === position.epoch ? "next" : "epoch_changed";
  }

  /**
   * A session goes live that has had everything up to `from`. `behind`: others read further, so that what lies between was
   * not held back for it. `after`: what was announced since was held back for it. `other_epoch`: nothing can be compared.
   */
  settle(session: Session, from: Position): "even" | "after" | "behind" | "other_epoch" {
    const last = this.announced;
    if (last === undefined) {
      this.announced = from;
      this.announcedId = undefined;
      this.#isRead = true;
      return "even";
    }
    if (last.epoch !== from.epoch) return "other_epoch";
    if (from.offset > last.offset) {
      this.#ahead ??= new Map();
      this.#ahead.set(session, from);
    }
    if (from.offset >= last.offset) return "even";
    return this.#isRead ? "behind" : "after";
  }

  /** The stream has to be read again from where this session stands; what others have had meanwhile is new to it alone. */
  stepBack(session: Session, from: Position): void {
    const last = this.announced;
    this.announced = from;
    this.announcedId = undefined;
    this.forget(session);
    if (last === undefined) return;
    for (const member of this.members) {
      if (member === session || member.joining?.has(this) || this.#ahead?.has(member)) continue;
      this.#ahead ??= new Map();
      this.#ahead.set(member, last);
    }
  }

  /** Whether the session has had what comes up to this place; it is told of no gap there. */
  isAhead(session: Session, { epoch, offset }: Position): boolean {
    const mark = this.#ahead?.get(session);
    return mark !== undefined && mark.epoch === epoch && mark.offset >= offset;
  }

  /** Whether the session has had this entry by its own read. Asked once per entry and session, in order. */
  hasHad(session: Session, position: Position | undefined): boolean {
    const mark = this.#ahead?.get(session);
    if (mark === undefined) return false;
    if (position && position.epoch === mark.epoch && position.offset <= mark.offset) return true;
    this.forget(session);
    return false;
  }

  forget(session: Session): void {
    this.#ahead?.delete(session);
    if (this.#ahead?.size === 0) this.#ahead = undefined;
  }
}

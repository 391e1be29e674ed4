// Why: acknowledging for the application, once it is done with a notification of its inbox: one place that everything before
// it is done up to, at most once a second. It must never acknowledge past a notification whose listener failed or still works.
import type { WirePosition } from "@nexus/protocol/frames.ts";

export type AutoAckDeps = {
  readonly send: (upTo: WirePosition) => void;
  /** At most one acknowledgement in this time. */
  readonly intervalMs: number;
  /** Notifications that may be in the works; nothing after that many is acknowledged until they are done. */
  readonly capacity: number;
};

export class AutoAck {
  readonly #deps: AutoAckDeps;
  #epoch: string | undefined;
  /** Not done, by offset. */
  #open = new Map<number, string>();
  /** Where the inbox stood when this epoch was joined first. */
  #start = 0;
  #top = 0;
  #sent = 0;
  /** The first one that was not noted any more: nothing from it on is acknowledged in this epoch. */
  #ceiling = Number.POSITIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(deps: AutoAckDeps) {
    this.#deps = deps;
  }

  /** The inbox stands there on a new connection: what was sent on the last one may be lost, and goes again. */
  join({ epoch, offset }: WirePosition): void {
    if (epoch === this.#epoch) {
      if (this.#sent > this.#start) this.#plan();
      this.#sent = this.#start;
      return;
    }
    this.#epoch = epoch;
    this.#open = new Map();
    [this.#start, this.#top, this.#sent, this.#ceiling] = [offset, offset, offset, Number.POSITIVE_INFINITY];
  }

  /** Another user has another inbox. */
  forget(): void {
    this.pause();
    this.#epoch = undefined;
  }

  /** Everything up to there is done; undefined before the first `join`. */
  place(): WirePosition | undefined {
    if (this.#epoch === undefined) return undefined;
    return { epoch: this.#epoch, offset: Math.min(this.#top, this.#ceiling - 1, Math.min(...this.#open.keys()) - 1) };
  }

  /** `done` is true, or comes true, when the application is through with it. Entries come in order. */
  track(id: string, offset: number, done: boolean | Promise<boolean>): void {
    this.#top = Math.max(this.#top, offset);
    if (done === true) {
      this.#plan();
      return;
    }
    if (this.#open.size >= this.#deps.capacity) {
      this.#ceiling = Math.min(this.#ceiling, offset);
      return;
    }
    this.#open.set(offset, id);
    const epoch = this.#epoch;
    if (done !== false) void done.then((isDone) => isDone && epoch === this.#epoch && this.#close(offset));
  }

  /** The application acknowledged one by itself. */
  release(id: string): void {
    for (const [offset, open] of this.#open) if (open === id) this.#close(offset);
  }

  /** Sends what is due now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const place = this.place();
    if (!place || place.offset <= this.#sent) return;
    this.#sent = place.offset;
    this.#deps.send(place);
  }

  /** The connection is gone; what is due waits for the next. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #close(offset: number): void {
    this.#open.delete(offset);
    this.#plan();
  }

  #plan(): void {
    this.#timer ??= setTimeout(() => this.flush(), this.#deps.intervalMs);
  }
}

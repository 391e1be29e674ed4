// Why: a call that expects an answer keeps its frame until the answer comes, also across a reconnect where it is safe to send
// twice: that is the caller's to know. It must stay bounded.
import { NexusError } from "./error.ts";

type Waiting<T> = { readonly frame: object; readonly resolve: (answer: T) => void; readonly reject: (error: NexusError) => void };

export class Requests<T = void> {
  readonly #capacity: number;
  readonly #waiting = new Map<string, Waiting<T>>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get isFull(): boolean {
    return this.#waiting.size >= this.#capacity;
  }

  /** What `add` rejects with when it is full. */
  full(): NexusError {
    return new NexusError("BUFFER_FULL", `${this.#capacity} calls wait for an answer already`, { retry: true });
  }

  /** Resolves with the answer. Rejects with BUFFER_FULL, CLOSED, or the code of the server's error. */
  add(id: string, frame: object): Promise<T> {
    if (this.isFull) return Promise.reject(this.full());
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { frame, resolve, reject });
    });
  }

  /** Everything that is owed an answer, oldest first: a new connection sends it again. */
  frames(): readonly object[] {
    return [...this.#waiting.values()].map(({ frame }) => frame);
  }

  /** False when nobody waits for this id. */
  answer(id: unknown, value: T): boolean {
    const waiting = this.#take(id);
    waiting?.resolve(value);
    return waiting !== undefined;
  }

  /** False when nobody waits for this id. */
  refuse(id: unknown, error: NexusError): boolean {
    const waiting = this.#take(id);
    waiting?.reject(error);
    return waiting !== undefined;
  }

  #take(id: unknown): Waiting<T> | undefined {
    if (typeof id !== "string") return undefined;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  /** Counts as done: the connection that was asked is gone, and what was asked with it. */
  answerAll(value: T): void {
    for (const { resolve } of this.#waiting.values()) resolve(value);
    this.#waiting.clear();
  }

  failAll(error: NexusError): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

// Why: a call that expects an answer keeps its frame until the answer comes, also across a reconnect. It must stay bounded,
// and hold only what is safe to send twice.
import { NexusError } from "./error.ts";

type Waiting = { readonly frame: object; readonly resolve: () => void; readonly reject: (error: NexusError) => void };

export class Requests {
  readonly #capacity: number;
  readonly #waiting = new Map<string, Waiting>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Resolves with the answer. Rejects with BUFFER_FULL, CLOSED, or the code of the server's error. */
  add(id: string, frame: object): Promise<void> {
    if (this.#waiting.size >= this.#capacity) {
      return Promise.reject(new NexusError("BUFFER_FULL", `${this.#capacity} calls wait for an answer already`, { retry: true }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { frame, resolve, reject });
    });
  }

  /** Everything that is owed an answer, oldest first: a new connection sends it again. */
  frames(): readonly object[] {
    return [...this.#waiting.values()].map(({ frame }) => frame);
  }

  /** False when nobody waits for this id. */
  settle(id: unknown, error?: NexusError): boolean {
    if (typeof id !== "string") return false;
    const waiting = this.#waiting.get(id);
    if (!waiting) return false;
    this.#waiting.delete(id);
    if (error) waiting.reject(error);
    else waiting.resolve();
    return true;
  }

  /** Counts as done: the connection that was asked is gone, and what was asked with it. */
  settleAll(): void {
    for (const { resolve } of this.#waiting.values()) resolve();
    this.#waiting.clear();
  }

  failAll(error: NexusError): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

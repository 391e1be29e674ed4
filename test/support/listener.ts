// Why: a WebSocket client that keeps every frame until a test asks for it, so that no test loses a frame to a race.
// It speaks no dialect by itself: what is sent is what the test says.
import { PATIENCE_MS } from "./eventually.ts";

export type Frame = Record<string, unknown> & { readonly type: string };
export type Closed = { readonly code: number; readonly reason: string /** `performance.now()` of the close. */; readonly at: number };

type Waiter = { readonly type: string; readonly resolve: (frame: Frame) => void };

export class Listener implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #kept: Frame[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #closed: Promise<Closed>;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)) as Frame); // every frame of the server is an object with a type
    this.#closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => resolve({ code, reason, at: performance.now() });
    });
  }

  /** @throws Error when the handshake is refused */
  static open(url: string, protocols: readonly string[] = []): Promise<Listener> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, [...protocols]);
      const listener = new Listener(socket);
      socket.onopen = () => resolve(listener);
      socket.onerror = () => reject(new Error(`the handshake with ${new URL(url).host} was refused`));
    });
  }

  send(frame: unknown): void {
    this.#socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  /** Frames that no one has taken yet, oldest first. */
  get kept(): readonly Frame[] {
    return this.#kept;
  }

  /** The oldest frame of this type that no one has taken yet. @throws Error after `timeoutMs` */
  next(type: string, timeoutMs = PATIENCE_MS): Promise<Frame> {
    const at = this.#kept.findIndex((frame) => frame.type === type);
    const [kept] = at < 0 ? [] : this.#kept.splice(at, 1);
    if (kept) return Promise.resolve(kept);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(new Error(`no ${type} frame within ${timeoutMs} ms; kept: ${this.#kept.map((frame) => frame.type).join(", ") || "none"}`));
      }, timeoutMs);
      const waiter: Waiter = {
        type,
        resolve: (frame) => {
          clearTimeout(timer);
          resolve(frame);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /** How the connection ended. @throws Error after `timeoutMs` */
  async closed(timeoutMs = PATIENCE_MS): Promise<Closed> {
    const late = AbortSignal.timeout(timeoutMs);
    const timedOut = new Promise<never>((_, reject) => {
      late.onabort = () => reject(new Error(`still open after ${timeoutMs} ms`));
    });
    return await Promise.race([this.#closed, timedOut]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close();
    await this.#closed;
  }

  #take(frame: Frame): void {
    for (const waiter of this.#waiters) {
      if (waiter.type !== frame.type) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(frame);
      return;
    }
    this.#kept.push(frame);
  }
}

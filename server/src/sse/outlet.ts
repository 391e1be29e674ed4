// Why: an SSE response as core's outlet. Bun takes what is pushed into a stream without end, so this one looks at what
// waits and says so; core stops writing then. It must never hold more than what core wrote in one go, and costs one object:
// thousands of them are silent.
import type { Outlet } from "../core/outlet.ts";
import type { Session } from "../core/session.ts";
import type { Sessions } from "../core/sessions.ts";

const encoder = new TextEncoder();

/** What metrics call a connection that the client let go (RFC 6455 section 7.4.1 "going away"). */
const GOING_AWAY = 1001;

/** Who is told that what waited has been taken, and that the client is gone (also when it went before the first byte). */
export type SseListener = Pick<Sessions, "drained" | "closed">;

/** At once the outlet and the source of the response's stream (`start`, `pull` and `cancel` are the stream's to call). */
export class SseOutlet implements Outlet {
  readonly #sessions: SseListener;
  readonly #session: Session;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** What is written until the cork is out. */
  #corked: string | undefined;
  /** Bytes pushed since the stream was last seen empty: what waits there, at the most. */
  #pushedBytes = 0;

  constructor(sessions: SseListener, session: Session) {
    this.#sessions = sessions;
    this.#session = session;
  }

  /** The body of the response; ask once. It counts chunks: a strategy of its own would cost 4 KiB per stream (measured). */
  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(this);
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
  }

  pull(): void {
    if (this.#pushedBytes === 0 || this.getBufferedAmount() > 0) return;
    this.#pushedBytes = 0;
    this.#sessions.drained(this.#session);
  }

  cancel(): void {
    this.#controller = undefined;
    this.#sessions.closed(this.#session, GOING_AWAY);
  }

  send(text: string): number {
    if (!this.#controller) return 0;
    if (this.#corked === undefined) this.#push(text);
    else this.#corked += text;
    return text.length;
  }

  cork(callback: () => void): void {
    this.#corked = "";
    callback();
    const text = this.#corked;
    this.#corked = undefined;
    if (text !== "") this.#push(text);
  }

  getBufferedAmount(): number {
    const isEmpty = (this.#controller?.desiredSize ?? 1) > 0;
    return isEmpty ? 0 : this.#pushedBytes;
  }

  close(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }

  terminate(): void {
    this.close();
  }

  pause(): void {
    // Nobody sends anything over an event stream.
  }

  resume(): void {
    // As above.
  }

  ping(): number {
    return 1;
  }

  #push(text: string): void {
    const bytes = encoder.encode(text);
    if (this.getBufferedAmount() === 0) this.#pushedBytes = 0;
    this.#controller?.enqueue(bytes);
    this.#pushedBytes += bytes.byteLength;
  }
}

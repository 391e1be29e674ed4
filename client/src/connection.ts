// Why: the life of one socket, from the handshake to its end, with one report at each turn. It decides whether the peer is
// alive; whether and when to come back is the client's. It must never report twice, and never wait for a dead peer's close.
import type { ServerFrame } from "@nexus/protocol/frames.ts";
import { readFrame, SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX } from "./frames.ts";

/** What is used of a WebSocket: the same in browsers, Bun and Node. */
export type SocketLike = {
  readonly protocol: string;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: (() => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
};
export type OpenSocket = (url: string, protocols: readonly string[]) => SocketLike;

/** `phase`: how far it came. `own`: this side gave up, the code is ours. */
export type End = {
  readonly code: number;
  readonly reason: string;
  readonly phase: "handshake" | "open" | "connected";
  readonly own: boolean;
};

export type ConnectionOptions = {
  readonly url: string;
  readonly token: string;
  readonly openSocket: OpenSocket;
  readonly connectTimeoutMs: number;
  readonly pongTimeoutMs: number;
};

export type ConnectionHandlers = {
  readonly onFrame: (frame: ServerFrame) => void;
  /** A frame that is none; the connection goes on. */
  readonly onInvalid: () => void;
  readonly onSent: (frame: unknown) => void;
  /** Once, and nothing after it. */
  readonly onEnd: (end: End) => void;
};

/** Close codes this side uses: private use, below the server's. */
export const OWN_CLOSE = { bye: 1000, timeout: 3000, silent: 3001, dialect: 3002, renewal: 3003 } as const;
/** More than this waiting in the socket: the network is slower than the application. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

export class Connection {
  readonly #socket: SocketLike;
  readonly #options: ConnectionOptions;
  readonly #handlers: ConnectionHandlers;
  #phase: End["phase"] = "handshake";
  #ended = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silenceMs = 0;
  #lastFrameAt = 0;

  /** @throws what the runtime's WebSocket throws for an address or token it refuses to send */
  constructor(options: ConnectionOptions, handlers: ConnectionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const socket = options.openSocket(options.url, [SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX + options.token]);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.end(OWN_CLOSE.timeout, "the server did not answer in time"), options.connectTimeoutMs);
    socket.onopen = () => this.#onOpen();
    socket.onmessage = ({ data }) => this.#onMessage(data);
    socket.onclose = ({ code, reason }) => this.#finish({ code, reason, own: false });
    // A close always follows, with what is known; a browser tells nothing here.
    socket.onerror = null;
  }

  /** False when the frame could not be taken: the connection is over, or too much waits in it already. */
  send(frame: object): boolean {
    if (this.#ended || this.#phase === "handshake" || this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) return false;
    this.#socket.send(JSON.stringify(frame));
    this.#handlers.onSent(frame);
    return true;
  }

  /** Ends it from this side; the report comes at once. */
  end(code: number, reason: string): void {
    if (this.#ended) return;
    try {
      this.#socket.close(code, reason);
    } finally {
      this.#finish({ code, reason, own: true });
    }
  }

  #onOpen(): void {
    if (this.#ended) return;
    this.#phase = "open";
    if (this.#socket.protocol !== SUBPROTOCOL) this.end(OWN_CLOSE.dialect, `the server does not speak ${SUBPROTOCOL}`);
  }

  #onMessage(data: unknown): void {
    if (this.#ended) return;
    this.#lastFrameAt = performance.now();
    const frame = readFrame(data);
    if (frame === "unknown") return;
    if (frame === "invalid") {
      this.#handlers.onInvalid();
      return;
    }
    if (frame.type === "connected") this.#onConnected(frame.heartbeat_seconds);
    // The answer that tells the server that this side is alive too.
    if (frame.type === "heartbeat") this.send({ type: "Ping" });
    this.#handlers.onFrame(frame);
  }

  #onConnected(heartbeatSeconds: number): void {
    this.#phase = "connected";
    clearTimeout(this.#timer);
    this.#silenceMs = Math.max(heartbeatSeconds, 1) * 1500;
    this.#watch(this.#silenceMs);
  }

  /** One timer for the whole connection: when it fires it looks at how long the silence really was. */
  #watch(afterMs: number): void {
    this.#timer = setTimeout(() => {
      const quietMs = performance.now() - this.#lastFrameAt;
      if (quietMs < this.#silenceMs) return this.#watch(this.#silenceMs - quietMs);
      this.send({ type: "Ping" });
      const askedAt = performance.now();
      this.#timer = setTimeout(() => {
        if (this.#lastFrameAt >= askedAt) return this.#watch(this.#silenceMs);
        this.end(OWN_CLOSE.silent, "the server went silent");
      }, this.#options.pongTimeoutMs);
    }, afterMs);
  }

  #finish(end: { code: number; reason: string; own: boolean }): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#handlers.onEnd({ ...end, phase: this.#phase });
  }
}

// Why: what an application may decide, with the default beside each field.
import type { Priority } from "@nexus/protocol/frames.ts";
import { type BackoffOptions, DEFAULT_BACKOFF } from "./backoff.ts";
import type { OpenSocket } from "./connection.ts";

export type TokenProvider = () => string | Promise<string>;

/** What is used of the runtime's `fetch`. */
export type Fetch = (
  url: string,
  init: { headers: Record<string, string>; signal: AbortSignal },
) => Promise<{ readonly status: number; readonly body?: ReadableStream<Uint8Array> | null }>;

export type ClientOptions = {
  /** `http(s)://` or `ws(s)://` address of the server; `/ws` is added to the path unless it is there. */
  readonly url: string;
  /**
   * A JWT, or a function that gives one. A function is asked before every attempt, and again shortly before the token
   * expires, so that the connection goes on with the next one; a token that the server refused is never offered twice.
   */
  readonly token: string | TokenProvider;
  /**
   * What `client.cursor()` of an earlier client of the same user gave: this one goes on from there. One that cannot be read
   * is told as an `error` event `INVALID_CURSOR`, and everything starts fresh; empty text is none.
   */
  readonly cursor?: string | undefined;
  /**
   * `auto` acknowledges a notification of the inbox, and all before it, once every `notification` listener is through with
   * it: at most once a second. One whose listener failed stays unacknowledged, and holds back those after it, until
   * `ack()` is called for it. Without a listener nothing is acknowledged. Default `manual`.
   */
  readonly ack?: "auto" | "manual";
  /** Base 500 ms, at most 30 s, full jitter. */
  readonly backoff?: Partial<BackoffOptions>;
  /** How long an attempt may take until the server's `connected`, in milliseconds (10,000). */
  readonly connectTimeoutMs?: number;
  /** How long the server may take to answer a ping before the connection counts as dead, in milliseconds (10,000). */
  readonly pongTimeoutMs?: number;
  /** A connection that lived this long starts the back-off anew, in milliseconds (1,000). */
  readonly stableAfterMs?: number;
  /** Notifications remembered to drop repetitions (2,000). */
  readonly rememberedIds?: number;
  /** Acknowledgements that may wait for an answer or a connection; the same for publishes (1,000). */
  readonly pendingAcks?: number;
  /** Opens a socket; default the runtime's `WebSocket`. */
  readonly openSocket?: OpenSocket;
  /** Used once after a refused handshake to learn whether the token is why; `false` turns that off. Default the runtime's. */
  readonly fetch?: Fetch | false;
  /** Chance in [0, 1). */
  readonly random?: () => number;
};

/** `ttl` in seconds; 0 is never delivered. `traceparent`, `tracestate`: W3C trace context, the trace this is part of. */
export type PublishOptions = {
  readonly priority?: Priority;
  readonly ttl?: number;
  readonly correlationId?: string;
  readonly traceparent?: string;
  readonly tracestate?: string;
};
/** `deliveredTo` counts sessions. */
export type Published = { readonly notificationId: string; readonly deliveredTo: number };

export type Settings = Required<Omit<ClientOptions, "url" | "token" | "backoff" | "openSocket" | "cursor">> & {
  readonly cursor?: string | undefined;
  readonly token: string | TokenProvider;
  readonly socketUrl: string;
  readonly backoff: BackoffOptions;
  readonly openSocket: OpenSocket;
};

/** @throws TypeError for an address that cannot be one */
export function settingsOf(options: ClientOptions): Settings {
  return {
    connectTimeoutMs: 10_000,
    pongTimeoutMs: 10_000,
    stableAfterMs: 1_000,
    ack: "manual",
    rememberedIds: 2_000,
    pendingAcks: 1_000,
    fetch: (url, init) => globalThis.fetch(url, init),
    random: Math.random,
    // A WebSocket has everything a SocketLike asks for, with wider event types.
    openSocket: (url, protocols) => new WebSocket(url, [...protocols]) as ReturnType<OpenSocket>,
    ...options,
    backoff: { ...DEFAULT_BACKOFF, ...options.backoff },
    socketUrl: socketUrl(options.url),
  };
}

/** `https://host/base` → `wss://host/base/ws`; a query is kept, a fragment is not. */
export function socketUrl(text: string): string {
  const url = new URL(text);
  const protocol = { "http:": "ws:", "https:": "wss:", "ws:": "ws:", "wss:": "wss:" }[url.protocol];
  if (protocol === undefined) throw new TypeError("url must start with http://, https://, ws:// or wss://");
  const path = url.pathname.replace(/\/+$/, "");
  return `${protocol}//${url.host}${path.endsWith("/ws") ? path : `${path}/ws`}${url.search}`;
}

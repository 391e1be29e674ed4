// Why: that there is a connection whenever there can be one: attempts, tokens, waiting, and the decision whether to come back
// are here; what travels on it is the client's. It must never offer a refused token again, nor keep a dead peer's place.
import { isRetryableClose } from "@nexus/protocol/failures.ts";
import type { ServerFrame, StreamState } from "@nexus/protocol/frames.ts";
import { backoffMs } from "./backoff.ts";
import { Connection, type End, OWN_CLOSE } from "./connection.ts";
import { NexusError } from "./error.ts";
import type { ClientEvents, ConnectionState, Emitter } from "./events.ts";
import { diagnose } from "./handshake.ts";
import type { Settings, TokenProvider } from "./options.ts";
import { Renewal } from "./renewal.ts";

type Waiter = { readonly resolve: () => void; readonly reject: (error: NexusError) => void };
type Fate = { readonly code: number; readonly reason: string };

export type LinkDeps = {
  readonly settings: Settings;
  readonly events: Emitter;
  /** Where to connect with this token. */
  readonly addressOf: (token: string) => string;
  /** Where the streams stand of which nothing is known yet: what comes after was sent, and not read. */
  readonly onMissed: (streams: readonly StreamState[]) => void;
  readonly onFrame: (frame: ServerFrame) => void;
  /** A connection ended, whatever comes next. */
  readonly onLost: () => void;
  /** It is over for good; the connection, if any, still takes a last frame. */
  readonly onOver: (error: NexusError) => void;
};

/** 4505 `connection_limit` of protocol/failures.ts. */
const CONNECTION_LIMIT = 4505;
/** How many waits it counts as when a session of our own may still hold the place: long ones. */
const PATIENCE = 5;

export class Link {
  readonly #deps: LinkDeps;
  readonly #renewal: Renewal | undefined;
  #state: ConnectionState = "disconnected";
  #isStarted = false;
  #connection: Connection | undefined;
  #connectedAt = 0;
  #wasConnected = false;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** From the last `shutdown` frame; used once. */
  #comeBackMs: number | undefined;
  #token = "";
  #refusedToken: string | undefined;
  /** Id of the last Refresh. */
  #refresh: string | undefined;
  #overBecause: NexusError | undefined;
  #waiters: Waiter[] = [];
  #nextId = 1;

  constructor(deps: LinkDeps) {
    this.#deps = deps;
    const { token } = deps.settings;
    if (typeof token === "function") this.#renewal = this.#renewing(token);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Why it is over for good, if it is. */
  get overBecause(): NexusError | undefined {
    return this.#overBecause;
  }

  /** Resolves at the first `connected`, rejects once it is over for good. */
  start(): Promise<void> {
    if (this.#state === "connected") return Promise.resolve();
    if (this.#overBecause) return Promise.reject(this.#overBecause);
    const connected = new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    if (!this.#isStarted) {
      this.#isStarted = true;
      void this.#open();
    }
    return connected;
  }

  readonly nextId = (): string => `c${this.#nextId++}`;

  /** False when the frame could not be taken: that connection is no use any more, and is ended. */
  send(frame: object): boolean {
    if (this.#connection?.send(frame)) return true;
    this.#connection?.end(OWN_CLOSE.silent, "the connection takes nothing more");
    return false;
  }

  /** In order, up to the first that is not taken. */
  sendAll(frames: readonly object[]): void {
    for (const frame of frames) if (!this.send(frame)) return;
  }

  /** The server said `connected`. */
  accepted(): void {
    this.#connectedAt = performance.now();
    this.#comeBackMs = undefined;
    this.#refusedToken = undefined;
    this.#wasConnected = true;
    this.#renewal?.start(this.#token);
    this.#setState("connected");
  }

  /** Those who wait in `start` go on. */
  ready(): void {
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  /** The server said when to come back. */
  comeBackIn(milliseconds: number): void {
    this.#comeBackMs = milliseconds;
  }

  /** The answer to a Refresh; any other id is none of ours. */
  refreshed(id: unknown): void {
    if (id === this.#refresh) this.#token = this.#renewal?.accepted() ?? this.#token;
  }

  /** False when the error answers no Refresh. */
  refreshRefused(id: unknown, error: NexusError): boolean {
    if (id === undefined || id !== this.#refresh) return false;
    this.#renewal?.refused(error);
    return true;
  }

  /** Ends it for good. */
  finish(error: NexusError, fate: Fate): void {
    if (this.#overBecause) return;
    this.#overBecause = error;
    clearTimeout(this.#retry);
    this.#renewal?.stop();
    this.#deps.onOver(error);
    this.#connection?.end(OWN_CLOSE.bye, "bye");
    for (const { reject } of this.#waiters.splice(0)) reject(error);
    this.#setState("closed", fate);
  }

  #renewing(provider: TokenProvider): Renewal {
    const { settings, events } = this.#deps;
    return new Renewal({
      provider,
      random: settings.random,
      now: Date.now,
      after: (milliseconds, run) => {
        const timer = setTimeout(run, milliseconds);
        return () => clearTimeout(timer);
      },
      offer: (token) => {
        this.#refresh = this.nextId();
        this.send({ type: "Refresh", id: this.#refresh, payload: { token } });
      },
      onFailure: (error) => events.emit("error", error),
      onRefused: (error) => {
        events.emit("error", error);
        // Not as this session; perhaps as a new one.
        this.#connection?.end(OWN_CLOSE.renewal, "the server refused the new token on this connection");
      },
    });
  }

  #setState(state: ConnectionState, facts: Omit<ClientEvents["state"], "state" | "previous"> = {}): void {
    const previous = this.#state;
    this.#state = state;
    if (previous !== state) this.#deps.events.emit("state", { state, previous, ...facts });
  }

  async #open(): Promise<void> {
    this.#setState("connecting");
    const token = await this.#freshToken();
    if (this.#overBecause || token === undefined) return;
    if (token === this.#refusedToken) {
      const reason = "the server refused the token";
      return this.finish(new NexusError("UNAUTHORIZED", reason), { code: OWN_CLOSE.bye, reason });
    }
    this.#token = token;
    const { events, onFrame, addressOf } = this.#deps;
    const { openSocket, connectTimeoutMs, pongTimeoutMs } = this.#deps.settings;
    const url = addressOf(token);
    try {
      this.#connection = new Connection(
        { url, token, openSocket, connectTimeoutMs, pongTimeoutMs },
        {
          onFrame,
          onInvalid: () => events.emit("error", new NexusError("PROTOCOL", "the server sent a frame that cannot be read")),
          onSent: (frame) => events.emit("frame", { direction: "out", frame: withoutToken(frame) }),
          onEnd: (end) => void this.#onEnd(end),
        },
      );
    } catch (cause) {
      // The runtime refuses the address or the token's characters: the same will happen again.
      const reason = "the runtime refuses to open this connection";
      this.finish(new NexusError("PROTOCOL", reason, { cause }), { code: OWN_CLOSE.bye, reason });
    }
  }

  /** Undefined when there is none now; the next attempt is planned then. */
  async #freshToken(): Promise<string | undefined> {
    const { token } = this.#deps.settings;
    if (typeof token === "string") return token;
    try {
      return await token();
    } catch (cause) {
      if (this.#overBecause) return undefined;
      this.#deps.events.emit("error", new NexusError("TOKEN_PROVIDER", "the token provider failed", { cause, retry: true }));
      this.#planRetry({ code: 0, reason: "the token provider failed" });
      return undefined;
    }
  }

  async #onEnd(end: End): Promise<void> {
    const { settings, addressOf, onLost, onMissed } = this.#deps;
    this.#connection = undefined;
    this.#refresh = undefined;
    this.#renewal?.stop();
    onLost();
    if (this.#overBecause) return;
    if (this.#connectedAt > 0 && performance.now() - this.#connectedAt >= settings.stableAfterMs) this.#attempt = 0;
    this.#connectedAt = 0;
    const token = this.#token;
    if (end.phase === "handshake" && !end.own && this.#attempt === 0) {
      const diagnosis = await diagnose(settings.fetch, addressOf(token), token);
      if (diagnosis === "refused") return this.#tokenRefused(token, { code: end.code, reason: "the server refused the token" });
      if (diagnosis !== "unknown") onMissed(diagnosis);
    }
    if (this.#overBecause) return;
    if (end.own && end.code === OWN_CLOSE.dialect) return this.finish(new NexusError("PROTOCOL", end.reason), end);
    // Why it could not be opened no runtime tells: browsers must not, the others say as many different things.
    if (end.phase === "handshake" && !end.own) return this.#planRetry({ code: end.code, reason: "no connection could be opened" });
    if (end.own || isRetryableClose(end.code)) return this.#planRetry(end);
    if (end.code === 4501 || end.code === 4502) return this.#tokenRefused(token, end);
    // A session of ours that nobody has seen die may still hold the place: this user was let in before.
    if (end.code === CONNECTION_LIMIT && end.phase === "open" && this.#wasConnected) {
      this.#attempt = Math.max(this.#attempt, PATIENCE);
      return this.#planRetry(end);
    }
    this.finish(new NexusError("CLOSED", end.reason || `the server closed with code ${end.code}`), end);
  }

  /** A provider may have a better one; a text stays what it is. */
  #tokenRefused(token: string, fate: Fate): void {
    if (this.#overBecause) return;
    this.#refusedToken = token;
    if (typeof this.#deps.settings.token === "function") this.#planRetry(fate);
    else this.finish(new NexusError("UNAUTHORIZED", fate.reason || "the server refused the token"), fate);
  }

  #planRetry({ code, reason }: Fate): void {
    const { settings } = this.#deps;
    const drawn = backoffMs(this.#attempt++, settings.random(), settings.backoff);
    const retryInMs = this.#comeBackMs ?? drawn;
    this.#comeBackMs = undefined;
    // Planned first: a listener may close the client.
    this.#retry = setTimeout(() => void this.#open(), retryInMs);
    this.#setState("disconnected", { code, reason, retryInMs });
  }
}

/** A `Refresh` as it may be shown. */
function withoutToken(frame: unknown): unknown {
  const isRefresh = typeof frame === "object" && frame !== null && "type" in frame && frame.type === "Refresh";
  return isRefresh ? { ...frame, payload: {} } : frame;
}

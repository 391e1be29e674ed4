// Why: what an application holds: one client per user, which is connected whenever it can be and says honestly when it is
// not. All waiting and all decisions about coming back are here. It must never offer a refused token again, never hide that
// notifications may be missing, and never hold more than its bounds.
import { isRetryableClose } from "@nexus/protocol/failures.ts";
import type { ServerFrame, StreamState } from "@nexus/protocol/frames.ts";
import { backoffMs } from "./backoff.ts";
import { type ChannelHandler, Channels } from "./channels.ts";
import { Connection, type End, OWN_CLOSE } from "./connection.ts";
import { Duplicates } from "./duplicates.ts";
import { NexusError } from "./error.ts";
import { type ClientEvents, type ConnectionState, Emitter, type FrameOf } from "./events.ts";
import { channelOf } from "./frames.ts";
import { diagnose } from "./handshake.ts";
import { type ClientOptions, type Settings, settingsOf } from "./options.ts";
import { Requests } from "./requests.ts";

type Waiter = { readonly resolve: () => void; readonly reject: (error: NexusError) => void };
type Fate = { readonly code: number; readonly reason: string };

export class NexusClient {
  readonly #settings: Settings;
  readonly #events = new Emitter();
  readonly #channels = new Channels();
  readonly #acks: Requests;
  readonly #leaves: Requests;
  readonly #duplicates: Duplicates;
  #state: ConnectionState = "disconnected";
  #isStarted = false;
  #connection: Connection | undefined;
  #connectedAt = 0;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** From the last `shutdown` frame; used once. */
  #comeBackMs: number | undefined;
  #token = "";
  #refusedToken: string | undefined;
  #closedBecause: NexusError | undefined;
  #waiters: Waiter[] = [];
  #nextId = 1;

  /** @throws TypeError for an address that cannot be one */
  constructor(options: ClientOptions) {
    this.#settings = settingsOf(options);
    this.#acks = new Requests(this.#settings.pendingAcks);
    this.#leaves = new Requests(this.#settings.pendingAcks);
    this.#duplicates = new Duplicates(this.#settings.rememberedIds);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Listens to an event of {@link ClientEvents}; returns how to stop. */
  on<K extends keyof ClientEvents>(name: K, listener: (event: ClientEvents[K]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Starts, and resolves at the first `connected`. It goes on trying while that can help.
   * Rejects with the reason (`UNAUTHORIZED`, a server's code, `CLOSED`) once it is closed for good.
   */
  connect(): Promise<void> {
    if (this.#state === "connected") return Promise.resolve();
    if (this.#closedBecause) return Promise.reject(this.#closedBecause);
    const connected = new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    if (!this.#isStarted) {
      this.#isStarted = true;
      void this.#open();
    }
    return connected;
  }

  /** Ends it for good. Everything that waits is rejected with `CLOSED`. */
  close(): void {
    this.#finish(new NexusError("CLOSED", "closed by the application"), { code: OWN_CLOSE.bye, reason: "closed by the application" });
  }

  /**
   * Hands the channel's notifications to `handler`, across reconnects. Resolves when the server confirmed it, with where the
   * stream stands; rejects with the server's code when it refuses, or `CLOSED`.
   */
  subscribe(channel: string, handler: ChannelHandler): Promise<StreamState | undefined> {
    if (this.#closedBecause) return Promise.reject(this.#closedBecause);
    const { isNew, ready } = this.#channels.add(channel, handler);
    if (isNew && this.#state === "connected") this.#sendAll(this.#channels.ask([channel], this.#id));
    return ready;
  }

  /** Without a handler all handlers of the channel go. Resolves when the server confirmed it, at once while not connected. */
  unsubscribe(channel: string, handler?: ChannelHandler): Promise<void> {
    if (!this.#channels.remove(channel, handler) || this.#state !== "connected") return Promise.resolve();
    const id = this.#id();
    const frame = { type: "Unsubscribe", id, payload: { channels: [channel] } };
    const confirmed = this.#leaves.add(id, frame);
    this.#sendAll([frame]);
    return confirmed;
  }

  /**
   * Acknowledges a notification of the user's inbox. Waits for a connection when there is none.
   * Rejects with `INVALID_ACK` (unknown id), `BUFFER_FULL`, `CLOSED`.
   */
  ack(notificationId: string): Promise<void> {
    if (this.#closedBecause) return Promise.reject(this.#closedBecause);
    const id = this.#id();
    const frame = { type: "Ack", id, payload: { notification_id: notificationId } };
    const acknowledged = this.#acks.add(id, frame);
    if (this.#state === "connected") this.#sendAll([frame]);
    return acknowledged;
  }

  readonly #id = (): string => `c${this.#nextId++}`;

  /** A frame that cannot be taken means that the socket is stuck: what it was for is sent again on the next one. */
  #sendAll(frames: readonly object[]): void {
    for (const frame of frames) {
      if (this.#connection?.send(frame) !== false) continue;
      this.#connection.end(OWN_CLOSE.silent, "the connection takes nothing more");
      return;
    }
  }

  #setState(state: ConnectionState, facts: Omit<ClientEvents["state"], "state" | "previous"> = {}): void {
    const previous = this.#state;
    this.#state = state;
    if (previous !== state) this.#events.emit("state", { state, previous, ...facts });
  }

  async #open(): Promise<void> {
    this.#setState("connecting");
    const token = await this.#freshToken();
    if (this.#closedBecause || token === undefined) return;
    if (token === this.#refusedToken) {
      const reason = "the server refused the token";
      return this.#finish(new NexusError("UNAUTHORIZED", reason), { code: OWN_CLOSE.bye, reason });
    }
    this.#token = token;
    const { socketUrl: url, openSocket, connectTimeoutMs, pongTimeoutMs } = this.#settings;
    try {
      this.#connection = new Connection(
        { url, token, openSocket, connectTimeoutMs, pongTimeoutMs },
        {
          onFrame: (frame) => this.#onFrame(frame),
          onInvalid: () => this.#events.emit("error", new NexusError("PROTOCOL", "the server sent a frame that cannot be read")),
          onSent: (frame) => this.#events.emit("frame", { direction: "out", frame }),
          onEnd: (end) => void this.#onEnd(end),
        },
      );
    } catch (cause) {
      // The runtime refuses the address or the token's characters: the same will happen again.
      const reason = "the runtime refuses to open this connection";
      this.#finish(new NexusError("PROTOCOL", reason, { cause }), { code: OWN_CLOSE.bye, reason });
    }
  }

  /** Undefined when there is none now; the next attempt is planned then. */
  async #freshToken(): Promise<string | undefined> {
    const { token } = this.#settings;
    if (typeof token === "string") return token;
    try {
      return await token();
    } catch (cause) {
      if (this.#closedBecause) return undefined;
      this.#events.emit("error", new NexusError("TOKEN_PROVIDER", "the token provider failed", { cause, retry: true }));
      this.#planRetry({ code: 0, reason: "the token provider failed" });
      return undefined;
    }
  }

  #onFrame(frame: ServerFrame): void {
    this.#events.emit("frame", { direction: "in", frame });
    switch (frame.type) {
      case "connected":
        this.#onConnected(frame);
        break;
      case "notification":
        this.#onNotification(frame);
        break;
      case "subscribed":
        this.#onSubscribed(frame);
        break;
      case "unsubscribed":
        this.#leaves.settle(frame.id);
        break;
      case "acked":
        this.#acks.settle(frame.id);
        break;
      case "error":
        this.#onError(frame);
        break;
      case "shutdown":
        this.#comeBackMs = frame.reconnect_after_seconds * 1000;
        this.#events.emit("shutdown", { reason: frame.reason, reconnectAfterSeconds: frame.reconnect_after_seconds });
        break;
      case "gap": {
        const channel = channelOf(frame.stream);
        this.#channels.move(frame.stream, { epoch: frame.epoch, offset: frame.offset });
        this.#events.emit("gap", { stream: frame.stream, reason: frame.reason, ...(channel === undefined ? {} : { channel }) });
        break;
      }
      case "resumed":
      case "refreshed":
      case "published":
      case "pong":
      case "heartbeat":
        break; // the connection has noted that the server is there
      default:
        frame satisfies never;
    }
  }

  #onConnected({ type: _type, ...facts }: FrameOf<"connected">): void {
    this.#connectedAt = performance.now();
    this.#comeBackMs = undefined;
    this.#refusedToken = undefined;
    this.#setState("connected");
    this.#sendAll([...this.#channels.ask(this.#channels.names(), this.#id), ...this.#acks.frames()]);
    if (this.#connectedAt === 0) return; // it took nothing, and is over already
    this.#events.emit("connected", facts);
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  #onNotification({ type: _type, ...notification }: FrameOf<"notification">): void {
    const handlers = this.#channels.take(notification);
    if (!this.#duplicates.isNew(notification.stream, notification.id)) return;
    this.#events.emit("notification", notification);
    for (const handler of handlers) this.#events.guard(() => handler(notification), `channel ${notification.stream}`);
  }

  #onSubscribed({ id, payload, streams = [] }: FrameOf<"subscribed">): void {
    for (const gap of this.#channels.confirm(id, payload, streams)) this.#events.emit("gap", gap);
    for (const channel of payload) {
      const state = streams.find(({ stream }) => channelOf(stream) === channel);
      this.#events.emit("subscribed", state ? { channel, state } : { channel });
    }
  }

  #onError({ id, code, message, retry }: FrameOf<"error">): void {
    const error = new NexusError(code, message, { retry });
    if (this.#acks.settle(id, error) || this.#leaves.settle(id, error) || this.#channels.refuse(id, error)) return;
    this.#events.emit("error", error);
  }

  async #onEnd(end: End): Promise<void> {
    this.#connection = undefined;
    this.#channels.reset();
    this.#leaves.settleAll();
    if (this.#closedBecause) return;
    if (this.#connectedAt > 0 && performance.now() - this.#connectedAt >= this.#settings.stableAfterMs) this.#attempt = 0;
    this.#connectedAt = 0;
    const token = this.#token;
    if (end.phase === "handshake" && !end.own && this.#attempt === 0 && (await diagnose(this.#settings, token)) === "refused") {
      return this.#tokenRefused(token, { code: end.code, reason: "the server refused the token" });
    }
    if (this.#closedBecause) return;
    if (end.own && end.code === OWN_CLOSE.dialect) return this.#finish(new NexusError("PROTOCOL", end.reason), end);
    if (end.own || end.phase === "handshake" || isRetryableClose(end.code)) return this.#planRetry(end);
    if (end.code === 4501 || end.code === 4502) return this.#tokenRefused(token, end);
    this.#finish(new NexusError("CLOSED", end.reason || `the server closed with code ${end.code}`), end);
  }

  /** A provider may have a better one; a text stays what it is. */
  #tokenRefused(token: string, fate: Fate): void {
    if (this.#closedBecause) return;
    this.#refusedToken = token;
    if (typeof this.#settings.token === "function") this.#planRetry(fate);
    else this.#finish(new NexusError("UNAUTHORIZED", fate.reason || "the server refused the token"), fate);
  }

  #planRetry({ code, reason }: Fate): void {
    const drawn = backoffMs(this.#attempt++, this.#settings.random(), this.#settings.backoff);
    const retryInMs = this.#comeBackMs ?? drawn;
    this.#comeBackMs = undefined;
    // Planned first: a listener may close the client.
    this.#retry = setTimeout(() => void this.#open(), retryInMs);
    this.#setState("disconnected", { code, reason, retryInMs });
  }

  #finish(error: NexusError, fate: Fate): void {
    if (this.#closedBecause) return;
    this.#closedBecause = error;
    clearTimeout(this.#retry);
    this.#connection?.end(OWN_CLOSE.bye, "bye");
    this.#channels.failAll(error);
    this.#acks.failAll(error);
    this.#leaves.failAll(error);
    for (const { reject } of this.#waiters.splice(0)) reject(error);
    this.#setState("closed", fate);
  }
}

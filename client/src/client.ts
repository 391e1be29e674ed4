// Why: what an application holds: one client per user, which goes on where it stood whenever it can be connected and says
// honestly when it cannot. It must never hide that notifications may be missing, and never hold more than its bounds.
import type { ServerFrame, StreamState } from "@nexus/protocol/frames.ts";
import { AutoAck } from "./auto-ack.ts";
import { backoffMs } from "./backoff.ts";
import { type ChannelHandler, Channels } from "./channels.ts";
import { OWN_CLOSE } from "./connection.ts";
import { Duplicates } from "./duplicates.ts";
import { NexusError } from "./error.ts";
import { type ClientEvents, type ConnectionState, Emitter, type FrameOf, type Listener } from "./events.ts";
import { channelOf } from "./frames.ts";
import { Link } from "./link.ts";
import { type ClientOptions, type Published, type PublishOptions, type Settings, settingsOf } from "./options.ts";
import { gapOf, lossOf, Positions, readCursor } from "./positions.ts";
import { Requests } from "./requests.ts";
import { claimsOf } from "./token.ts";

const AUTO_ACK_INTERVAL_MS = 1_000;
/** Which wait of the back-off it is before channels are asked for again that the server could not join just now. */
const ASK_AGAIN_AFTER = 3;

export class NexusClient {
  readonly #settings: Settings;
  readonly #events = new Emitter();
  readonly #link: Link;
  readonly #positions: Positions;
  readonly #channels: Channels;
  readonly #acks: Requests;
  readonly #leaves: Requests;
  readonly #publishes: Requests<Published>;
  readonly #autoAck: AutoAck | undefined;
  readonly #duplicates: Duplicates;
  /** Whose streams the places are. */
  #owner: string | undefined;
  #maxFrameBytes = Number.POSITIVE_INFINITY;
  #askAgain: ReturnType<typeof setTimeout> | undefined;
  /** Told at `connect`, when somebody can listen. */
  #badCursor = false;

  /** @throws TypeError for an address that cannot be one */
  constructor(options: ClientOptions) {
    this.#settings = settingsOf(options);
    const { ack, cursor, pendingAcks, rememberedIds } = this.#settings;
    const imported = cursor ? readCursor(cursor) : undefined;
    this.#badCursor = Boolean(cursor) && imported === undefined;
    this.#positions = new Positions(imported);
    this.#channels = new Channels(this.#positions);
    this.#acks = new Requests(pendingAcks);
    this.#leaves = new Requests(pendingAcks);
    this.#publishes = new Requests(pendingAcks);
    this.#duplicates = new Duplicates(rememberedIds);
    this.#link = new Link({
      settings: this.#settings,
      events: this.#events,
      addressOf: (token) => this.#addressOf(token),
      onMissed: (streams) => {
        for (const state of streams) if (this.#positions.get(state.stream) === undefined) this.#positions.expect(state);
      },
      onFrame: (frame) => this.#onFrame(frame),
      onLost: () => this.#onLost(),
      onOver: (error) => this.#onOver(error),
    });
    if (ack !== "auto") return;
    const send = (upTo: object) => void this.#link.send({ type: "Ack", payload: { up_to: upTo } });
    this.#autoAck = new AutoAck({ send, intervalMs: AUTO_ACK_INTERVAL_MS, capacity: pendingAcks });
  }

  get state(): ConnectionState {
    return this.#link.state;
  }

  /** Listens to an event of {@link ClientEvents}; returns how to stop. */
  on<K extends keyof ClientEvents>(name: K, listener: Listener<ClientEvents[K]>): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Starts, and resolves at the first `connected`. It goes on trying while that can help.
   * Rejects with the reason (`UNAUTHORIZED`, a server's code, `CLOSED`) once it is closed for good.
   */
  connect(): Promise<void> {
    if (this.#badCursor) {
      this.#badCursor = false;
      this.#events.emit("error", new NexusError("INVALID_CURSOR", "the cursor cannot be read: everything starts fresh"));
    }
    return this.#link.start();
  }

  /** Ends it for good. Everything that waits is rejected with `CLOSED`. */
  close(): void {
    const reason = "closed by the application";
    this.#link.finish(new NexusError("CLOSED", reason), { code: OWN_CLOSE.bye, reason });
  }

  /**
   * Where the application stands in every stream that is kept, up to the notification its listeners were called for last
   * (in the inbox with `ack: "auto"`: up to where they are done): for the option `cursor` of a later client of the same user, on the next page for example. Opaque text of letters,
   * digits, `-`, `_` and `.`; undefined while there is nothing to go on from.
   */
  cursor(): string | undefined {
    return this.#positions.export(this.#autoAck?.place());
  }

  /**
   * Hands the channel's notifications to `handler`, across reconnects. Resolves when the server confirmed it, with where the
   * stream stands; rejects with the server's code when it refuses, or `CLOSED`.
   */
  subscribe(channel: string, handler: ChannelHandler): Promise<StreamState | undefined> {
    const over = this.#link.overBecause;
    if (over) return Promise.reject(over);
    const { isNew, ready } = this.#channels.add(channel, handler);
    if (isNew && this.state === "connected") this.#ask([channel]);
    return ready;
  }

  /** Without a handler all handlers of the channel go. Resolves when the server confirmed it, at once while not connected. */
  unsubscribe(channel: string, handler?: ChannelHandler): Promise<void> {
    if (!this.#channels.remove(channel, handler) || this.state !== "connected") return Promise.resolve();
    const id = this.#link.nextId();
    const frame = { type: "Unsubscribe", id, payload: { channels: [channel] } };
    const confirmed = this.#leaves.add(id, frame);
    this.#link.send(frame);
    return confirmed;
  }

  /**
   * Acknowledges a notification of the user's inbox. Waits for a connection when there is none.
   * Rejects with `INVALID_ACK` (unknown id), `BUFFER_FULL`, `CLOSED`.
   */
  ack(notificationId: string): Promise<void> {
    const over = this.#link.overBecause;
    if (over) return Promise.reject(over);
    const id = this.#link.nextId();
    const frame = { type: "Ack", id, payload: { notification_id: notificationId } };
    const acknowledged = this.#acks.add(id, frame);
    this.#autoAck?.release(notificationId);
    if (this.state === "connected") this.#link.send(frame);
    return acknowledged;
  }

  /**
   * Publishes on a channel whose rule and whose token allow it. It is sent at once or not at all, and never twice.
   * Rejects with the server's code (`FORBIDDEN`, `VALIDATION_ERROR`, `PAYLOAD_TOO_LARGE`, `RATE_LIMITED`, …), with `NOT_SENT`
   * while there is no connection, with `UNANSWERED` when it ended before the answer (it may have been published),
   * `BUFFER_FULL`, `CLOSED`.
   */
  async publish(channel: string, eventType: string, payload: unknown, options: PublishOptions = {}): Promise<Published> {
    const over = this.#link.overBecause;
    if (over) throw over;
    if (this.state !== "connected") throw new NexusError("NOT_SENT", "there is no connection", { retry: true });
    const { priority, ttl, correlationId, traceparent, tracestate } = options;
    const id = this.#link.nextId();
    const body = { channel, event_type: eventType, payload, priority, ttl, correlation_id: correlationId, traceparent, tracestate };
    const frame = { type: "Publish", id, payload: body };
    // The server would close a connection that sends it more.
    if (new TextEncoder().encode(JSON.stringify(frame)).length > this.#maxFrameBytes) {
      throw new NexusError("PAYLOAD_TOO_LARGE", `a frame may have ${this.#maxFrameBytes} bytes`);
    }
    if (this.#publishes.isFull) throw this.#publishes.full();
    if (!this.#link.send(frame)) throw new NexusError("NOT_SENT", "the connection takes nothing more", { retry: true });
    if (this.#link.overBecause) throw this.#link.overBecause; // a listener for frames closed the client
    return await this.#publishes.add(id, frame);
  }

  #ask(names: readonly string[]): void {
    this.#link.sendAll(this.#channels.ask(names, this.#link.nextId));
  }

  #addressOf(token: string): string {
    const { owner } = claimsOf(token);
    // A provider may come with the token of somebody else: nothing of the one before counts then.
    if (owner !== undefined && this.#owner !== undefined && owner !== this.#owner) {
      this.#positions.clear();
      this.#autoAck?.forget();
    }
    this.#owner = owner ?? this.#owner;
    const cursor = this.#positions.query();
    if (cursor === undefined) return this.#settings.socketUrl;
    const url = new URL(this.#settings.socketUrl);
    url.searchParams.set("cursor", cursor);
    return url.href;
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
        if (!this.#leaves.answer(frame.id, undefined)) this.#onUnsubscribed(frame.payload);
        break;
      case "acked":
        this.#acks.answer(frame.id, undefined);
        break;
      case "published":
        this.#publishes.answer(frame.id, { notificationId: frame.notification_id, deliveredTo: frame.delivered_to });
        break;
      case "refreshed":
        this.#link.refreshed(frame.id);
        break;
      case "error":
        this.#onError(frame);
        break;
      case "shutdown":
        this.#link.comeBackIn(frame.reconnect_after_seconds * 1000);
        this.#events.emit("shutdown", { reason: frame.reason, reconnectAfterSeconds: frame.reconnect_after_seconds });
        break;
      case "gap":
        this.#positions.move(frame.stream, frame);
        if (frame.stream === "user") this.#autoAck?.join(frame);
        this.#events.emit("gap", gapOf(frame.stream, frame.reason));
        break;
      case "resumed":
      case "pong":
      case "heartbeat":
        break; // the connection has noted that the server is there
      default:
        frame satisfies never;
    }
  }

  #onConnected({ type: _type, ...facts }: FrameOf<"connected">): void {
    this.#maxFrameBytes = facts.max_frame_bytes;
    const losses = facts.streams.flatMap((state) => {
      const wasHeld = this.#positions.get(state.stream) !== undefined;
      this.#positions.join(state);
      if (state.stream === "user") this.#autoAck?.join(state);
      return (wasHeld && lossOf(state.stream, state)) || [];
    });
    this.#link.accepted();
    this.#ask(this.#channels.names());
    this.#link.sendAll(this.#acks.frames());
    if (this.state !== "connected") return; // it took nothing, and is over already
    this.#events.emit("connected", facts);
    for (const loss of losses) this.#events.emit("gap", loss);
    this.#link.ready();
  }

  #onNotification({ type: _type, ...notification }: FrameOf<"notification">): void {
    const { stream, id, offset } = notification;
    this.#positions.advance(stream, offset);
    if (!this.#duplicates.isNew(stream, id)) return;
    const handlers = this.#channels.handlersOf(notification);
    const done = this.#events.has("notification") && this.#events.deliver("notification", notification);
    for (const handler of handlers) void this.#events.guard(() => handler(notification), `channel ${stream}`);
    if (stream === "user" && offset !== undefined) this.#autoAck?.track(id, offset, done);
  }

  #onSubscribed({ id, payload, streams = [] }: FrameOf<"subscribed">): void {
    for (const gap of this.#channels.confirm(id, payload, streams)) this.#events.emit("gap", gap);
    for (const channel of payload) {
      const state = streams.find(({ stream }) => channelOf(stream) === channel);
      this.#events.emit("subscribed", state ? { channel, state } : { channel });
    }
  }

  #onUnsubscribed(names: readonly string[]): void {
    for (const channel of names) {
      const error = new NexusError("FORBIDDEN", `the token does not cover ${channel} any more`);
      if (this.#channels.end(channel, error)) this.#events.emit("unsubscribed", { channel, error });
    }
  }

  #onError({ id, code, message, retry }: FrameOf<"error">): void {
    const error = new NexusError(code, message, { retry });
    if (this.#link.refreshRefused(id, error)) return;
    if ([this.#acks, this.#leaves, this.#publishes].some((requests) => requests.refuse(id, error))) return;
    const refused = this.#channels.refuse(id, error);
    if (!refused) return void this.#events.emit("error", error);
    for (const channel of refused.lost) this.#events.emit("unsubscribed", { channel, error });
    if (refused.again.length === 0) return;
    const { random, backoff } = this.#settings;
    const waitMs = backoffMs(ASK_AGAIN_AFTER, random(), backoff);
    this.#askAgain = setTimeout(() => this.#ask(this.#channels.open(refused.again)), waitMs);
  }

  #onLost(): void {
    clearTimeout(this.#askAgain);
    this.#autoAck?.pause();
    this.#channels.reset();
    this.#leaves.answerAll(undefined);
    this.#publishes.failAll(new NexusError("UNANSWERED", "the connection ended before the answer"));
  }

  #onOver(error: NexusError): void {
    clearTimeout(this.#askAgain);
    this.#autoAck?.flush();
    this.#channels.failAll(error);
    for (const requests of [this.#acks, this.#leaves, this.#publishes]) requests.failAll(error);
  }
}

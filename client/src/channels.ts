// Why: which channels the application wants, and what the server said about each. Wishes outlive connections: a new one is
// told all of them, with the last place seen where the channel keeps history. No I/O; it must never judge holes by itself.
import type { FrameId, StreamState, WirePosition } from "@nexus/protocol/frames.ts";
import { NexusError } from "./error.ts";
import type { Gap, Notification } from "./events.ts";
import { channelOf, channelStream } from "./frames.ts";

export type ChannelHandler = (notification: Notification) => void;
type Waiter = { readonly resolve: (state: StreamState | undefined) => void; readonly reject: (error: NexusError) => void };

type Channel = {
  readonly handlers: Set<ChannelHandler>;
  waiters: Waiter[];
  confirmed: boolean;
  state: StreamState | undefined;
  /** Where the next Subscribe resumes from. */
  position: WirePosition | undefined;
};

/** Names in one Subscribe frame; well below any frame limit. */
const NAMES_PER_FRAME = 50;

export class Channels {
  readonly #channels = new Map<string, Channel>();
  /** Names of each Subscribe that was not answered whole yet; `since` holds those that asked to resume. */
  readonly #asked = new Map<FrameId, { readonly names: Set<string>; readonly since: ReadonlySet<string> }>();

  names(): readonly string[] {
    return [...this.#channels.keys()];
  }

  /** `isNew`: a Subscribe has to be sent. `ready` settles with the server's answer. */
  add(name: string, handler: ChannelHandler): { readonly isNew: boolean; readonly ready: Promise<StreamState | undefined> } {
    let channel = this.#channels.get(name);
    const isNew = channel === undefined;
    channel ??= { handlers: new Set(), waiters: [], confirmed: false, state: undefined, position: undefined };
    this.#channels.set(name, channel);
    channel.handlers.add(handler);
    if (channel.confirmed) return { isNew, ready: Promise.resolve(channel.state) };
    const { waiters } = channel;
    return { isNew, ready: new Promise((resolve, reject) => waiters.push({ resolve, reject })) };
  }

  /** True when that was the last handler and an Unsubscribe has to be sent. Without a handler all go. */
  remove(name: string, handler?: ChannelHandler): boolean {
    const channel = this.#channels.get(name);
    if (!channel) return false;
    if (handler) channel.handlers.delete(handler);
    if (handler && channel.handlers.size > 0) return false;
    this.#channels.delete(name);
    for (const { reject } of channel.waiters) reject(new NexusError("CLOSED", `${name} was unsubscribed`));
    return true;
  }

  /** The frames that ask for `names`, to be sent in order. Call `reset` first on a new connection. */
  ask(names: readonly string[], nextId: () => string): readonly object[] {
    const frames: object[] = [];
    for (let at = 0; at < names.length; at += NAMES_PER_FRAME) {
      const part = names.slice(at, at + NAMES_PER_FRAME);
      const id = nextId();
      const since = new Set(part.filter((name) => this.#channels.get(name)?.position));
      this.#asked.set(id, { names: new Set(part), since });
      const channels = part.map((name) => {
        const position = this.#channels.get(name)?.position;
        return position ? { name, since: position } : name;
      });
      frames.push({ type: "Subscribe", id, payload: { channels } });
    }
    return frames;
  }

  /** A connection ended: nothing is confirmed any more, and open questions will not be answered. */
  reset(): void {
    this.#asked.clear();
    for (const channel of this.#channels.values()) channel.confirmed = false;
  }

  /** The server confirmed names; answers the gaps of those that wanted to resume and were not. */
  confirm(id: FrameId | undefined, names: readonly string[], streams: readonly StreamState[]): readonly Gap[] {
    const asked = id === undefined ? undefined : this.#asked.get(id);
    const gaps: Gap[] = [];
    for (const name of names) {
      asked?.names.delete(name);
      const channel = this.#channels.get(name);
      if (!channel) continue;
      const state = streams.find(({ stream }) => stream === channelStream(name));
      if (asked?.since.has(name) && state?.outcome !== "recovered") {
        gaps.push({ stream: channelStream(name), channel: name, reason: state?.reason ?? "not_resumed" });
      }
      channel.confirmed = true;
      channel.state = state;
      channel.position = state && { epoch: state.epoch, offset: state.offset };
      for (const { resolve } of channel.waiters.splice(0)) resolve(state);
    }
    if (id !== undefined && asked?.names.size === 0) this.#asked.delete(id);
    return gaps;
  }

  /** An error answered a Subscribe: the names it did not confirm are refused. False when the id is none of ours. */
  refuse(id: unknown, error: NexusError): boolean {
    if (typeof id !== "string") return false;
    const asked = this.#asked.get(id);
    if (!asked) return false;
    this.#asked.delete(id);
    for (const name of asked.names) {
      const channel = this.#channels.get(name);
      if (!channel || channel.confirmed) continue;
      this.#channels.delete(name);
      for (const { reject } of channel.waiters) reject(error);
    }
    return true;
  }

  /** Notes where the channel's stream stands, and gives the handlers to call. */
  take(notification: Notification): readonly ChannelHandler[] {
    const name = channelOf(notification.stream);
    const channel = name === undefined ? undefined : this.#channels.get(name);
    if (!channel) return [];
    if (channel.position && notification.offset !== undefined && notification.offset > channel.position.offset) {
      channel.position = { epoch: channel.position.epoch, offset: notification.offset };
    }
    return [...channel.handlers];
  }

  /** A gap moves the place to resume from: what is before it is lost. */
  move(stream: string, position: WirePosition): void {
    const name = channelOf(stream);
    const channel = name === undefined ? undefined : this.#channels.get(name);
    if (channel?.position) channel.position = position;
  }

  failAll(error: NexusError): void {
    for (const channel of this.#channels.values()) for (const { reject } of channel.waiters.splice(0)) reject(error);
    this.#channels.clear();
    this.#asked.clear();
  }
}

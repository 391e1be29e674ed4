// Why: which channels the application wants, and what the server said about each. Wishes outlive connections: a new one is
// told all of them, with the last place seen where the channel keeps history. No I/O; it must never judge holes by itself.
import type { FrameId, StreamState } from "@nexus/protocol/frames.ts";
import { NexusError } from "./error.ts";
import type { Gap, Notification } from "./events.ts";
import { channelOf, channelStream } from "./frames.ts";
import { lossOf, type Positions } from "./positions.ts";

/** What it returns is awaited only to hear of its failure. */
export type ChannelHandler = (notification: Notification) => unknown;
/** Names of a refused Subscribe: `lost` are over and nobody waits for them, `again` are worth another try. */
export type Refused = { readonly lost: readonly string[]; readonly again: readonly string[] };
type Waiter = { readonly resolve: (state: StreamState | undefined) => void; readonly reject: (error: NexusError) => void };

type Channel = {
  readonly handlers: Set<ChannelHandler>;
  waiters: Waiter[];
  /** On this connection. */
  confirmed: boolean;
  /** On any connection. */
  wasConfirmed: boolean;
  state: StreamState | undefined;
};

/** Names in one Subscribe frame; well below any frame limit. */
const NAMES_PER_FRAME = 50;

export class Channels {
  readonly #positions: Positions;
  readonly #channels = new Map<string, Channel>();
  /** Names of each Subscribe that was not answered whole yet; `held` are those that had a place before it. */
  readonly #asked = new Map<FrameId, { readonly names: Set<string>; readonly held: ReadonlySet<string> }>();

  constructor(positions: Positions) {
    this.#positions = positions;
  }

  names(): readonly string[] {
    return [...this.#channels.keys()];
  }

  /** `isNew`: a Subscribe has to be sent. `ready` settles with the server's answer. */
  add(name: string, handler: ChannelHandler): { readonly isNew: boolean; readonly ready: Promise<StreamState | undefined> } {
    let channel = this.#channels.get(name);
    const isNew = channel === undefined;
    channel ??= { handlers: new Set(), waiters: [], confirmed: false, wasConfirmed: false, state: undefined };
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
    this.#drop(name, channel, new NexusError("CLOSED", `${name} was unsubscribed`));
    return true;
  }

  /** The server ended it. False when it was not wanted anyway. */
  end(name: string, error: NexusError): boolean {
    const channel = this.#channels.get(name);
    if (channel) this.#drop(name, channel, error);
    return channel !== undefined;
  }

  #drop(name: string, { waiters }: Channel, error: NexusError): void {
    this.#channels.delete(name);
    this.#positions.forget(channelStream(name));
    for (const { reject } of waiters) reject(error);
  }

  /** The frames that ask for `names`, to be sent in order. Call `reset` first on a new connection. */
  ask(names: readonly string[], nextId: () => string): readonly object[] {
    const frames: object[] = [];
    for (let at = 0; at < names.length; at += NAMES_PER_FRAME) {
      const part = names.slice(at, at + NAMES_PER_FRAME);
      const id = nextId();
      const held = new Set(part.filter((name) => this.#positions.get(channelStream(name))));
      this.#asked.set(id, { names: new Set(part), held });
      const channels = part.map((name) => {
        const since = this.#positions.since(channelStream(name));
        return since ? { name, since } : name;
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

  /** The server confirmed names; answers what is lost on those that were held before. */
  confirm(id: FrameId | undefined, names: readonly string[], streams: readonly StreamState[]): readonly Gap[] {
    const asked = id === undefined ? undefined : this.#asked.get(id);
    const gaps: Gap[] = [];
    for (const name of names) {
      asked?.names.delete(name);
      const channel = this.#channels.get(name);
      if (!channel) continue;
      const state = streams.find(({ stream }) => stream === channelStream(name));
      const loss = asked?.held.has(name) ? lossOf(channelStream(name), state) : undefined;
      if (loss) gaps.push(loss);
      channel.confirmed = true;
      channel.wasConfirmed = true;
      channel.state = state;
      if (state) this.#positions.join(state);
      else this.#positions.forget(channelStream(name));
      for (const { resolve } of channel.waiters.splice(0)) resolve(state);
    }
    if (id !== undefined && asked?.names.size === 0) this.#asked.delete(id);
    return gaps;
  }

  /** An error answered a Subscribe: the names it did not confirm are refused. Undefined when the id is none of ours. */
  refuse(id: unknown, error: NexusError): Refused | undefined {
    const asked = typeof id === "string" ? this.#asked.get(id) : undefined;
    if (!asked || typeof id !== "string") return undefined;
    this.#asked.delete(id);
    const [lost, again]: [string[], string[]] = [[], []];
    for (const name of asked.names) {
      const channel = this.#channels.get(name);
      if (!channel || channel.confirmed) continue;
      // A channel the application holds already is not given up for a moment's trouble of the server.
      if (error.retry && channel.wasConfirmed) again.push(name);
      else {
        if (channel.wasConfirmed) lost.push(name);
        this.#drop(name, channel, error);
      }
    }
    return { lost, again };
  }

  /** Those of `names` that are still wanted and not confirmed. */
  open(names: readonly string[]): readonly string[] {
    return names.filter((name) => this.#channels.get(name)?.confirmed === false);
  }

  /** The handlers to call. */
  handlersOf({ stream }: Notification): readonly ChannelHandler[] {
    const name = channelOf(stream);
    const channel = name === undefined ? undefined : this.#channels.get(name);
    return channel ? [...channel.handlers] : [];
  }

  failAll(error: NexusError): void {
    for (const channel of this.#channels.values()) for (const { reject } of channel.waiters.splice(0)) reject(error);
    this.#channels.clear();
    this.#asked.clear();
  }
}

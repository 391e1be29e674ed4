// Why: listeners are told in the order they were added, and one that throws hurts nobody else. It must never lose an
// error: what a listener throws comes out as an `error` event, or is reported to the runtime when nobody listens.
import type { ServerFrame, StreamState } from "@nexus/protocol/frames.ts";
import { NexusError } from "./error.ts";

type Narrow<F, T> = F extends { readonly type: infer U } ? (T extends U ? F : never) : never;
export type FrameOf<T extends ServerFrame["type"]> = Narrow<ServerFrame, T>;
export type Notification = Omit<FrameOf<"notification">, "type">;
export type Connected = Omit<FrameOf<"connected">, "type">;

/**
 * - `disconnected`: not started yet, or waiting to try again. `connecting`: a socket is being opened.
 * - `connected`: the server said so. `closed`: for good, by `close()` or because coming back would not help.
 */
export type ConnectionState = "disconnected" | "connecting" | "connected" | "closed";

export type StateChange = {
  readonly state: ConnectionState;
  readonly previous: ConnectionState;
  /** Close code of the connection that ended, if one did. */
  readonly code?: number;
  /** Why, for people. */
  readonly reason?: string;
  /** While `disconnected`: when the next attempt starts. */
  readonly retryInMs?: number;
};

/**
 * Entries of `stream` may be missing and do not come by themselves: fetch what matters again. `channel` is set for a
 * channel's stream. `reason`: the server's, or `not_kept` after a reconnect where the stream has no history.
 */
export type Gap = { readonly stream: string; readonly channel?: string; readonly reason: string; readonly recovered: false };

export type ClientEvents = {
  readonly state: StateChange;
  readonly connected: Connected;
  /** Every notification once per stream, whatever its stream. */
  readonly notification: Notification;
  /** After a reconnect every stream either goes on where it stood, or is told here, once. */
  readonly gap: Gap;
  readonly subscribed: { readonly channel: string; readonly state?: StreamState };
  /** The server ended a subscription that nobody waits for: a new token does not cover it any more, for example. */
  readonly unsubscribed: { readonly channel: string; readonly error: NexusError };
  /** The server is going away and said when to come back. */
  readonly shutdown: { readonly reason: string; readonly reconnectAfterSeconds: number };
  /** What no call of yours was waiting for. */
  readonly error: NexusError;
  /** Every frame as it passes, for consoles and tests; a token is never in one (a `Refresh` is shown without it). */
  readonly frame: { readonly direction: "in" | "out"; readonly frame: unknown };
};

/** What it returns is awaited only to hear of its failure, and by `ack: "auto"`. */
export type Listener<T> = (event: T) => unknown;

export class Emitter {
  readonly #listeners = new Map<keyof ClientEvents, Set<Listener<never>>>();

  /** Returns how to stop listening. */
  on<K extends keyof ClientEvents>(name: K, listener: Listener<ClientEvents[K]>): () => void {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(listener));
    return () => void set.delete(listener);
  }

  has(name: keyof ClientEvents): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  emit<K extends keyof ClientEvents>(name: K, event: ClientEvents[K]): void {
    void this.deliver(name, event);
  }

  /** As `emit`; true when every listener is through with it and none failed, or a promise of that while one still works. */
  deliver<K extends keyof ClientEvents>(name: K, event: ClientEvents[K]): boolean | Promise<boolean> {
    let allDone = true;
    const working: Promise<boolean>[] = [];
    // The map holds under `name` only what `on` put there for that name.
    for (const listener of [...(this.#listeners.get(name) ?? [])] as Listener<ClientEvents[K]>[]) {
      const done = this.guard(() => listener(event), name);
      if (typeof done === "boolean") allDone &&= done;
      else working.push(done);
    }
    if (working.length === 0) return allDone;
    return Promise.all(working).then((results) => allDone && results.every(Boolean));
  }

  /** Runs code of the application; what it throws, or rejects with, becomes an `error` event. As {@link deliver} answers. */
  guard(run: () => unknown, where: string): boolean | Promise<boolean> {
    try {
      const result = run();
      if (!(result instanceof Promise)) return true;
      return result.then(
        () => true,
        (cause: unknown) => this.#failed(where, cause),
      );
    } catch (cause) {
      return this.#failed(where, cause);
    }
  }

  #failed(where: string, cause: unknown): false {
    // An error listener that fails must not be told about itself for ever.
    if (where === "error" || !this.has("error")) reportLater(cause);
    else this.emit("error", new NexusError("HANDLER", `a listener for ${where} failed`, { cause }));
    return false;
  }
}

/** As if the application had thrown it by itself: the runtime shows it, the connection goes on. */
function reportLater(cause: unknown): void {
  queueMicrotask(() => {
    throw cause;
  });
}

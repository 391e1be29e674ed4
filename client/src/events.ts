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

/** Entries of `stream` may be missing: fetch what matters again. `channel` is set for a channel's stream. */
export type Gap = { readonly stream: string; readonly channel?: string; readonly reason: string };

export type ClientEvents = {
  readonly state: StateChange;
  readonly connected: Connected;
  /** Every notification once per stream, whatever its stream. */
  readonly notification: Notification;
  readonly gap: Gap;
  readonly subscribed: { readonly channel: string; readonly state?: StreamState };
  /** The server is going away and said when to come back. */
  readonly shutdown: { readonly reason: string; readonly reconnectAfterSeconds: number };
  /** What no call of yours was waiting for. */
  readonly error: NexusError;
  /** Every frame as it passes, for consoles and tests; a token is never in one. */
  readonly frame: { readonly direction: "in" | "out"; readonly frame: unknown };
};

type Listener<T> = (event: T) => void;

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
    // The map holds under `name` only what `on` put there for that name.
    for (const listener of [...(this.#listeners.get(name) ?? [])] as Listener<ClientEvents[K]>[]) {
      this.guard(() => listener(event), name);
    }
  }

  /** Runs code of the application; what it throws becomes an `error` event. */
  guard(run: () => void, where: string): void {
    try {
      run();
    } catch (cause) {
      const error = new NexusError("HANDLER", `a listener for ${where} threw`, { cause });
      // An error listener that throws must not be told about itself for ever.
      if (where === "error" || !this.has("error")) reportLater(cause);
      else this.emit("error", error);
    }
  }
}

/** As if the application had thrown it by itself: the runtime shows it, the connection goes on. */
function reportLater(cause: unknown): void {
  queueMicrotask(() => {
    throw cause;
  });
}

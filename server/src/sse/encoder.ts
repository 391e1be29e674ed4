// Why: what an SSE connection gets for a frame (WHATWG HTML section 9.2): the same object as over a WebSocket, with the
// cursor of all its streams as `id`. It must never write a line break that is not its own: our JSON has none.
import { encodeHashes } from "@nexus/protocol/cursor.ts";
import { type Frame, NOWHERE, type Place } from "../core/frame.ts";
import type { FrameEncoder } from "../core/session.ts";

/** One event. `id` is a cursor, `retryMs` how long the client waits before it comes back. */
export function encodeEvent(type: string, data: string, { id, retryMs }: { readonly id?: string; readonly retryMs?: number } = {}): string {
  const retry = retryMs === undefined ? "" : `retry: ${retryMs}\n`;
  return `${retry}event: ${type}\n${id === undefined ? "" : `id: ${id}\n`}data: ${data}\n\n`;
}

/** A comment goes with every heartbeat: some proxies count only bytes that are no event. */
const COMMENT = ":\n\n";

/** One per connection: it keeps where the connection stands. */
export class SseEncoder implements FrameEncoder {
  readonly #retryMs: number;
  /** Streams with history only, in the order they were joined. A list: most have two or three. */
  #places: Place[] = [];

  /** `retryMs`: told with `connected`. */
  constructor(retryMs: number) {
    this.#retryMs = retryMs;
  }

  encode({ type, text, entry, places }: Frame): string {
    if (entry) {
      if (!entry.position) return encodeEvent(type, text);
      this.#stand({ fan: entry.fan, position: entry.position });
      return encodeEvent(type, text, this.#cursor());
    }
    for (const place of places ?? []) this.#stand(place);
    switch (type) {
      case "connected":
        return encodeEvent(type, text, { ...this.#cursor(), retryMs: this.#retryMs });
      case "shutdown":
        return encodeEvent(type, text, { retryMs: Math.round(reconnectSeconds(text) * 1000) });
      case "heartbeat":
        return COMMENT + encodeEvent(type, text);
      default:
        return encodeEvent(type, text, places ? this.#cursor() : {});
    }
  }

  #stand(place: Place): void {
    const at = this.#places.findIndex(({ fan }) => fan === place.fan);
    if (place.position.epoch === NOWHERE.epoch) {
      if (at >= 0) this.#places.splice(at, 1);
    } else if (at >= 0) this.#places[at] = place;
    else this.#places.push(place);
  }

  /** Streams that were joined last are left out when a cursor would be too long: they start fresh, and are told so. */
  #cursor(): { readonly id?: string } {
    for (let count = this.#places.length; count > 0; count--) {
      const id = encodeHashes(this.#places.slice(0, count).map(({ fan, position }) => [fan.hash, position] as const));
      if (id !== undefined) return { id };
    }
    return {};
  }
}

function reconnectSeconds(text: string): number {
  const frame: unknown = JSON.parse(text); // our own text
  const seconds = typeof frame === "object" && frame !== null && "reconnect_after_seconds" in frame ? frame.reconnect_after_seconds : 0;
  return typeof seconds === "number" ? seconds : 0;
}

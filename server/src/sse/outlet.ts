// Why: an SSE response as core's outlet. Bun takes what is pushed into a stream without end, so this one counts what waits
// and says so; core stops writing then. It must never hold more than what core wrote in one go.
import type { Outlet } from "../core/outlet.ts";

/** What may wait in the stream before it counts as buffering, in bytes. */
const HIGH_WATER_BYTES = 16_384;

export type SseOutlet = Outlet & { readonly body: ReadableStream<Uint8Array> };

export type SseOutletEvents = {
  /** What waited has been taken. */
  readonly onDrain: () => void;
  /** The client is gone. */
  readonly onGone: () => void;
};

export function createSseOutlet({ onDrain, onGone }: SseOutletEvents): SseOutlet {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let isOpen = true;
  let corked: string[] | undefined;
  let wasBuffering = false;
  const buffered = () => (isOpen && controller ? Math.max(0, HIGH_WATER_BYTES - (controller.desiredSize ?? 0)) : 0);
  const push = (text: string) => {
    controller?.enqueue(new TextEncoder().encode(text));
    wasBuffering ||= buffered() > 0;
  };
  const end = () => {
    if (!isOpen) return;
    isOpen = false;
    controller?.close();
    controller = undefined;
  };
  const body = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull() {
        if (!wasBuffering || buffered() > 0) return;
        wasBuffering = false;
        onDrain();
      },
      cancel() {
        isOpen = false;
        controller = undefined;
        onGone();
      },
    },
    { highWaterMark: HIGH_WATER_BYTES, size: (chunk) => chunk?.byteLength ?? 0 },
  );
  return {
    body,
    send(text) {
      if (!isOpen) return 0;
      if (corked) corked.push(text);
      else push(text);
      return text.length;
    },
    cork(callback) {
      corked = [];
      callback();
      const text = corked.join("");
      corked = undefined;
      if (isOpen && text !== "") push(text);
    },
    getBufferedAmount: buffered,
    close: end,
    terminate: end,
    pause: () => undefined,
    resume: () => undefined,
    ping: () => 1,
  };
}

// Why: all that core knows of a connection. A Bun socket satisfies it as it is; SSE will by a thin object.
// It must never grow a method that only one transport can keep.

/** One connection, as bytes out. No method throws after the connection is gone. */
export type Outlet = {
  /**
   * > 0: written. -1: accepted, and the connection now buffers. 0: not accepted (closed, or its buffer is full).
   * `compress`: worth it, where the client asked for compression.
   */
  send(text: string, compress?: boolean): number;
  /** `reason` is at most 123 bytes of UTF-8. */
  close(code: number, reason: string): void;
  /** Ends the connection without a word, giving back everything at once. Does nothing after `close`. */
  terminate(): void;
  /** Writes of the callback leave together. */
  cork(callback: () => void): void;
  /** Bytes the connection still buffers. */
  getBufferedAmount(): number;
  /** Stops and starts reading what the client sends; what was already read still arrives. */
  pause(): void;
  resume(): void;
  /** Asks for a sign of life; what `send` answers. */
  ping(): number;
};

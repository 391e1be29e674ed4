// Why: thousands of listeners in one process that must cost less than the server they measure: WebSockets and SSE streams
// on bare TCP, which count frames without decoding them. It must never fall behind silently: what it did not read waits in
// the server's queues and shows there.
import type { Socket } from "bun";

export type ListenersOptions = {
  readonly url: string;
  readonly count: number;
  /** Path and query of a connection. */
  readonly pathOf: (index: number) => string;
  /** Lines of the request's head, each with its line break. */
  readonly headers?: (index: number) => string;
  /** Sent when a WebSocket is open; one frame is awaited as the answer. Absent: ready with the handshake. */
  readonly greet?: (index: number) => string;
  /** Handshakes at once. */
  readonly atOnce?: number;
  /** These many connections decode what they get. */
  readonly sampled?: number;
  readonly onSample?: (text: string) => void;
};

export type Listeners = AsyncDisposable & {
  /** Frames (WebSocket) or events (SSE) received since the start. */
  received(): number;
  /** Connections that ended by themselves. */
  lost(): number;
  /** Sends a text frame on one connection. */
  send(index: number, text: string): void;
};

type State = {
  readonly index: number;
  phase: "handshake" | "greeted" | "open";
  rest: Buffer | undefined;
  readonly isSse: boolean;
  /** Bytes of the current frame that are still to come. */
  skip: number;
  ready: () => void;
  failed: (error: Error) => void;
};

const HEAD_END = Buffer.from("\r\n\r\n");

/** Opens all connections and resolves when every one is ready. */
export async function openListeners(options: ListenersOptions): Promise<Listeners> {
  const { url, count, greet, atOnce = 200, sampled = 0, onSample } = options;
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket<State>>();
  let received = 0;
  let lost = 0;
  let closing = false;

  function take(socket: Socket<State>, chunk: Buffer): void {
    const state = socket.data;
    if (state.phase === "handshake") {
      const all = state.rest ? Buffer.concat([state.rest, chunk]) : Buffer.from(chunk);
      const end = all.indexOf(HEAD_END);
      if (end < 0) {
        state.rest = all;
        return;
      }
      state.rest = undefined;
      const status = all.subarray(9, 12).toString("latin1");
      if (status !== "101" && status !== "200") {
        state.failed(new Error(`the server answered ${status}`));
        return;
      }
      const text = state.isSse ? undefined : greet?.(state.index);
      state.phase = text === undefined ? "open" : "greeted";
      if (text !== undefined) socket.write(textFrame(text));
      else state.ready();
      const left = all.subarray(end + 4);
      if (left.length > 0) take(socket, left);
      return;
    }
    const before = received;
    if (state.index < sampled) sample(state, chunk);
    else if (state.isSse) received += countEvents(chunk);
    else skipFrames(state, chunk);
    if (state.phase === "greeted" && received > before) {
      state.phase = "open";
      state.ready();
    }
  }

  function skipFrames(state: State, chunk: Buffer): void {
    let at = state.skip;
    if (state.rest) {
      chunk = Buffer.concat([state.rest, chunk]);
      state.rest = undefined;
    }
    while (at < chunk.length) {
      const short = (chunk[at + 1] ?? 0) & 0x7f;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (at + head > chunk.length) {
        state.rest = Buffer.from(chunk.subarray(at));
        state.skip = 0;
        return;
      }
      const length = short === 126 ? chunk.readUInt16BE(at + 2) : short === 127 ? Number(chunk.readBigUInt64BE(at + 2)) : short;
      at += head + length;
      received++;
    }
    state.skip = at - chunk.length;
  }

  function sample(state: State, chunk: Buffer): void {
    let all = state.rest ? Buffer.concat([state.rest, chunk]) : chunk;
    for (;;) {
      const frame = state.isSse ? takeEvent(all) : takeFrame(all);
      if (!frame) break;
      all = frame.rest;
      received++;
      onSample?.(frame.text);
    }
    state.rest = all.length > 0 ? Buffer.from(all) : undefined;
  }

  const open = (index: number) =>
    new Promise<void>((resolve, reject) => {
      const path = options.pathOf(index);
      const isSse = path.startsWith("/sse");
      const upgrade = isSse
        ? ""
        : "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
      void Bun.connect<State>({
        hostname,
        port: Number(port),
        data: { index, phase: "handshake", rest: undefined, isSse, skip: 0, ready: resolve, failed: reject },
        socket: {
          open(socket) {
            sockets.add(socket);
            socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n${upgrade}${options.headers?.(index) ?? ""}\r\n`);
          },
          data: take,
          close(socket) {
            sockets.delete(socket);
            if (!closing) lost++;
            socket.data.failed(new Error("the server closed the connection"));
          },
          error: (_socket, error) => reject(error),
        },
      }).catch(reject);
    });

  let next = 0;
  const worker = async () => {
    while (next < count) await open(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
  return {
    received: () => received,
    lost: () => lost,
    send(index, text) {
      for (const socket of sockets) if (socket.data.index === index) socket.write(textFrame(text));
    },
    async [Symbol.asyncDispose]() {
      closing = true;
      for (const socket of sockets) socket.terminate();
      sockets.clear();
    },
  };
}

function countEvents(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf("\ndata: "); at >= 0; at = chunk.indexOf("\ndata: ", at + 7)) count++;
  return count;
}

function takeFrame(buffer: Buffer): { readonly text: string; readonly rest: Buffer } | undefined {
  const short = (buffer[1] ?? 0) & 0x7f;
  const head = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (buffer.length < head) return undefined;
  const length = short === 126 ? buffer.readUInt16BE(2) : short === 127 ? Number(buffer.readBigUInt64BE(2)) : short;
  if (buffer.length < head + length) return undefined;
  return { text: buffer.toString("utf8", head, head + length), rest: buffer.subarray(head + length) };
}

function takeEvent(buffer: Buffer): { readonly text: string; readonly rest: Buffer } | undefined {
  const start = buffer.indexOf("\ndata: ");
  const end = start < 0 ? -1 : buffer.indexOf("\n\n", start + 7);
  return end < 0 ? undefined : { text: buffer.toString("utf8", start + 7, end), rest: buffer.subarray(end + 2) };
}

/** A masked text frame with a mask of zeros (RFC 6455 section 5.2). */
export function textFrame(text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(body.length < 126 ? 6 : 8);
  head[0] = 0x81;
  if (body.length < 126) head[1] = 0x80 | body.length;
  else {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(body.length, 2);
  }
  return Buffer.concat([head, body]);
}

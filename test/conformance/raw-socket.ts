// Why: says on a WebSocket what no library would say: any bits, any opcode, any length form, in pieces of any size. It must
// never repair what it is told to send, and it keeps every bit of what comes back.
import { connect, type Socket } from "node:net";
import { eventually } from "../support/eventually.ts";

/** One frame as bits (RFC 6455 section 5.2). Absent: final, no reserved bits, masked, the shortest length form. */
export type RawFrame = {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  readonly fin?: boolean;
  /** The three reserved bits as a number; 4 is RSV1. */
  readonly reserved?: number;
  readonly masked?: boolean;
  /** Bytes of the length field: 1, 3 or 9 with the first. */
  readonly lengthBytes?: 1 | 3 | 9;
};

export type SeenFrame = { readonly opcode: number; readonly fin: boolean; readonly reserved: number; readonly payload: Buffer };

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Our protocol's Ping of exactly that many bytes, at least 22 (fewer: the shortest there is). */
export function sized(bytes: number): string {
  const empty = '{"type":"Ping","x":""}'.length;
  return bytes < empty ? '{"type":"Ping"}' : `{"type":"Ping","x":"${"x".repeat(bytes - empty)}"}`;
}

/** A text message in fragments of `size` bytes, with frames of control between them. */
export function fragments(payload: string | Uint8Array, size: number, between: readonly RawFrame[] = []): RawFrame[] {
  const bytes = Buffer.from(payload);
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }).flatMap((_, at) => [
    { opcode: at === 0 ? OPCODE.text : OPCODE.continuation, payload: bytes.subarray(at * size, (at + 1) * size), fin: at === count - 1 },
    ...(at === count - 1 ? [] : between),
  ]);
}

const WAIT = { intervalMs: 1 };

export class RawSocket implements AsyncDisposable {
  readonly seen: SeenFrame[] = [];
  readonly headers: ReadonlyMap<string, string>;
  isEnded = false;
  readonly #socket: Socket;
  #buffer: Buffer;

  private constructor(socket: Socket, headers: ReadonlyMap<string, string>, rest: Buffer) {
    this.#socket = socket;
    this.headers = headers;
    this.#buffer = rest;
    this.#read();
    socket.on("data", (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#read();
    });
    socket.on("close", () => {
      this.isEnded = true;
    });
  }

  /** @throws Error when the answer is not 101 */
  static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<RawSocket> {
    const { hostname, port, pathname, search } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    socket.on("error", () => socket.destroy()); // a reset is an end like any other here
    const all = { Host: hostname, Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Version": "13", ...headers };
    const lines = Object.entries({ ...all, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join("")}\r\n`);
    let received: Buffer = Buffer.alloc(0);
    const collect = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
    };
    socket.on("data", collect);
    const end = await eventually("the handshake's answer", () => received.indexOf("\r\n\r\n") + 1, WAIT);
    socket.off("data", collect);
    const [first = "", ...rest] = received
      .subarray(0, end - 1)
      .toString("latin1")
      .split("\r\n");
    if (!first.includes(" 101 ")) throw new Error(`the handshake was answered with ${first}`);
    const answered = rest.map(
      (line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()] as const,
    );
    return new RawSocket(socket, new Map(answered), received.subarray(end + 3));
  }

  /** Sends frames in one write, or in pieces of `chop` bytes, each a write of its own. */
  send(frames: readonly RawFrame[], chop?: number): void {
    const bytes = Buffer.concat(frames.map(encode));
    if (chop === undefined) this.#socket.write(bytes);
    else for (let at = 0; at < bytes.length; at += chop) this.#socket.write(bytes.subarray(at, at + chop));
  }

  /** Waits for the frame at this place of all that came. */
  frame(at: number): Promise<SeenFrame> {
    return eventually(`frame ${at}`, () => this.seen[at], WAIT);
  }

  /** The close frame that came, and that the server let go: code 1005 for one without a code, 1006 for none at all. */
  async closed(): Promise<{ readonly code: number; readonly reason: string }> {
    await eventually("the connection to end", () => this.isEnded, WAIT);
    const frame = this.seen.find(({ opcode }) => opcode === OPCODE.close);
    if (!frame) return { code: 1006, reason: "" };
    const { payload } = frame;
    return { code: payload.length < 2 ? 1005 : payload.readUInt16BE(0), reason: payload.subarray(2).toString() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await eventually("the socket to be gone", () => this.#socket.destroyed);
  }

  #read(): void {
    for (let frame = takeFrame(this.#buffer); frame; frame = takeFrame(this.#buffer)) {
      this.#buffer = frame.rest;
      this.seen.push(frame);
    }
  }
}

const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

function encode({ opcode, payload = "", fin = true, reserved = 0, masked = true, lengthBytes }: RawFrame): Buffer {
  const content = Buffer.from(payload);
  const { length } = content;
  const form = lengthBytes ?? (length < 126 ? 1 : length < 65_536 ? 3 : 9);
  const head = Buffer.alloc(1 + form);
  head[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (form === 1 ? length : form === 3 ? 126 : 127);
  if (form === 3) head.writeUInt16BE(length, 2);
  if (form === 9) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([head, content]);
  return Buffer.concat([head, MASK, content.map((byte, at) => byte ^ (MASK[at % 4] ?? 0))]);
}

function takeFrame(buffer: Buffer): (SeenFrame & { readonly rest: Buffer }) | undefined {
  if (buffer.length < 2) return undefined;
  const first = buffer[0] ?? 0;
  const second = buffer[1] ?? 0;
  if (second & 0x80) throw new Error("the server masked a frame (RFC 6455 section 5.1)");
  const head = second === 126 ? 4 : second === 127 ? 10 : 2;
  if (buffer.length < head) return undefined;
  const length = second === 126 ? buffer.readUInt16BE(2) : second === 127 ? Number(buffer.readBigUInt64BE(2)) : second;
  if (buffer.length < head + length) return undefined;
  const payload = Buffer.from(buffer.subarray(head, head + length));
  return { opcode: first & 0x0f, fin: (first & 0x80) !== 0, reserved: (first >> 4) & 7, payload, rest: buffer.subarray(head + length) };
}

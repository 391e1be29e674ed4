// Why: a WebSocket client on a bare TCP socket, so that a test can see the handshake's answer, refuse to read, send what
// no library would send, and lose no frame to a race: every frame waits until the test takes it.
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { eventually, PATIENCE_MS } from "./eventually.ts";

export type WireFrame = Record<string, unknown> & { readonly type: string };
export type HandshakeAnswer = { readonly status: number; readonly headers: ReadonlyMap<string, string>; readonly body: string };
export type WsOptions = {
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Of `https:` and `wss:` addresses: whom to trust (PEM) and the name to ask for. */
  readonly tls?: { readonly ca: string; readonly servername: string };
};

const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export class WsClient implements AsyncDisposable {
  readonly answer: HandshakeAnswer;
  readonly frames: WireFrame[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  /** Whether pings are answered; a client that is gone without a word does not. */
  answersPings = true;
  pings = 0;
  readonly #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, answer: HandshakeAnswer, rest: Buffer) {
    this.#socket = socket;
    this.answer = answer;
    socket.on("data", (chunk) => this.#read(chunk));
    socket.on("close", () => {
      this.closed ??= { code: 1006, reason: "" };
    });
    this.#read(rest);
  }

  /** Does the handshake and hands back whatever the server answered; `answer.status` is 101 when it is a socket. */
  static async connect(url: string, { protocols = [], headers = {}, tls }: WsOptions = {}): Promise<WsClient> {
    const { hostname, port, pathname, search } = new URL(url);
    const at = { host: hostname, port: Number(port) };
    const socket: Socket = tls ? connectTls({ ...at, ...tls }) : connect(at);
    socket.on("error", () => socket.destroy()); // a reset is an end like any other here
    const offered = protocols.length > 0 ? { "Sec-WebSocket-Protocol": protocols.join(", ") } : {};
    const all = { Host: `${hostname}:${port}`, Upgrade: "websocket", Connection: "Upgrade", ...offered, ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(
      `GET ${pathname}${search} HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${lines.join("")}\r\n`,
    );
    let received: Buffer = Buffer.alloc(0);
    const collect = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
    };
    socket.on("data", collect);
    const whole = () => parseAnswer(received) ?? (socket.destroyed ? "lost" : undefined);
    const answer = await eventually("the handshake's answer", whole, { intervalMs: 2 });
    if (answer === "lost") throw new Error(`the connection to ${hostname}:${port} ended before the handshake was answered`);
    socket.off("data", collect);
    if (answer.status !== 101) socket.destroy();
    return new WsClient(socket, answer, answer.status === 101 ? answer.rest : Buffer.alloc(0));
  }

  send(frame: unknown): void {
    this.raw(OPCODE.text, Buffer.from(typeof frame === "string" ? frame : JSON.stringify(frame)));
  }

  binary(bytes: Uint8Array): void {
    this.raw(OPCODE.binary, bytes);
  }

  /** One masked frame (RFC 6455 section 5.2), with a mask of zeros. */
  raw(opcode: number, payload: Uint8Array): void {
    const { length } = payload;
    const head = length < 126 ? Buffer.alloc(6) : length < 65536 ? Buffer.alloc(8) : Buffer.alloc(14);
    head[0] = 0x80 | opcode;
    head[1] = 0x80 | (length < 126 ? length : length < 65536 ? 126 : 127);
    if (head.length === 8) head.writeUInt16BE(length, 2);
    if (head.length === 14) head.writeBigUInt64BE(BigInt(length), 2);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  /** Takes the oldest frame of a type, waiting for it. */
  next(type: string, timeoutMs = PATIENCE_MS): Promise<WireFrame> {
    return eventually(
      `a ${type} frame`,
      () => {
        const at = this.frames.findIndex((frame) => frame.type === type);
        return at < 0 ? undefined : this.frames.splice(at, 1)[0];
      },
      { intervalMs: 2, timeoutMs },
    );
  }

  /** Sends a frame and takes its answer: proof that everything sent before has been dealt with. */
  async ask(frame: unknown, answer: string): Promise<WireFrame> {
    this.send(frame);
    return this.next(answer);
  }

  ending(timeoutMs = PATIENCE_MS): Promise<{ readonly code: number; readonly reason: string }> {
    return eventually("the connection to end", () => this.closed, { intervalMs: 2, timeoutMs });
  }

  /** Stops and starts reading, so that the kernel's buffers fill up. */
  stopReading(): void {
    this.#socket.pause();
  }

  startReading(): void {
    this.#socket.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.resume();
    this.#socket.destroy();
    await eventually("the socket to be gone", () => this.#socket.destroyed);
  }

  #read(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (let frame = takeFrame(this.#buffer); frame; frame = takeFrame(this.#buffer)) {
      this.#buffer = frame.rest;
      this.#take(frame.opcode, frame.payload);
    }
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE.text) this.frames.push(JSON.parse(payload.toString()) as WireFrame); // the server's frames all have a type
    if (opcode === OPCODE.ping) {
      this.pings++;
      if (this.answersPings) this.raw(OPCODE.pong, payload);
    }
    if (opcode !== OPCODE.close) return;
    this.closed = { code: payload.length >= 2 ? payload.readUInt16BE(0) : 1005, reason: payload.subarray(2).toString() };
    this.raw(OPCODE.close, payload.subarray(0, 2));
    this.#socket.end();
  }
}

function parseAnswer(received: Buffer): (HandshakeAnswer & { readonly rest: Buffer }) | undefined {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = received.subarray(0, end).toString("latin1").split("\r\n");
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]));
  const rest = received.subarray(end + 4);
  const length = Number(headers.get("content-length") ?? 0);
  if (rest.length < length) return undefined;
  return { status: Number(first.split(" ")[1]), headers, body: rest.subarray(0, length).toString(), rest: Buffer.from(rest) };
}

/** Servers do not mask (RFC 6455 section 5.1), and this one does not fragment. */
function takeFrame(buffer: Buffer): { readonly opcode: number; readonly payload: Buffer; readonly rest: Buffer } | undefined {
  if (buffer.length < 2) return undefined;
  const short = (buffer[1] ?? 0) & 0x7f;
  const head = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (buffer.length < head) return undefined;
  const length = short === 126 ? buffer.readUInt16BE(2) : short === 127 ? Number(buffer.readBigUInt64BE(2)) : short;
  if (buffer.length < head + length) return undefined;
  return { opcode: (buffer[0] ?? 0) & 0x0f, payload: buffer.subarray(head, head + length), rest: buffer.subarray(head + length) };
}

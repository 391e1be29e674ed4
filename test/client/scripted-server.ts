// Why: the odd turns of a connection (a server that says nothing, closes with any code, speaks nonsense) cannot be asked of
// a real server: here a test says frame by frame what happens. It keeps what the client sent until the test takes it.
import { eventually } from "../support/eventually.ts";

type Sent = { readonly type: string; readonly id?: string; readonly payload?: Record<string, unknown> };
export type Peer = {
  readonly token: string;
  /** `?cursor=` of the handshake. */
  readonly cursor: string | undefined;
  /** `performance.now()` of the handshake. */
  readonly at: number;
  readonly sent: Sent[];
  isClosed: boolean;
  send(frame: unknown): void;
  close(code: number, reason?: string): void;
  /** The next frame of this type that the test has not taken. */
  next(type: string): Promise<Sent>;
};

export type ScriptedServer = AsyncDisposable & {
  readonly url: string;
  readonly peers: readonly Peer[];
  /** The n-th connection, counted from 0. */
  peer(index: number): Promise<Peer>;
};

export const CONNECTED = {
  type: "connected",
  connection_id: "c",
  user_id: "ada",
  tenant_id: "default",
  heartbeat_seconds: 30,
  max_frame_bytes: 65536,
  streams: [],
} as const;

export type Script = {
  /** What each connection gets first; default {@link CONNECTED}. */
  readonly greet?: (peer: Peer) => void;
  /** Answered instead of the upgrade, by number of the attempt; undefined goes on with the upgrade. */
  readonly refuse?: (attempt: number) => Response | undefined;
  /** Status of `/sse`, where the client asks why. */
  readonly probe?: number;
  readonly protocol?: string;
};

export function scriptedServer({ greet = (peer) => peer.send(CONNECTED), refuse, probe = 501, protocol }: Script = {}): ScriptedServer {
  const peers: Peer[] = [];
  let attempts = 0;
  const server = Bun.serve<{ peer: Peer | undefined; token: string; cursor: string | undefined }>({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, listener) {
      if (new URL(request.url).pathname === "/sse") return new Response(null, { status: probe });
      const refusal = refuse?.(attempts++);
      if (refusal) return refusal;
      const offers = (request.headers.get("sec-websocket-protocol") ?? "").split(", ");
      const token = offers.find((offer) => offer.startsWith("nexus.token."))?.slice("nexus.token.".length) ?? "";
      const cursor = new URL(request.url).searchParams.get("cursor") ?? undefined;
      const headers = { "Sec-WebSocket-Protocol": protocol ?? offers[0] ?? "" };
      return listener.upgrade(request, { data: { peer: undefined, token, cursor }, headers })
        ? undefined
        : new Response(null, { status: 400 });
    },
    websocket: {
      open(socket) {
        const sent: Sent[] = [];
        const peer: Peer = {
          token: socket.data.token,
          cursor: socket.data.cursor,
          at: performance.now(),
          sent,
          isClosed: false,
          send: (frame) => void socket.send(typeof frame === "string" ? frame : JSON.stringify(frame)),
          close: (code, reason) => socket.close(code, reason),
          next: (type) =>
            eventually(
              `the client sends ${type}`,
              () => {
                const at = sent.findIndex((frame) => frame.type === type);
                return at < 0 ? undefined : sent.splice(at, 1)[0];
              },
              { intervalMs: 2 },
            ),
        };
        socket.data.peer = peer;
        peers.push(peer);
        greet(peer);
      },
      // The client under test sends objects with a type; anything else fails at its first use.
      message: (socket, message) => void socket.data.peer?.sent.push(JSON.parse(String(message)) as Sent),
      close: (socket) => {
        if (socket.data.peer) socket.data.peer.isClosed = true;
      },
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    peers,
    peer: (index) => eventually(`connection ${index}`, () => peers[index], { intervalMs: 2 }),
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

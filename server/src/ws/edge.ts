// Why: sockets on raw Bun.serve, because an Elysia wrapper would triple the memory of a silent one. It decodes a
// handshake, asks core, and hands the socket over as core's outlet. It must never hold a rule of its own.
import { FAILURES, type Refusal } from "@nexus/protocol/failures.ts";
import { SUBPROTOCOL } from "@nexus/protocol/frames.ts";
import type { Server, WebSocketHandler } from "bun";
import type { AddressOf } from "../core/client-address.ts";
import type { NexusNode } from "../core/node.ts";
import type { Ids, Log } from "../core/ports.ts";
import { problemResponse, refusalOf } from "../core/problem.ts";
import { resumePoints } from "../core/resume.ts";
import type { Session } from "../core/session.ts";
import { isUpgrade, readHandshake } from "./handshake.ts";

/** Above this Bun would drop what is sent. Core stops at the first write that does not leave, so it is never reached. */
const BACKPRESSURE_LIMIT_BYTES = 256 * 1024 * 1024;
/**
 * Bun gathers a message before core sees it, so what it gathers is bounded too: at this many times `limits.frameBytes` it
 * closes with 1009 by itself. Between the two core does, and counts it.
 */
const GATHERED_FRAMES = 2;
/** Bun's own bound. */
const MAX_IDLE_TIMEOUT_SECONDS = 960;
/** Close code of a socket that vanished (RFC 6455 section 7.1.5). */
const ABNORMAL_CLOSE = 1006;
/** What Bun says to us when it has closed with 1009 by itself; the code it says is 1006. */
const TOO_BIG = "Received too big message";

export type SocketEdgeDeps = { readonly node: NexusNode; readonly ids: Ids; readonly log: Log; readonly addressOf: AddressOf };

export type SocketEdge = {
  /** Answers a request for `/ws`; undefined when it became a socket. */
  upgrade(request: Request, server: Server<Session>): Promise<Response | undefined>;
  /** What Bun is to do with sockets under the limits that hold now; a listener that is reloaded with it uses it for all. */
  handler(limits: SocketLimits): WebSocketHandler<Session>;
};

export type SocketLimits = { readonly staleSeconds: number; readonly frameBytes: number };

/**
 * One for the listener's life. Silence is judged by core, for every transport alike; Bun's own timeout is twice as patient
 * and there for closed sockets whose peer never lets go, which without it would keep their descriptor for ever.
 */
export function createSocketEdge(deps: SocketEdgeDeps): SocketEdge {
  const { sessions } = deps.node;
  const guard = (session: Session, what: () => void) => {
    try {
      what();
    } catch (error) {
      deps.log.error("socket.failed", { sessionId: session.sessionId, error: String(error) });
      sessions.end(session, "internal");
    }
  };
  return {
    upgrade: (request, server) => upgrade(deps, request, server),
    handler: ({ staleSeconds, frameBytes }) => ({
      maxPayloadLength: GATHERED_FRAMES * frameBytes,
      backpressureLimit: BACKPRESSURE_LIMIT_BYTES,
      idleTimeout: Math.min(Math.max(2 * staleSeconds, 240), MAX_IDLE_TIMEOUT_SECONDS),
      sendPings: true,
      // Without a window of its own for each socket: negotiated where asked for, paid for by large frames only.
      perMessageDeflate: { compress: "shared", decompress: "shared" },
      open: (socket) => guard(socket.data, () => sessions.opened(socket.data, socket)),
      message: (socket, message) => guard(socket.data, () => sessions.received(socket.data, message)),
      drain: (socket) => guard(socket.data, () => sessions.drained(socket.data)),
      pong: (socket) => sessions.seen(socket.data),
      ping: (socket) => sessions.seen(socket.data),
      close: (socket, code, reason) => guard(socket.data, () => sessions.closed(socket.data, closeCode(code, reason))),
    }),
  };
}

function closeCode(code: number, reason: string): number {
  if (code === ABNORMAL_CLOSE && reason === TOO_BIG) return FAILURES.frame_too_large.close;
  return code === 0 ? ABNORMAL_CLOSE : code;
}

async function upgrade(deps: SocketEdgeDeps, request: Request, server: Server<Session>): Promise<Response | undefined> {
  const requestId = deps.ids.uuid();
  const ended = deps.node.attempt("websocket");
  try {
    const refusal = await tryUpgrade(deps, request, server);
    ended(refusal?.code);
    return refusal && refused(refusal, requestId);
  } catch (error) {
    const refusal = refusalOf(error);
    ended(refusal.code);
    deps.log.error("upgrade.failed", { requestId, error: String(error) });
    return refused(refusal, requestId);
  }
}

const refused = (refusal: Refusal, requestId: string): Response => {
  const challenge = refusal.code === "unauthorized" ? { "www-authenticate": "Bearer" } : {};
  return problemResponse(refusal, { "x-request-id": requestId, ...challenge }, requestId);
};

async function tryUpgrade(deps: SocketEdgeDeps, request: Request, server: Server<Session>): Promise<Refusal | undefined> {
  if (!isUpgrade(request)) return { code: "invalid_header", detail: "This address speaks WebSocket: send Upgrade: websocket" };
  const handshake = readHandshake(request);
  const { token, ticket, origin } = handshake;
  const admitted = await deps.node.admit({ address: deps.addressOf(request, server), token, ticket, origin });
  if ("code" in admitted) return admitted;
  const resume = resumePoints(handshake.cursor);
  const session = deps.node.sessions.create({
    identity: admitted.identity,
    transport: "websocket",
    full: handshake.full,
    ...(resume === undefined ? {} : { resume }),
  });
  // Bun answers the first offer by itself, which may be a token: an empty value makes it answer none.
  const headers = { "Sec-WebSocket-Protocol": handshake.full ? SUBPROTOCOL : "" };
  if (server.upgrade(request, { data: session, headers })) return undefined;
  return { code: "invalid_header", detail: "The WebSocket handshake is not complete" };
}

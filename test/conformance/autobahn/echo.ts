// Why: Autobahn|Testsuite judges a server that echoes. This one is ours in everything but that: the real handshake with a
// real token, and the very options of the socket edge. Only what is done with a message differs.
import { systemIds } from "@nexus/server/adapters/ids.ts";
import type { Session } from "@nexus/server/core/session.ts";
import { createSocketEdge } from "@nexus/server/ws/edge.ts";
import { startServer } from "../../support/server.ts";

export type Echo = AsyncDisposable & {
  /** With a token of an hour in it. */
  readonly url: string;
};

const ignore = () => undefined;
const SILENT = { debug: ignore, info: ignore, warn: ignore, error: ignore };

export function startEcho(): Echo {
  const server = startServer();
  const edge = createSocketEdge({ node: server.app.node, ids: systemIds, log: SILENT, addressOf: () => "127.0.0.1" });
  const echo = Bun.serve<Session>({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, listener) => edge.upgrade(request, listener),
    websocket: {
      ...edge.handler({ staleSeconds: 120, frameBytes: 16_777_216 }),
      ...{ open: ignore, close: ignore, drain: ignore, ping: ignore, pong: ignore },
      // Compressed whenever that was negotiated, however small.
      message: (socket, message) => void socket.send(message, true),
    },
  });
  return {
    url: `ws://127.0.0.1:${echo.port}/ws?token=${server.token("autobahn")}`,
    async [Symbol.asyncDispose]() {
      await echo.stop(true);
      await server[Symbol.asyncDispose]();
    },
  };
}

// Why: the least a Bun process can do and still fan out what comes by POST: `server.publish` per message, or gathered for
// 2 ms. With `--redis <host:port>` each message goes out by PUBLISH and comes back by SUBSCRIBE first, and is answered when
// Redis took it. It must stay as small as it is: no authentication, no JSON, no state but the sockets.
import { openLink } from "@nexus/server/adapters/redis/open-link.ts";
import type { ServerWebSocket } from "bun";

const GATHER_MS = 2;
const gathers = process.argv.includes("--gather");
type Data = { readonly user: string; readonly channels: readonly string[] };
const users = new Map<string, ServerWebSocket<Data>>();
const streams = new Map<string, ReadableStreamDefaultController<Uint8Array>>();
let waiting: [string, string][] = [];
const redisAt = process.argv.indexOf("--redis");
const out = redisAt < 0 ? undefined : await dial(process.argv[redisAt + 1] ?? "");
if (redisAt >= 0) {
  const back = await dial(process.argv[redisAt + 1] ?? "");
  await back.subscribe("floor");
  back.on("message", (_channel, message) => {
    const at = message.indexOf("\n");
    arrived(message.slice(0, at), message.slice(at + 1));
  });
}

/** A bare connection of the client library. */
async function dial(address: string) {
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: console.error };
  const link = await openLink({ addresses: [address], commandTimeoutMs: 5000, log });
  const [primary] = await link.primaries();
  if (!primary) throw new Error("no Redis");
  return await link.dial(primary);
}

/** `to`: a channel, or a user. */
function arrived(to: string, text: string): void {
  if (to.startsWith("user-")) users.get(to)?.send(text);
  else publish(to, text);
}

function publish(channel: string, text: string): void {
  if (!gathers) {
    server.publish(channel, text);
    return;
  }
  waiting.push([channel, text]);
  if (waiting.length > 1) return;
  setTimeout(() => {
    const batch = waiting;
    waiting = [];
    for (const [to, what] of batch) server.publish(to, what);
  }, GATHER_MS);
}

const server = Bun.serve<Data>({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  async fetch(request, self) {
    const { pathname, searchParams } = new URL(request.url);
    const user = searchParams.get("user") ?? "";
    if (pathname === "/ws") {
      const channels = (searchParams.get("channels") ?? "").split(",").filter((name) => name !== "");
      return self.upgrade(request, { data: { user, channels } }) ? undefined : new Response("no", { status: 400 });
    }
    if (pathname === "/sse") {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          streams.set(user, controller);
          controller.enqueue(new TextEncoder().encode("event: connected\ndata: {}\n\n"));
        },
        cancel: () => void streams.delete(user),
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    }
    const text = await request.text();
    const to = searchParams.get("to");
    const channel = searchParams.get("channel");
    const target = to ?? channel ?? text.slice(0, text.indexOf(" "));
    if (out) await out.publish("floor", `${target}\n${text}`);
    else arrived(target, text);
    return new Response('{"success":true}', { headers: { "content-type": "application/json" } });
  },
  websocket: {
    open(socket) {
      users.set(socket.data.user, socket);
      for (const channel of socket.data.channels) socket.subscribe(channel);
    },
    message(socket, text) {
      socket.send(text);
    },
    close: (socket) => void users.delete(socket.data.user),
  },
});
process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${server.port}`, pid: process.pid })}\n`);

// Why: the least a Bun process can do and still fan out what comes by POST: `server.publish` per message, or gathered for
// 2 ms. It must stay as small as it is: no authentication, no JSON, no state but the sockets.
import type { ServerWebSocket } from "bun";

const GATHER_MS = 2;
const gathers = process.argv.includes("--gather");
type Data = { readonly user: string; readonly channels: readonly string[] };
const users = new Map<string, ServerWebSocket<Data>>();
const streams = new Map<string, ReadableStreamDefaultController<Uint8Array>>();
let waiting: [string, string][] = [];

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
    if (to !== null) users.get(to)?.send(text);
    else if (channel !== null) publish(channel, text);
    else if (text.startsWith("channel-")) publish(text.slice(0, text.indexOf(" ")), text);
    else if (text.startsWith("user-")) users.get(text.slice(0, text.indexOf(" ")))?.send(text);
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

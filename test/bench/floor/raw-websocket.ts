// Why: the floor every socket figure stands beside: the least a Bun process can do and still be a WebSocket server with
// one subscription per connection. It must stay as small as it is: no authentication, no state of its own.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, self) => (self.upgrade(request, { data: undefined }) ? undefined : new Response("no", { status: 400 })),
  websocket: {
    open(socket) {
      socket.subscribe("news");
    },
    message(socket, text) {
      socket.send(text);
    },
  },
});
process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${server.port}`, pid: process.pid })}\n`);

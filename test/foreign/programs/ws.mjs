// Why: drives the `ws` library under Node for test/foreign: commands come as JSON lines on stdin, what happens goes out as
// JSON lines. Bun replaces `ws` by an implementation of its own, so it has to be Node. It must never interpret a frame.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const sockets = new Map();
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const commands = {
  open({ id, url, protocols, headers, deflate }) {
    const socket = new WebSocket(url, protocols, { headers, perMessageDeflate: deflate });
    sockets.set(id, socket);
    let status;
    socket.on("unexpected-response", (_, answer) => {
      status = answer.statusCode;
      answer.destroy();
      say({ id, event: "refused", status });
    });
    socket.on("open", () => say({ id, event: "open", protocol: socket.protocol, extensions: socket.extensions }));
    socket.on("message", (data, isBinary) => say({ id, event: "message", text: data.toString("utf8"), isBinary }));
    socket.on("ping", () => say({ id, event: "ping" }));
    socket.on("pong", () => say({ id, event: "pong" }));
    socket.on("error", (error) => say({ id, event: "error", message: error.message }));
    socket.on("close", (code, reason) => say({ id, event: "close", code, reason: reason.toString() }));
  },
  text: ({ id, text }) => sockets.get(id).send(text),
  binary: ({ id, text }) => sockets.get(id).send(Buffer.from(text)),
  ping: ({ id }) => sockets.get(id).ping("are you there"),
  close: ({ id, code, reason }) => sockets.get(id).close(code, reason),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  commands[command.do](command);
}
for (const socket of sockets.values()) socket.terminate();

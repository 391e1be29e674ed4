// Why: faults of a network are only as good as the proxy that makes them: what is held must arrive, in order and whole.
import { expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { eventually } from "../support/eventually.ts";
import { startTcpProxy, type TcpProxyOptions } from "../support/tcp-proxy.ts";

async function startEcho(options: TcpProxyOptions = {}) {
  await using stack = new AsyncDisposableStack();
  const heard = { text: "" };
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      heard.text += chunk;
      socket.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stack.adopt(server, () => new Promise<void>((resolve) => server.close(() => resolve())));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const proxy = stack.use(await startTcpProxy({ host: "127.0.0.1", port: address.port }, options));
  const owned = stack.move();
  return { proxy, heard, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function dial(port: number): Promise<{ readonly socket: Socket; readonly got: { text: string } }> {
  const got = { text: "" };
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => (got.text += chunk));
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return { socket, got };
}

test("a held connection carries nothing, and all of it once released; so does one that was opened meanwhile", async () => {
  await using echo = await startEcho();
  const first = await dial(echo.proxy.port);
  first.socket.write("a");
  await eventually("the echo", () => first.got.text === "a");
  echo.proxy.hold();
  const second = await dial(echo.proxy.port);
  for (const { socket } of [first, second]) socket.write("bc");
  await Bun.sleep(100); // nothing is to happen in this time
  expect([echo.heard.text, first.got.text, second.got.text]).toEqual(["a", "a", ""]);
  echo.proxy.release();
  await eventually("everything arrives", () => first.got.text === "abc" && second.got.text === "bc");
});

test("delayed data keeps its order", async () => {
  await using echo = await startEcho();
  const { socket, got } = await dial(echo.proxy.port);
  echo.proxy.delay(20, 40);
  const began = performance.now();
  let sent = "";
  for (let n = 0; n < 20; n++) {
    socket.write(`${n},`);
    sent += `${n},`;
    await Bun.sleep(2); // so that they are pieces of their own
  }
  await eventually("the echo", () => got.text.length === sent.length, { intervalMs: 5 });
  expect(got.text).toBe(sent);
  expect(performance.now() - began).toBeGreaterThan(40); // there and back
});

test("only marked connections go mute, and only towards the client", async () => {
  await using echo = await startEcho({ mark: "ssubscribe" });
  const [plain, subscriber] = [await dial(echo.proxy.port), await dial(echo.proxy.port)];
  subscriber.socket.write("SSUBSCRIBE");
  await eventually("the echo", () => subscriber.got.text === "SSUBSCRIBE");
  echo.proxy.mute();
  subscriber.socket.write("lost");
  plain.socket.write("kept");
  await eventually("the echo on the other", () => plain.got.text === "kept" && echo.proxy.swallowed > 0);
  expect(echo.heard.text).toContain("lost");
  expect(subscriber.got.text).toBe("SSUBSCRIBE");
});

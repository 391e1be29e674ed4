// Why: programs that take no port 0 are given one that was free a moment ago. The system hands out ports of its ephemeral range
// to every connection, so one of those is easily taken between the look and the start: these lie below it.
// Another test process may look too before that program listens: each number given out is therefore claimed by a UDP socket of
// the same number until this process ends. Whoever can listen on port 0 does that instead.
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/** Below the ephemeral range (32768 on Linux) and below Kubernetes' node ports (30000). */
const FIRST = 20_000;
const COUNT = 10_000;

/** Where this process goes on looking: never twice the same, and seldom where another process looks. */
let next = Math.floor(Math.random() * COUNT);

/** Free TCP ports on loopback, all different: also for programs that must come back on their old one. @throws as {@link freePort} */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) found.push(await freePort());
  return found;
}

/** On loopback. @throws Error when all are taken */
export async function freePort(): Promise<number> {
  const port = await freePortFrom(FIRST + next);
  next = (port - FIRST + 1) % COUNT;
  return port;
}

/** The first at or above `from`, and from the lowest again. @throws as {@link freePort} */
export async function freePortFrom(from: number): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + ((from - FIRST + tries) % COUNT);
    if ((await isFree(port)) && (await claim(port))) return port;
  }
  throw new Error(`no free port from ${FIRST} to ${FIRST + COUNT - 1}`);
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)));
  return promise;
}

/** False when another process has it. */
function claim(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createSocket("udp4");
  socket.once("error", () => resolve(false));
  socket.bind({ address: "127.0.0.1", port, exclusive: true }, () => {
    socket.unref();
    resolve(true);
  });
  return promise;
}

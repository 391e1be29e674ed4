// Why: HTTP load that costs less than the server it measures: prepared requests on kept connections, answers counted and
// not parsed. Closed: each connection asks again when it was answered. Open: so many a second, whatever the answers do; what
// finds no free connection waits, and its body is of the time when it was due. It must never ask on a connection that still
// waits: Bun closes one that does.
import type { Socket } from "bun";

export type RequestsOptions = {
  readonly url: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly bodyOf: (count: number) => string;
  /** Milliseconds each answer of a closed load took. */
  readonly onAnswer?: (milliseconds: number) => void;
};

export type RequestsResult = { readonly answered: number; readonly refused: number; readonly seconds: number };

type State = { awaited: number; rest: number; askedAt: number };

const OK = Buffer.from("HTTP/1.1 200");

/** Asks until `seconds` have passed. `perSecond`: open load at that rate; absent: closed. */
export async function runRequests(options: RequestsOptions, seconds: number, perSecond?: number): Promise<RequestsResult> {
  const { hostname, port } = new URL(options.url);
  const head = Object.entries({ Host: `${hostname}:${port}`, "Content-Type": "application/json", ...options.headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
  let asked = 0;
  let answered = 0;
  let refused = 0;
  let running = true;
  const request = () => {
    const body = options.bodyOf(asked++);
    return `POST ${options.path} HTTP/1.1\r\n${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  };
  const due: string[] = [];
  const free: Socket<State>[] = [];
  const ask = (socket: Socket<State>, text = request()) => {
    socket.data.awaited++;
    socket.data.askedAt = performance.now();
    socket.write(text);
  };
  const sockets = await Promise.all(
    Array.from({ length: options.connections }, () =>
      Bun.connect<State>({
        hostname,
        port: Number(port),
        data: { awaited: 0, rest: 0, askedAt: 0 },
        socket: {
          data(socket, chunk) {
            // Answers are small and end with their chunk; several may share one.
            for (let at = chunk.indexOf("HTTP/1.1 "); at >= 0; at = chunk.indexOf("HTTP/1.1 ", at + 9)) {
              socket.data.awaited--;
              if (perSecond === undefined) options.onAnswer?.(performance.now() - socket.data.askedAt);
              if (chunk.compare(OK, 0, OK.length, at, at + OK.length) === 0) answered++;
              else refused++;
            }
            if (socket.data.awaited > 0 || !running) return;
            if (perSecond !== undefined) {
              const text = due.shift();
              if (text === undefined) free.push(socket);
              else ask(socket, text);
            } else ask(socket);
          },
          close() {
            if (running) throw new Error("the server closed a publisher's connection");
          },
          error: (_socket, error) => {
            throw error;
          },
        },
      }),
    ),
  );
  free.push(...sockets);
  const began = performance.now();
  if (perSecond === undefined) {
    for (const socket of sockets) ask(socket);
    await Bun.sleep(seconds * 1000); // the span that is measured: answers ask for the next by themselves
  } else {
    for (let now = began; now - began < seconds * 1000; now = performance.now()) {
      const wanted = Math.floor(((now - began) / 1000) * perSecond);
      while (asked < wanted) {
        const socket = free.shift();
        if (socket) ask(socket);
        else due.push(request());
      }
      await Bun.sleep(1); // an open load: requests are made when they are due, whatever was answered
    }
  }
  running = false;
  const took = (performance.now() - began) / 1000;
  const counted = { answered, refused };
  await Bun.sleep(100); // what is on its way may still arrive
  for (const socket of sockets) socket.terminate();
  return { ...counted, seconds: took };
}

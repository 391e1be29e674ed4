// Why: the network between two processes as tests need it: cut (reset), stalled (half-open: bytes vanish, nobody is told)
// or refusing. Loopback only. It must never change a byte of what it lets through.
import { connect, createServer, type Socket } from "node:net";

export type TcpProxy = AsyncDisposable & {
  readonly port: number;
  /** Connections that were accepted so far, and that are open now. */
  readonly accepted: number;
  readonly open: number;
  /** Pieces of data that vanished in silent connections. */
  readonly swallowed: number;
  /** Resets every open connection; new ones work. */
  cut(): void;
  /** Open connections stay open and carry nothing any more, for ever; new ones work. */
  stall(): void;
  /** As `stall`, and new connections are silent from the start. */
  blackhole(): void;
  /** Resets open connections and every new one right after it was accepted. */
  refuse(): void;
  /** New connections work again. */
  accept(): void;
};

/** Listens on a free loopback port and connects each connection to `target`. */
export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let accepted = 0;
  let swallowed = 0;
  const silence = (pair: readonly [Socket, Socket]) => {
    for (const socket of pair) {
      socket.removeAllListeners("data").removeAllListeners("end").removeAllListeners("close");
      socket.on("data", () => swallowed++); // read and forget: the sender sees an open window
    }
  };
  let mode: "carry" | "refuse" | "silence" = "carry";
  const drop = () => {
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
    pairs.clear();
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    accepted++;
    if (mode === "refuse") {
      near.on("error", ignored);
      near.resetAndDestroy();
      return;
    }
    const far = connect({ ...target, allowHalfOpen: true });
    const pair = [near, far] as const;
    pairs.add(pair);
    link(near, far, () => pairs.delete(pair));
    link(far, near, () => pairs.delete(pair));
    if (mode === "silence") silence(pair);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return {
    port: address.port,
    get accepted() {
      return accepted;
    },
    get open() {
      return pairs.size;
    },
    get swallowed() {
      return swallowed;
    },
    cut: drop,
    stall() {
      for (const pair of pairs) silence(pair);
    },
    blackhole() {
      mode = "silence";
      for (const pair of pairs) silence(pair);
    },
    refuse() {
      mode = "refuse";
      drop();
    },
    accept() {
      mode = "carry";
    },
    async [Symbol.asyncDispose]() {
      drop();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A torn connection is what this proxy is for; the other side is told by its own close. */
const ignored = (): void => undefined;

function link(from: Socket, to: Socket, gone: () => void): void {
  from.on("error", ignored);
  from.on("data", (chunk: Buffer) => {
    if (to.write(chunk)) return;
    from.pause();
    to.once("drain", () => from.resume());
  });
  from.on("end", () => to.end());
  from.on("close", (hadError) => {
    gone();
    if (hadError) to.resetAndDestroy();
    else to.end();
  });
}

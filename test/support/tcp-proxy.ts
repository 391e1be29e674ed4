// Why: the network between two processes as tests need it: cut (reset), stalled (half-open: bytes vanish, nobody is told),
// held (a partition: bytes wait), slow, or refusing. Loopback only. It must never change a byte of what it lets through.
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
  /**
   * What comes from the target vanishes in open connections that carry the proxy's `mark` (all, without one); the other way
   * they work, and new connections do.
   */
  mute(): void;
  /** A partition: open connections and new ones carry nothing until `release`, and then all that waited. */
  hold(): void;
  release(): void;
  /** From now on each piece of data waits this long, in order: between `ms` and `ms + jitterMs`. 0 ends it. */
  delay(ms: number, jitterMs?: number): void;
  /** As `stall`, and new connections are silent from the start. */
  blackhole(): void;
  /** Resets open connections and every new one right after it was accepted. */
  refuse(): void;
  /** New connections work again. */
  accept(): void;
};

/** `mark`: a word; connections whose client has said it (in any case) are those that `mute` means. */
export type TcpProxyOptions = {
  readonly mark?: string;
  /** Default: a free port of 127.0.0.1. */
  readonly listen?: { readonly host: string; readonly port: number };
};

type Pair = readonly [Socket, Socket];
type Delay = { readonly ms: number; readonly jitterMs: number };

/** Listens on a loopback port and connects each connection to `target`. */
export async function startTcpProxy(
  target: { readonly host: string; readonly port: number },
  { mark, listen = { host: "127.0.0.1", port: 0 } }: TcpProxyOptions = {},
): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  const marked = new WeakSet<Socket>();
  let accepted = 0;
  let swallowed = 0;
  let delay: Delay = { ms: 0, jitterMs: 0 };
  const forget = (socket: Socket) => socket.removeAllListeners("data").on("data", () => swallowed++); // the sender sees an open window
  const silence = (pair: Pair) => {
    for (const socket of pair) forget(socket.removeAllListeners("end").removeAllListeners("close"));
  };
  let mode: "carry" | "refuse" | "silence" | "hold" = "carry";
  const isHeld = () => mode === "hold";
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
    const carry = { gone: () => pairs.delete(pair), delay: () => delay, isHeld };
    link(near, far, carry);
    link(far, near, carry);
    if (mark !== undefined)
      near.on("data", (chunk: Buffer) => chunk.toString("latin1").toLowerCase().includes(mark.toLowerCase()) && marked.add(near));
    if (mode === "silence") silence(pair);
    if (mode === "hold") for (const socket of pair) socket.pause();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(listen.port, listen.host, resolve);
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
    mute() {
      for (const [near, far] of pairs) if (mark === undefined || marked.has(near)) forget(far);
    },
    hold() {
      mode = "hold";
      for (const pair of pairs) for (const socket of pair) socket.pause();
    },
    release() {
      mode = "carry";
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    delay(ms, jitterMs = 0) {
      delay = { ms, jitterMs };
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

type Carry = { readonly gone: () => void; readonly delay: () => Delay; readonly isHeld: () => boolean };

function link(from: Socket, to: Socket, { gone, delay, isHeld }: Carry): void {
  const late = createLine(delay);
  from.on("error", ignored);
  from.on("data", (chunk: Buffer) =>
    late(() => {
      if (to.write(chunk)) return;
      from.pause();
      to.once("drain", () => !isHeld() && from.resume());
    }),
  );
  from.on("end", () => late(() => to.end()));
  from.on("close", (hadError) => {
    gone();
    if (hadError) to.resetAndDestroy();
    else late(() => to.end());
  });
}

/** Runs steps in the order they come, each when its wait is over; at once while there is none. */
function createLine(delay: () => Delay): (step: () => void) => void {
  const waiting: (() => void)[] = [];
  let lastDue = 0;
  return (step) => {
    const { ms, jitterMs } = delay();
    if (waiting.length === 0 && ms + jitterMs === 0) return step();
    const now = performance.now();
    lastDue = Math.max(lastDue, now + ms + Math.random() * jitterMs);
    waiting.push(step);
    setTimeout(() => waiting.shift()?.(), lastDue - now); // timers of one millisecond fire in any order: the oldest step goes first
  };
}

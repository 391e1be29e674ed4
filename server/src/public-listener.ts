// Why: the public port outlives its certificate: a renewed one gets a second listener on the same port before the old one
// stops to take connections, and whoever is connected stays with the old one. It must never be without a listener in between.
import type { Server, WebSocketHandler } from "bun";
import type { KeyPair } from "./core/key-pair.ts";
import type { Session } from "./core/session.ts";

export type ListenerOptions = {
  readonly host: string;
  readonly port: number;
  /** Other processes of ours listen on the same port. */
  readonly reusePort: boolean;
  readonly maxBodyBytes: number;
  readonly fetch: (request: Request, server: Server<Session>) => Response | undefined | Promise<Response | undefined>;
  readonly websocket: WebSocketHandler<Session>;
  /** Absent: plain. */
  readonly tls?: KeyPair | undefined;
};

export type PublicListener = {
  readonly port: number;
  /** Other rules for sockets; they hold for open ones too. */
  setSockets(websocket: WebSocketHandler<Session>): void;
  /** New connections get this certificate. @throws Error when it cannot be listened with; the old one stays */
  setCertificate(pair: KeyPair): void;
  /** Closes what is open and gives back the port. */
  stop(): Promise<void>;
};

/** @throws Error when the port is taken or the certificate cannot be used */
export function startPublicListener(options: ListenerOptions): PublicListener {
  const { host, maxBodyBytes, fetch } = options;
  let { websocket } = options;
  const listen = (port: number, reusePort: boolean, tls: KeyPair | undefined) =>
    Bun.serve<Session>({
      ...{ hostname: host, port, reusePort, fetch, websocket },
      idleTimeout: 30,
      maxRequestBodySize: maxBodyBytes,
      ...(tls ? { tls: { cert: tls.cert, key: tls.key } } : {}),
    });
  // A second listener needs a port that is shared from the start, and sharing would hide somebody else who has it already.
  if (options.tls && !options.reusePort && options.port !== 0) claimPort(host, options.port);
  let current = listen(options.port, options.reusePort || options.tls !== undefined, options.tls);
  /** Listeners that take no more connections, for those they still have. */
  const retired = new Set<Server<Session>>();
  const port = current.port ?? options.port;
  return {
    port,
    setSockets(next) {
      websocket = next;
      for (const one of [current, ...retired]) one.reload({ fetch, websocket });
    },
    setCertificate(pair) {
      const old = current;
      current = listen(port, true, pair);
      for (const one of retired) if (one.pendingWebSockets + one.pendingRequests === 0) retired.delete(one);
      retired.add(old);
      void old.stop(false);
    },
    async stop() {
      await Promise.all([current, ...retired].map((one) => one.stop(true)));
    },
  };
}

/** @throws Error when somebody else listens there */
function claimPort(hostname: string, port: number): void {
  const probe = Bun.serve({ hostname, port, reusePort: false, fetch: () => new Response(null, { status: 503 }) });
  void probe.stop(true); // the port is given back at once; what is awaited is the end of connections, and there are none
}

// Why: clients that others wrote run in Node, in Python and in a browser, and the same suite is put to all of them. This is
// the little they are asked to do and to tell. It must never know what a frame means.
import { eventually } from "../../support/eventually.ts";

export type OpenOptions = {
  readonly protocols?: readonly string[];
  /** Not every client can: a browser cannot. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether permessage-deflate is offered; where the client can choose. */
  readonly deflate?: boolean;
};

export type Command =
  | ({ readonly do: "open"; readonly id: number; readonly url: string } & Required<OpenOptions>)
  | { readonly do: "text" | "binary"; readonly id: number; readonly text: string }
  | { readonly do: "ping"; readonly id: number }
  | { readonly do: "close"; readonly id: number; readonly code: number; readonly reason: string };

/** What a client tells, in its order. `refused`: an answer other than 101. `error`: why there is no connection, in its own words. */
export type ClientEvent = { readonly id: number } & (
  | { readonly event: "open"; readonly protocol: string; readonly extensions: string }
  | { readonly event: "message"; readonly text: string; readonly isBinary: boolean }
  | { readonly event: "refused"; readonly status: number }
  | { readonly event: "error"; readonly message: string }
  | { readonly event: "close"; readonly code: number; readonly reason: string }
  | { readonly event: "ping" | "pong" }
);

export type Frame = Record<string, unknown> & { readonly type: string };

/** A program that holds sockets of one library. Dispose it and it is gone, with its sockets. */
export class ForeignClient implements AsyncDisposable {
  readonly #send: (command: Command) => void;
  readonly #stop: () => Promise<void>;
  readonly #sockets = new Map<number, ForeignSocket>();

  constructor(send: (command: Command) => void, stop: () => Promise<void>) {
    this.#send = send;
    this.#stop = stop;
  }

  /** Starts a connection attempt; `opened()` or `failed()` of what comes back says how it went. */
  connect(url: string, { protocols = [], headers = {}, deflate = false }: OpenOptions = {}): ForeignSocket {
    const id = this.#sockets.size;
    const socket = new ForeignSocket(id, this.#send);
    this.#sockets.set(id, socket);
    this.#send({ do: "open", id, url, protocols, headers, deflate });
    return socket;
  }

  take(event: ClientEvent): void {
    this.#sockets.get(event.id)?.take(event);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stop();
  }
}

const WAIT = { intervalMs: 2 };

export class ForeignSocket {
  readonly events: ClientEvent[] = [];
  readonly frames: Frame[] = [];
  readonly #id: number;
  readonly #command: (command: Command) => void;

  constructor(id: number, command: (command: Command) => void) {
    this.#id = id;
    this.#command = command;
  }

  take(event: ClientEvent): void {
    this.events.push(event);
    if (event.event === "message") this.frames.push(JSON.parse(event.text) as Frame); // every frame of the server has a type
  }

  send(frame: unknown): void {
    this.#command({ do: "text", id: this.#id, text: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  binary(text: string): void {
    this.#command({ do: "binary", id: this.#id, text });
  }

  ping(): void {
    this.#command({ do: "ping", id: this.#id });
  }

  close(code = 1000, reason = ""): void {
    this.#command({ do: "close", id: this.#id, code, reason });
  }

  /** Takes the oldest frame of a type, waiting for it. */
  next(type: string): Promise<Frame> {
    return eventually(
      `a ${type} frame`,
      () => {
        const at = this.frames.findIndex((frame) => frame.type === type);
        return at < 0 ? undefined : this.frames.splice(at, 1)[0];
      },
      WAIT,
    );
  }

  ask(frame: unknown, answer: string): Promise<Frame> {
    this.send(frame);
    return this.next(answer);
  }

  opened() {
    return this.#told("open");
  }

  closed() {
    return this.#told("close");
  }

  /** The connection attempt failed; `status` where the client can see it. */
  async failed(): Promise<{ readonly status: number | undefined }> {
    const event = await eventually("the attempt to fail", () => this.#find("refused") ?? this.#find("error"), WAIT);
    return { status: event.event === "refused" ? event.status : undefined };
  }

  ponged() {
    return this.#told("pong");
  }

  #told<K extends ClientEvent["event"]>(kind: K): Promise<Extract<ClientEvent, { readonly event: K }>> {
    // Narrowed by the search.
    return eventually(`"${kind}", after ${this.events.map(({ event }) => event).join(", ")}`, () => this.#find(kind), WAIT) as Promise<
      Extract<ClientEvent, { readonly event: K }>
    >;
  }

  #find(kind: ClientEvent["event"]): ClientEvent | undefined {
    return this.events.find(({ event }) => event === kind);
  }
}

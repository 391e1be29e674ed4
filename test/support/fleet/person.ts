// Why: one person of a crowd: the real client, which goes on by cursor on whatever node it is let in, and a record of all it
// handed to its application. It must never judge: the oracle does.
import { NexusClient } from "@nexus/client/client.ts";
import type { SocketLike } from "@nexus/client/connection.ts";
import type { Place } from "./target.ts";

/** A loss that was told, in milliseconds of `performance.now()`. */
export type Told = { readonly at: number; readonly reason: string };

export type PersonOptions = {
  readonly user: string;
  readonly token: string;
  readonly channels: readonly string[];
  /** The node of the next attempt. */
  readonly place: () => Place;
  /** What the application is handed, in milliseconds of `performance.now()`. */
  readonly onEntry: (entry: Heard) => void;
};

export type Heard = { readonly stream: string; readonly id: string; readonly at: number };

/** Quicker than the client's own 500 ms to 30 s, so that a table of recovery times is about servers. */
const BACKOFF = { baseMs: 200, maxMs: 2000 };

export class Person {
  readonly user: string;
  readonly channels: readonly string[];
  /** Ids by stream. */
  readonly got = new Map<string, Set<string>>();
  readonly told = new Map<string, Told[]>();
  readonly repeated: string[] = [];
  /** Codes of errors nobody waited for, and of channels the server took away. */
  readonly errors: string[] = [];
  readonly #client: NexusClient;
  /** When its link was down, once it was up again: from and to. */
  readonly outages: (readonly [number, number])[] = [];
  #socket: WebSocket | undefined;
  #drops = 0;
  #downSince: number | undefined;

  constructor({ user, token, channels, place, onEntry }: PersonOptions) {
    this.user = user;
    this.channels = channels;
    this.#client = new NexusClient({
      ...{ url: place().url, token, backoff: BACKOFF, fetch: false, connectTimeoutMs: 5000 },
      openSocket: (url, protocols) => {
        const at = new URL(place().url);
        const target = new URL(url);
        target.host = at.host;
        this.#socket = new WebSocket(target.href, [...protocols]);
        return this.#socket as SocketLike; // as the client's own default does
      },
    });
    for (const stream of ["user", "broadcast", ...channels.map((name) => `channel:${name}`)]) this.got.set(stream, new Set());
    this.#client.on("notification", ({ stream, id }) => {
      const got = this.got.get(stream);
      if (!got || got.has(id)) this.repeated.push(`${stream} ${id}`);
      got?.add(id);
      onEntry({ stream, id, at: performance.now() });
    });
    this.#client.on("gap", ({ stream, reason }) => this.#tell(stream, reason));
    this.#client.on("error", ({ code }) => this.errors.push(code));
    this.#client.on("unsubscribed", ({ channel, error }) => this.errors.push(`${error.code} ${channel}`));
    this.#client.on("state", ({ state, previous }) => {
      if (previous === "connected" && state !== "closed") {
        this.#drops++;
        this.#downSince = performance.now();
      }
      if (state !== "connected" || this.#downSince === undefined) return;
      this.outages.push([this.#downSince, performance.now()]);
      this.#downSince = undefined;
    });
  }

  get isConnected(): boolean {
    return this.#client.state === "connected";
  }

  /** False once it gave up for good. */
  get isTrying(): boolean {
    return this.#client.state !== "closed";
  }

  /** How often its connection was lost. */
  get drops(): number {
    return this.#drops;
  }

  /** Resolves once every channel is confirmed. */
  async arrive(): Promise<void> {
    await this.#client.connect();
    await Promise.all(this.channels.map((name) => this.#client.subscribe(name, () => undefined)));
  }

  /** Its link breaks without a word. */
  drop(): void {
    this.#socket?.terminate();
  }

  close(): void {
    this.#client.close();
  }

  #tell(stream: string, reason: string): void {
    const told = this.told.get(stream) ?? [];
    told.push({ at: performance.now(), reason });
    this.told.set(stream, told);
  }
}

// Why: the promise of the client in one sentence: a link that drops all the time loses nothing inside retention and repeats
// nothing. A real server, entries that flow all along, sockets that are cut in the middle of what is on its way, and pages
// that are left and opened again.
import { expect, test } from "bun:test";
import { NexusClient } from "@nexus/client/client.ts";
import type { SocketLike } from "@nexus/client/connection.ts";
import { NexusError } from "@nexus/client/error.ts";
import type { Gap } from "@nexus/client/events.ts";
import { eventually } from "../support/eventually.ts";
import { startServer, type TestServer } from "../support/server.ts";

const CLIENTS = 30;
const DROPS_EACH = 8;
const CHANNEL = "kept.news";
const KEPT = { size: 5000, ttlSeconds: 60 };
const PAUSE_MS = 10;

/** One person whose link drops: everything their application was ever handed, over all their pages. */
class Person {
  readonly got: Record<string, string[]> = { user: [], broadcast: [], [`channel:${CHANNEL}`]: [] };
  readonly gaps: Gap[] = [];
  drops = 0;
  reloads = 0;
  readonly user: string;
  readonly #server: TestServer;
  #client: NexusClient;
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(server: TestServer, user: string) {
    this.#server = server;
    this.user = user;
    this.#client = this.#open();
  }

  get isSettled(): boolean {
    return this.#client.state === "connected";
  }

  async arrive(): Promise<void> {
    await this.#client.connect();
    await this.#client.subscribe(CHANNEL, () => undefined);
  }

  flap(): void {
    this.#timer = setTimeout(
      () => {
        if (this.isSettled && this.drops++ % 4 === 3) this.#reload();
        else this.#socket?.terminate();
        if (this.drops < DROPS_EACH) this.flap();
      },
      50 + Math.random() * 300,
    );
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#client.close();
  }

  #reload(): void {
    this.reloads++;
    const cursor = this.#client.cursor();
    this.#client.close();
    this.#client = this.#open(cursor);
    void this.arrive().catch((error: unknown) => {
      // Reloaded again before it had arrived.
      if (!(error instanceof NexusError && error.code === "CLOSED")) throw error;
    });
  }

  #open(cursor?: string): NexusClient {
    const client = new NexusClient({
      url: this.#server.app.url,
      token: this.#server.token(this.user),
      cursor,
      backoff: { baseMs: 10, maxMs: 50 },
      openSocket: (url, protocols) => {
        this.#socket = new WebSocket(url, [...protocols]);
        return this.#socket as SocketLike; // as the client's own default does
      },
    });
    client.on("notification", ({ stream, id }) => this.got[stream]?.push(id));
    client.on("gap", (gap) => this.gaps.push(gap));
    return client;
  }
}

test("30 clients that drop every few hundred milliseconds get every entry exactly once, in order", async () => {
  await using server = startServer({
    channels: [
      { match: "kept.*", history: KEPT },
      { match: "@broadcast", history: KEPT },
    ],
    quotas: { inbox: { messages: 1000 } },
  });
  const people = Array.from({ length: CLIENTS }, (_, n) => new Person(server, `user-${n}`));
  try {
    await Promise.all(people.map((person) => person.arrive()));
    const published: Record<string, string[]> = { broadcast: [], [`channel:${CHANNEL}`]: [] };
    const inboxes = people.map((): string[] => []);
    for (const person of people) person.flap();
    for (let round = 0; people.some(({ drops }) => drops < DROPS_EACH); round++) {
      published[`channel:${CHANNEL}`]?.push((await server.publish({ kind: "channel", channel: CHANNEL })).id);
      const to = round % CLIENTS;
      inboxes[to]?.push((await server.publish({ kind: "user", user: `user-${to}` })).id);
      if (round % 5 === 0) published.broadcast?.push((await server.publish({ kind: "broadcast" })).id);
      await Bun.sleep(PAUSE_MS); // the load: entries flow while the links drop
    }
    const total = (n: number) => [...Object.values(published), inboxes[n] ?? []].reduce((sum, ids) => sum + ids.length, 0);
    await eventually("everything arrived", () =>
      people.every(({ got, isSettled }, n) => isSettled && Object.values(got).flat().length >= total(n)),
    );
    people.forEach(({ got, gaps }, n) => {
      expect(got).toEqual({ ...published, user: inboxes[n] ?? [] });
      expect(gaps).toEqual([]);
    });
    expect(published[`channel:${CHANNEL}`]?.length).toBeGreaterThan(50);
    expect(people.every(({ reloads }) => reloads > 0)).toBe(true);
  } finally {
    for (const person of people) person.close();
  }
}, 60_000);

// Why: programs that hold the connection themselves take the text apart with `eventsource-parser`, the strictest reader of the
// format there is: it reports every line it does not know.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { eventually } from "../support/eventually.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** One connection, read piece by piece as it comes. */
class Reader implements AsyncDisposable {
  readonly messages: EventSourceMessage[] = [];
  readonly comments: string[] = [];
  readonly complaints: string[] = [];
  retryMs: number | undefined;
  lastEventId = "";
  isEnded = false;
  readonly #stop = new AbortController();
  #done: Promise<void> = Promise.resolve();

  static async open(url: string, lastEventId?: string): Promise<Reader> {
    const reader = new Reader();
    const headers = { accept: "text/event-stream", ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }) };
    const answer = await fetch(url, { headers, signal: reader.#stop.signal });
    if (answer.status !== 200 || !answer.body) throw new Error(`answered ${answer.status}`);
    reader.#done = reader.#read(answer.body);
    return reader;
  }

  next(event: string): Promise<EventSourceMessage> {
    return eventually(
      `a ${event} event`,
      () => {
        const at = this.messages.findIndex((message) => message.event === event);
        return at < 0 ? undefined : this.messages.splice(at, 1)[0];
      },
      { intervalMs: 2 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = createParser({
      onEvent: (message) => {
        this.messages.push(message);
        this.lastEventId = message.id ?? this.lastEventId;
      },
      onRetry: (ms) => {
        this.retryMs = ms;
      },
      onComment: (comment) => this.comments.push(comment),
      onError: (error) => this.complaints.push(error.message),
    });
    const decoder = new TextDecoder();
    try {
      for await (const chunk of body) parser.feed(decoder.decode(chunk, { stream: true }));
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error;
    }
    this.isEnded = true;
  }
}

const dataOf = ({ data }: EventSourceMessage) => JSON.parse(data) as Record<string, unknown>; // every event of the server carries an object

describe("eventsource-parser", () => {
  let server: TestServer;
  beforeAll(() => {
    server = startServer({
      channels: [{ match: "kept.*", history: { size: 200, ttlSeconds: 60 } }],
      delivery: { heartbeatSeconds: 1, reconnectJitterSeconds: 2 },
      quotas: { inbox: { messages: 300 } },
    });
  });
  afterAll(() => server[Symbol.asyncDispose]());
  const address = (user: string, query = "") => `${server.app.url}/sse?token=${server.token(user)}${query}`;

  test("reads every event, comment and retry, and finds nothing to complain about", async () => {
    await using reader = await Reader.open(address("ann", "&channels=kept.a,a%20b"));
    expect(dataOf(await reader.next("connected"))).toMatchObject({ type: "connected", user_id: "ann" });
    expect(reader.retryMs).toBeGreaterThanOrEqual(1000);
    await reader.next("subscribed");
    await reader.next("error");
    await server.publish({ kind: "user", user: "ann" }, { event_type: "odd", payload: "a\r\nb\rc\nd\u2028e\u0000: data: x\n\n" });
    expect(dataOf(await reader.next("notification")).payload).toBe("a\r\nb\rc\nd\u2028e\u0000: data: x\n\n");
    await reader.next("heartbeat");
    expect(reader.comments).toEqual([""]);
    expect(reader.complaints).toEqual([]);
  });

  test("two hundred entries of two streams, read through five connections, are each had once and in order", async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    for (let turn = 0; turn < 5; turn++) {
      for (let n = 0; n < 20; n++) {
        const payload = turn * 20 + n;
        await server.publish({ kind: "user", user: "bob" }, { event_type: "n", payload });
        await server.publish({ kind: "channel", channel: "kept.b" }, { event_type: "n", payload });
      }
      await using reader = await Reader.open(address("bob", "&channels=kept.b"), cursor);
      // The first connection joins the channel where it stands now.
      const expected = turn === 0 ? 20 : 40;
      for (let n = 0; n < expected; n++) {
        const { stream, payload } = dataOf(await reader.next("notification"));
        seen.push(`${stream} ${payload}`);
      }
      await reader.next("subscribed");
      expect(reader.messages.filter(({ event }) => event === "gap" || event === "notification")).toEqual([]);
      cursor = reader.lastEventId;
    }
    const of = (stream: string) => seen.filter((text) => text.startsWith(`${stream} `)).map((text) => Number(text.split(" ")[1]));
    expect(of("user")).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(of("channel:kept.b")).toEqual(Array.from({ length: 80 }, (_, n) => n + 20));
  });

  test("told to leave it is told when to come back, and the stream ends", async () => {
    await using reader = await Reader.open(address("eve"));
    await reader.next("connected");
    server.app.node.sessions.shutdown(10, () => 2.5);
    expect(dataOf(await reader.next("shutdown"))).toMatchObject({ reason: "Server shutting down", reconnect_after_seconds: 2.5 });
    expect(reader.retryMs).toBe(2500);
    await eventually("the stream to end", () => reader.isEnded);
    expect(reader.complaints).toEqual([]);
  });
});

// Why: resume is where silent holes come from. A client that comes and goes at random, over either transport, is held
// against a plain list of everything published: what it got and what it was told must add up to exactly that list.
import { expect, test } from "bun:test";
import { encodeCursor, type Position } from "@nexus/protocol/cursor.ts";
import fc from "fast-check";
import { eventually } from "../support/eventually.ts";
import { fuzzSettings, fuzzTimeoutMs } from "../support/fuzz.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { SseClient } from "../support/sse-client.ts";
import type { WsClient } from "../support/ws-client.ts";

const KEEPS = 6;
const STREAMS = ["user", "broadcast", "channel:kept"] as const;
type Stream = (typeof STREAMS)[number];
type Frame = Readonly<Record<string, unknown>>;

const TARGETS = {
  user: { kind: "user", user: "ann" },
  broadcast: { kind: "broadcast" },
  "channel:kept": { kind: "channel", channel: "kept" },
} as const;

type Step =
  | { readonly do: "publish"; readonly stream: Stream }
  | { readonly do: "connect"; readonly transport: "websocket" | "sse" }
  | { readonly do: "drop" }
  | { readonly do: "resubscribe" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("publish" as const), stream: fc.constantFrom(...STREAMS) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("connect" as const), transport: fc.constantFrom("websocket" as const, "sse" as const) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drop" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("resubscribe" as const) }) },
);

/** A connection of either kind, as lists of what it said. */
type Line = AsyncDisposable & { take(): Frame[]; readonly socket: WsClient | undefined; readonly lastEventId: () => string };

async function dial(server: TestServer, transport: "websocket" | "sse", cursor: string | undefined): Promise<Line> {
  if (transport === "websocket") {
    const socket = await server.connect("ann", cursor === undefined ? {} : { query: `cursor=${cursor}` });
    socket.send({ type: "Subscribe", payload: { channels: ["kept"] } });
    return {
      socket,
      take: () => socket.frames.splice(0),
      lastEventId: () => "",
      [Symbol.asyncDispose]: () => socket[Symbol.asyncDispose](),
    };
  }
  const headers = cursor === undefined ? {} : { "last-event-id": cursor };
  const stream = await SseClient.connect(`${server.app.url}/sse?token=${server.token("ann")}&channels=kept`, headers);
  return {
    socket: undefined,
    take: () => stream.events.splice(0).map(({ data }) => data),
    lastEventId: () => stream.lastEventId,
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  };
}

class Model {
  readonly published: Record<Stream, string[]> = { user: [], broadcast: [], "channel:kept": [] };
  /** Offset up to which the client has everything, or was told that it has not. */
  readonly seen: Record<Stream, number> = { user: 0, broadcast: 0, "channel:kept": 0 };
  line: Line | undefined;
  known = false;
  epoch = "";
  cursor: string | undefined;
  readonly #server: TestServer;

  constructor(server: TestServer) {
    this.#server = server;
  }

  async publish(stream: Stream): Promise<void> {
    const { id } = await this.#server.publish(TARGETS[stream]);
    this.published[stream].push(id);
    if (!this.line) return;
    await this.#expectEntries({ [stream]: [id] });
    this.seen[stream] = this.published[stream].length;
  }

  async connect(transport: "websocket" | "sse"): Promise<void> {
    if (this.line) return;
    // Over either transport: the cursor of one is good for the other.
    const places = STREAMS.map((stream): [string, Position] => [stream, { epoch: this.epoch, offset: this.seen[stream] }]);
    const cursor = this.known ? (this.cursor ?? encodeCursor(places)) : undefined;
    const line = await dial(this.#server, transport, cursor);
    this.line = line;
    const states = new Map<string, Frame>();
    const held: Frame[] = [];
    await eventually(
      "the state of every stream",
      () => {
        for (const frame of line.take()) {
          held.push(frame);
          if (frame.type !== "connected" && frame.type !== "subscribed") continue;
          for (const state of frame.streams as readonly Frame[]) states.set(String(state.stream), state); // our own frames
        }
        return states.size === STREAMS.length;
      },
      { intervalMs: 1 },
    );
    const missed: Partial<Record<Stream, string[]>> = {};
    for (const stream of STREAMS) {
      const all = this.published[stream];
      const state = states.get(stream);
      this.epoch = String(state?.epoch);
      if (!this.known) {
        expect(state).toMatchObject({ outcome: "fresh" });
        if (stream === "user") missed[stream] = all.slice(-KEEPS);
      } else if (all.length - this.seen[stream] > KEEPS) {
        expect(state).toMatchObject({ outcome: "not_recovered", reason: "window_exceeded" });
        if (stream === "user") missed[stream] = all.slice(-KEEPS); // nobody of the user's has had them
      } else {
        expect(state).toMatchObject({ outcome: "recovered", offset: this.seen[stream] });
        missed[stream] = all.slice(this.seen[stream]);
      }
      this.seen[stream] = all.length;
    }
    this.known = true;
    await this.#expectEntries(missed, held);
  }

  /** What was missed on purpose, by leaving the channel, comes back with `since`. */
  async resubscribe(): Promise<void> {
    const socket = this.line?.socket;
    if (!socket) return;
    await socket.ask({ type: "Unsubscribe", payload: { channels: ["kept"] } }, "unsubscribed");
    const { id } = await this.#server.publish(TARGETS["channel:kept"]);
    this.published["channel:kept"].push(id);
    const since = { epoch: this.epoch, offset: this.seen["channel:kept"] };
    const answer = await socket.ask({ type: "Subscribe", payload: { channels: [{ name: "kept", since }] } }, "subscribed");
    expect(answer.streams).toMatchObject([{ outcome: "recovered" }]);
    this.seen["channel:kept"]++;
    await this.#expectEntries({ "channel:kept": [id] });
  }

  async drop(): Promise<void> {
    const { line } = this;
    if (!line) return;
    this.cursor = line.lastEventId() || undefined; // over SSE the server's own cursor must be as good as ours
    await line[Symbol.asyncDispose]();
    this.line = undefined;
    await eventually("the session to be gone", () => this.#server.app.node.sessions.count() === 0, { intervalMs: 1 });
  }

  /** Exactly these, in the order of each stream, and no `gap`. */
  async #expectEntries(wanted: Partial<Record<Stream, readonly string[]>>, before: readonly Frame[] = []): Promise<void> {
    const frames = [...before];
    const total = STREAMS.reduce((sum, stream) => sum + (wanted[stream]?.length ?? 0), 0);
    const entries = () => frames.filter(({ type }) => type === "notification");
    await eventually(
      `${total} entries`,
      () => {
        frames.push(...(this.line?.take() ?? []));
        return entries().length >= total;
      },
      { intervalMs: 1 },
    );
    for (const stream of STREAMS) {
      const got = entries().filter((frame) => frame.stream === stream);
      expect(got.map(({ id }) => String(id))).toEqual([...(wanted[stream] ?? [])]);
    }
    expect(frames.filter(({ type }) => type === "gap" || type === "error")).toEqual([]);
  }
}

const STEPS = 100;

test(
  "a client that comes and goes over either transport has everything, or was told what it cannot have",
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: STEPS, maxLength: STEPS }), async (steps) => {
        const history = { size: KEEPS, ttlSeconds: 600 };
        await using server = startServer({
          quotas: { inbox: { messages: KEEPS } },
          channels: [
            { match: "kept", history },
            { match: "@broadcast", history },
          ],
        });
        const model = new Model(server);
        try {
          for (const next of steps) {
            if (next.do === "publish") await model.publish(next.stream);
            else if (next.do === "connect") await model.connect(next.transport);
            else await model[next.do]();
          }
        } finally {
          await model.drop();
        }
      }),
      fuzzSettings(STEPS),
    );
  },
  fuzzTimeoutMs(100),
);

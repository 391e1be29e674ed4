// Why: what a session reads and what is announced to its node come on two ways, in any order, and announcements may be
// lost when a broker connection breaks. Held against a plain count: every entry once, or a gap, never neither.
import { expect, test } from "bun:test";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import type { Frame } from "@nexus/server/core/frame.ts";
import { Hub } from "@nexus/server/core/hub.ts";
import type { BusListener, Entry, StreamId, StreamStore, Tenants } from "@nexus/server/core/ports.ts";
import { Session } from "@nexus/server/core/session.ts";
import fc from "fast-check";
import { fuzzSettings, fuzzTimeoutMs } from "../../support/fuzz.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";
import { recordingMetrics } from "../../support/recording-metrics.ts";
import { startServer, TENANT } from "../../support/server.ts";

const STREAM: StreamId = { kind: "channel", tenant: TENANT, channel: "kept" };
const SESSIONS = 3;
const KEEPS = 8;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

type Step =
  | { readonly do: "publish" | "arrive" | "interrupt" | "fail" | "answer" }
  | { readonly do: "join" | "read" | "release"; readonly session: number };

const ofSession = (what: "join" | "read" | "release") =>
  fc.record({ do: fc.constant(what), session: fc.integer({ min: 0, max: SESSIONS - 1 }) });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("publish" as const, "arrive" as const, "answer" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("interrupt" as const, "fail" as const) }) },
  { weight: 2, arbitrary: ofSession("join") },
  { weight: 3, arbitrary: ofSession("read") },
  { weight: 3, arbitrary: ofSession("release") },
);

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** One session's life: undefined before it joined; `from` once it has read; `live` once it was released. */
type Line = { session: Session; from: number | undefined; live: boolean; got: number[]; gaps: number[] };

class Node {
  readonly #engine = createMemoryEngine({ clock: manualServerClock(), ids: systemIds, maxBytes: 16 * 1024 * 1024 });
  readonly #hub: Hub;
  readonly #lines = new Map<number, Line>();
  /** Announced by the store and not yet at the node. */
  #inFlight: Entry[] = [];
  #listener: BusListener | undefined;
  #published = 0;
  /** Reads of the store that fail from now on. */
  #failing = 0;
  /** What sessions that have not joined yet will be given as their read. */
  readonly #early = new Map<number, number>();
  /** Reads that were done, whose answers are on their way. */
  readonly #answers: (() => void)[] = [];
  #epoch = "";

  constructor(tenants: Tenants) {
    const { store, bus } = this.#engine;
    const flaky: Pick<StreamStore, "read" | "seen" | "top"> = {
      top: store.top,
      seen: store.seen,
      read: async (stream, since) => {
        if (this.#failing > 0) {
          this.#failing--;
          throw new Error("away");
        }
        const result = await store.read(stream, since);
        await new Promise<void>((resolve) => this.#answers.push(resolve));
        return result;
      },
    };
    this.#hub = new Hub({
      ...{ store: flaky, tenants, log: silent, clock: manualServerClock(), sendQueueBytes: () => 1_000_000 },
      bus: {
        listen: async (stream, listener) => {
          this.#listener = listener;
          await bus.listen(stream, { onEntry: (entry) => this.#inFlight.push(entry), onGap: () => undefined });
        },
        leave: bus.leave,
      },
      defer: (run) => void setImmediate(run),
      overflow: () => undefined,
      metrics: recordingMetrics(),
      flusher: {
        published: () => undefined,
        measure: () => undefined,
        urge: () => undefined,
        enqueue: (session, frame) => this.#wrote(session, frame),
      },
    });
  }

  #wrote(session: Session, frame: Frame): void {
    const line = [...this.#lines.values()].find((one) => one.session === session);
    if (frame.type === "gap") line?.gaps.push(frame.places?.[0]?.position.offset ?? 0);
    else line?.got.push(frame.entry?.position?.offset ?? 0);
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "publish":
        return await this.#publish();
      case "arrive": {
        const next = this.#inFlight.shift();
        if (next) this.#listener?.onEntry(next);
        return;
      }
      case "interrupt":
        this.#inFlight = [];
        this.#listener?.onGap(STREAM, "reconnected");
        return;
      case "fail":
        this.#failing++;
        return;
      case "answer":
        this.#answers.shift()?.();
        return await nextTurn();
      default:
        return await this.#step(step.do, step.session);
    }
  }

  async #publish(): Promise<void> {
    this.#published++;
    const metadata = { source: "test", priority: "Normal" as const };
    const notification = { id: `n-${this.#published}`, occurredAt: 0, eventType: "test", payloadJson: "1", metadata };
    await this.#engine.store.publish({ stream: STREAM, notification, retention: { entries: KEEPS, ttlSeconds: 1e9 } });
  }

  async #step(what: "join" | "read" | "release", index: number): Promise<void> {
    const line = this.#lines.get(index);
    if (what === "read" && !line && this.#lines.size > 0) {
      // It will be given what another session of this node asked for before it came.
      const top = await this.#engine.store.top(STREAM);
      this.#early.set(index, top.offset);
      this.#epoch = top.epoch;
    }
    if (what === "join" && !line) {
      const identity = { tenant: TENANT, user: `u${index}`, roles: [], channels: [] };
      const session = new Session({ sessionId: `s${index}`, identity, transport: "websocket", full: true, connectedAt: 0 });
      this.#lines.set(index, { session, from: this.#early.get(index), live: false, got: [], gaps: [] });
      await this.#hub.join(session, STREAM);
    }
    if (what === "read" && line && line.from === undefined) {
      const top = await this.#engine.store.top(STREAM);
      line.from = top.offset;
      this.#epoch = top.epoch;
    }
    if (what === "release" && line && line.from !== undefined && !line.live) {
      line.live = true;
      const fan = this.#hub.find(STREAM);
      if (fan) this.#hub.release(line.session, fan, { epoch: this.#epoch, offset: line.from });
    }
  }

  /** Everything arrives, every session goes live; then each has all after its place, or was told what is missing. */
  async settle(): Promise<void> {
    for (let index = 0; index < SESSIONS; index++) {
      await this.#step("read", index);
      await this.#step("release", index);
    }
    this.#failing = 0;
    for (let turns = 0; turns < 200; turns++) {
      await this.take({ do: "arrive" });
      await this.take({ do: "answer" });
    }
    for (const { from = 0, got, gaps } of this.#lines.values()) {
      const told = Math.max(from, ...gaps);
      const due = Array.from({ length: this.#published - told }, (_, i) => told + 1 + i);
      expect(got.filter((offset) => offset > told)).toEqual(due);
      expect(Math.min(from + 1, ...got)).toBe(from + 1);
      expect(new Set(got).size).toBe(got.length);
      expect(got).toEqual([...got].sort((a, b) => a - b));
    }
  }

  close = () => this.#engine.close();
}

test(
  "every session gets every entry after its place once and in order, or is told of a gap",
  async () => {
    await using server = startServer({ channels: [{ match: "kept", history: { size: KEEPS, ttlSeconds: 1000 } }] });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const node = new Node(server.live);
        for (const one of steps) await node.take(one);
        await node.settle();
        await node.close();
      }),
      fuzzSettings(3),
    );
  },
  fuzzTimeoutMs(100),
);

// Why: the nodes that share one Redis: who they are, and how one ends the sessions of another.
// It must never call a request done while a living node did not answer it.
import { Failure } from "@nexus/protocol/failures.ts";
import { version } from "@nexus/protocol/package.json" with { type: "json" };
import type { DisconnectRequest, Fleet, NodePresence } from "../../core/fleet-ports.ts";
import type { RedisDirectory } from "./directory.ts";
import { ControlLine } from "./fleet-control.ts";
import { type Ask, readAnswer, readAsk } from "./fleet-text.ts";
import { LEASE_MS } from "./leases.ts";
import type { RedisParts } from "./parts.ts";
import { LEASE } from "./presence-scripts.ts";
import { nodeText } from "./presence-text.ts";

/** How long nodes are waited for, and when those that have not answered are asked again, in milliseconds. */
const ANSWER_MS = 2_000;
const AGAIN_MS = 400;
/** Requests whose answer is kept, for whoever asks again. */
const KEPT_ANSWERS = 1_000;

/** `lagMs`: of the last probe of announcements. */
export type RedisFleetOptions = {
  readonly parts: RedisParts;
  readonly directory: Pick<RedisDirectory, "here" | "says" | "others">;
  readonly lagMs: () => number | undefined;
};

/** `close` takes this node out at once; it never rejects. */
export type RedisFleet = Fleet & { close(): Promise<void> };

type Waiting = { readonly nodes: Set<string>; readonly heard: Set<string>; ended: number; readonly done: () => void };

export function createRedisFleet({ parts, directory, lagMs }: RedisFleetOptions): RedisFleet {
  const { link, keys, clock, ids, log, node, self, leaseMs = LEASE_MS } = parts;
  const startedAt = clock.now();
  const registry = keys.fleet("nodes");
  const control = keys.fleet("control");
  const answers = keys.fleet(`answers/${self}`);
  const beatMs = leaseMs * 0.3;
  const waiting = new Map<string, Waiting>();
  const answered = new Map<string, number>();
  let end: (request: DisconnectRequest) => number = () => 0;
  let isClosed = false;
  let isFailing = false;
  const line = new ControlLine({
    ...{ parts, beatMs, channels: [control, answers], probeChannel: keys.fleet(`probe/${self}`) },
    onMessage: (channel, text) => (channel === control ? answer(readAsk(text)) : take(text)),
  });

  function answer(ask: Ask | undefined): void {
    if (!ask || ask.from === self) return;
    const ended = answered.get(ask.id) ?? end(ask.request);
    answered.set(ask.id, ended);
    const [oldest] = answered.keys();
    if (answered.size > KEPT_ANSWERS && oldest !== undefined) answered.delete(oldest);
    reply(ask, ended);
  }

  function reply(ask: Ask, ended: number): void {
    const text = JSON.stringify({ id: ask.id, from: self, ended });
    link.call("SPUBLISH", keys.fleet(`answers/${ask.from}`), text).catch((error: unknown) => {
      log.warn("fleet.answer_failed", { error: String(error) }); // whoever asked hears of it as silence
    });
  }

  function take(text: string): void {
    const said = readAnswer(text);
    const asked = said && waiting.get(said.id);
    if (!asked || asked.heard.has(said.from)) return;
    asked.heard.add(said.from);
    asked.ended += said.ended;
    asked.nodes.delete(said.from);
    if (asked.nodes.size === 0) asked.done();
  }

  async function register(): Promise<void> {
    if (isClosed) return;
    try {
      await link.run(LEASE, [registry], [leaseMs, self, nodeText({ node, version, startedAt, ...directory.says() })]);
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.warn("fleet.lease_failed", { error: String(error) });
      isFailing = true;
    }
  }

  /** Asks every other node and waits for all that live. How many sessions they ended. */
  async function askOthers(request: DisconnectRequest): Promise<{ readonly ended: number; readonly silent: number }> {
    const nodes = new Set((await directory.others()).keys());
    if (nodes.size === 0) return { ended: 0, silent: 0 };
    const { promise, resolve } = Promise.withResolvers<void>();
    const asked: Waiting = { nodes, heard: new Set(), ended: 0, done: resolve };
    const id = ids.uuid();
    waiting.set(id, asked);
    const text = JSON.stringify({ id, from: self, request } satisfies Ask);
    try {
      const endsAt = clock.monotonic() + ANSWER_MS;
      if (!(await line.ready(ANSWER_MS))) return { ended: 0, silent: nodes.size };
      while (nodes.size > 0 && clock.monotonic() < endsAt) {
        await link.call("SPUBLISH", control, text); // who opens its line just now hears the next one
        await Promise.race([promise, wait(Math.max(0, Math.min(AGAIN_MS, endsAt - clock.monotonic())))]);
      }
      if (nodes.size === 0) return { ended: asked.ended, silent: 0 };
      const living = await directory.others();
      return { ended: asked.ended, silent: [...nodes].filter((one) => living.has(one)).length };
    } finally {
      waiting.delete(id);
    }
  }

  const beat = setInterval(() => void register(), beatMs);
  beat.unref();
  void line.ready(ANSWER_MS).then(register); // who is named here can be asked

  return {
    async nodes() {
      const others = await directory.others();
      const { sessions, users } = directory.here();
      const list: NodePresence[] = [{ node, startedAt, sessions, users }];
      for (const said of others.values()) {
        list.push({ node: said.node, startedAt: said.startedAt, sessions: said.sessions, users: said.localUsers });
      }
      return list.sort((a, b) => (a.node < b.node ? -1 : a.node > b.node ? 1 : a.startedAt - b.startedAt));
    },
    async disconnect(request) {
      const here = end(request);
      let asked: Awaited<ReturnType<typeof askOthers>>;
      try {
        asked = await askOthers(request);
      } catch (error) {
        throw new Failure({ code: "broker_unavailable", detail: `Other servers could not be asked; ${here} ended here` }, error);
      }
      if (asked.silent === 0) return here + asked.ended;
      const detail = `${asked.silent} of the servers did not answer; ${here + asked.ended} ended on those that did`;
      throw new Failure({ code: "broker_unavailable", detail });
    },
    onDisconnect(handler) {
      end = handler;
    },
    broker: () => ({ ...link.health(), lagMs: lagMs() }),
    async close() {
      isClosed = true;
      clearInterval(beat);
      line.close();
      await link.call("HDEL", registry, self).catch((error: unknown) => {
        log.debug("fleet.withdraw_failed", { error: String(error) }); // its lease runs out
      });
    },
  };
}

/** Until silent nodes are asked again; keeps no process alive. */
const wait = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms).unref());

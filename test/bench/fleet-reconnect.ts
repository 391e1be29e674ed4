// Why: a node with 10,000 sessions dies and all of them come to the two others at once, each with a cursor. Time until
// every one is live again, and what each costs Redis. Nodes, Redis and the generator share this machine's cores.
import { encodeCursor, type Position } from "@nexus/protocol/cursor.ts";
import { type StreamState, SUBPROTOCOL } from "@nexus/protocol/frames.ts";
import { eventually } from "../support/eventually.ts";
import { PULSE } from "../support/fleet/crowd.ts";
import { type Fleet, startFleet } from "../support/fleet/fleet.ts";
import { Ledger } from "../support/fleet/ledger.ts";
import { publish, toChannel } from "../support/fleet/load.ts";
import type { FleetNode } from "../support/fleet/node.ts";
import { redisCalls } from "../support/fleet/readings.ts";
import { redisInfo } from "../support/redis/admin.ts";
import { startRedis } from "../support/redis/server.ts";
import { type Listeners, openListeners } from "./load/listeners.ts";

const SESSIONS = 10_000;
const MISSED = 10;

type Places = ReadonlyMap<string, Position>;

export async function fleetReconnect(): Promise<void> {
  for (const round of ["first", "again"]) {
    await using redis = await startRedis();
    await using fleet = await startFleet({ nodes: 3, redis: { env: { NEXUS_REDIS_ADDRESSES: redis.address } } });
    const [doomed, ...others] = fleet.nodes;
    if (!doomed) throw new Error("no node");
    const ledger = new Ledger();
    const say = (n: number) => publish(fleet, toChannel(PULSE), { n, ledger });
    const known = new Map<string, Places>();
    await say(0); // so that the channel has been used
    {
      await using first = await listen(fleet, doomed, {
        from: 0,
        count: SESSIONS,
        known: new Map(),
        onPlaces: (user, places) => known.set(user, places),
      });
      await eventually("everybody is in", () => first.received() >= 2 * SESSIONS, { timeoutMs: 60_000 });
      await doomed.kill();
    }
    for (let n = 1; n <= MISSED; n++) await say(n);
    const [calls, inner] = [await redisCalls(others), Number(await redisInfo(redis, "stats", "total_commands_processed"))];
    const began = performance.now();
    const since = () => ((performance.now() - began) / 1000).toFixed(2);
    const share = SESSIONS / others.length;
    const both = await Promise.all(others.map((node, n) => listen(fleet, node, { from: n * share, count: share, known })));
    const connected = since();
    const received = () => both.reduce((sum, one) => sum + one.received(), 0);
    // `connected`, `subscribed`, and what was missed.
    await eventually("everybody has what was missed", () => received() >= SESSIONS * (2 + MISSED), { timeoutMs: 60_000, intervalMs: 5 });
    const caughtUp = since();
    const [callsAfter, innerAfter] = [await redisCalls(others), Number(await redisInfo(redis, "stats", "total_commands_processed"))];
    await say(MISSED + 1);
    await eventually("everybody is live", () => received() >= SESSIONS * (3 + MISSED), { timeoutMs: 30_000, intervalMs: 5 });
    console.log(
      `${round}: 10,000 sessions of a killed node on the two others: all let in after ${connected} s, all caught up (${MISSED} entries each) after ` +
        `${caughtUp} s, all live after ${since()} s; ${((callsAfter - calls) / SESSIONS).toFixed(2)} calls to Redis per session ` +
        `(${((innerAfter - inner) / SESSIONS).toFixed(2)} commands as Redis counts them, those inside scripts too), ` +
        `${both.reduce((sum, one) => sum + one.lost(), 0)} lost, ${ledger.refusals} publishes refused`,
    );
    for (const one of both) await one[Symbol.asyncDispose]();
  }
}

type Part = {
  readonly from: number;
  readonly count: number;
  readonly known: ReadonlyMap<string, Places>;
  readonly onPlaces?: (user: string, places: Places) => void;
};

/** Sessions in the full dialect, each in its inbox, the broadcast and the pulse. */
function listen(fleet: Fleet, node: FleetNode, { from, count, known, onPlaces }: Part): Promise<Listeners> {
  const userOf = (index: number) => `user-${from + index}`;
  const cursorOf = (user: string) => encodeCursor([...(known.get(user) ?? [])].filter(([stream]) => !stream.startsWith("channel:")));
  const pulse = `channel:${PULSE}`;
  let at: Position | undefined;
  for (const places of known.values()) at ??= places.get(pulse);
  const channels = [at ? { name: PULSE, since: at } : PULSE];
  const read = (text: string) => {
    const frame = JSON.parse(text) as { type: string; user_id?: string; streams?: readonly StreamState[] }; // our own server's frames
    if (frame.type === "connected" && frame.user_id !== undefined) onPlaces?.(frame.user_id, placesOf(frame.streams));
    if (frame.type === "subscribed") onPlaces?.(`any of ${pulse}`, placesOf(frame.streams));
  };
  return openListeners({
    ...{ url: node.url, count, atOnce: count },
    pathOf(index) {
      const user = userOf(index);
      const cursor = cursorOf(user);
      return `/ws?token=${fleet.boot.tokenOf(user)}${cursor === undefined ? "" : `&cursor=${cursor}`}`;
    },
    headers: () => `Sec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n`,
    greet: () => JSON.stringify({ type: "Subscribe", payload: { channels } }),
    ...(onPlaces ? { sampled: count, onSample: read } : {}),
  });
}

const placesOf = (streams: readonly StreamState[] = []): Places =>
  new Map(streams.map(({ stream, epoch, offset }) => [stream, { epoch, offset }]));

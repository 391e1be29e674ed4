// Why: nobody's frames may hold the node: how much a frame counts, who has a turn when, and how much may wait, with a clock
// and a loop that are moved by hand. The whole of core runs, without a port.
import { expect, test } from "bun:test";
import { CLUSTER_ENTRY_ID, type ClusterSettings, makeBuckets, sealEntry } from "@nexus/protocol/bundle.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import { createTokenVerifier } from "@nexus/server/adapters/jwt.ts";
import { createMemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import { createLiveConfig, defaultClusterSettings } from "@nexus/server/core/live-config.ts";
import { createNode } from "@nexus/server/core/node.ts";
import type { Log } from "@nexus/server/core/ports.ts";
import type { Session } from "@nexus/server/core/session.ts";
import { tenantEntry } from "../../support/bundle-entries.ts";
import { noJwks } from "../../support/jwks.ts";
import { manualServerClock } from "../../support/manual-engine-clock.ts";
import { recordingMetrics } from "../../support/recording-metrics.ts";

const FRAME_BYTES = 1600;
const silent: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

type Client = { readonly session: Session; readonly answered: unknown[]; closed: number | undefined; isPaused: boolean };

/** `writeMs`: how long each answer takes. */
async function bench(limits: Partial<ClusterSettings["limits"]>, writeMs = 0) {
  const clock = manualServerClock();
  const live = createLiveConfig({ log: silent, clock });
  const defaults = defaultClusterSettings();
  const spec = { ...defaults, limits: { ...defaults.limits, frameBytes: FRAME_BYTES, ...limits } };
  const cluster = sealEntry({ kind: "cluster" as const, id: CLUSTER_ENTRY_ID, uid: "cluster", generation: 1, spec });
  expect(live.load(makeBuckets([cluster, tenantEntry("acme")])).rejected).toEqual([]);
  const deferred: (() => void)[] = [];
  const engine = createMemoryEngine({ clock, ids: systemIds, maxBytes: 1_000_000 });
  const verifier = createTokenVerifier({ tenants: live, clock, jwks: noJwks() });
  const defer = (run: () => void, ms: number) => void (ms === 0 && deferred.push(run)); // nothing here waits for more than a turn
  const node = createNode({
    ...{ tenants: live, engine, verifier, metrics: recordingMetrics(), log: silent, clock, ids: systemIds },
    defer,
  });
  /** Everything that is due now, once; then what promises were waiting for it. */
  const turn = async () => {
    for (const run of deferred.splice(0)) run();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const open = async (user: string): Promise<Client> => {
    const identity = { tenant: "acme", user, roles: [], channels: [] };
    const session = node.sessions.create({ identity, transport: "websocket", full: false });
    const client: Client = { session, answered: [], closed: undefined, isPaused: false };
    const written = (text: string) => {
      clock.advance(writeMs);
      client.answered.push((JSON.parse(text) as { id?: unknown }).id); // the server's frames are objects
      return text.length;
    };
    node.sessions.opened(session, {
      ...{ send: written, ping: () => 1, getBufferedAmount: () => 0, cork: (callback: () => void) => callback() },
      terminate: () => undefined,
      close: (code) => {
        client.closed = code;
      },
      pause: () => {
        client.isPaused = true;
      },
      resume: () => {
        client.isPaused = false;
      },
    });
    await turn();
    return client;
  };
  return { clock, node, open, turn, say: ({ session }: Client, text: string) => node.sessions.received(session, text) };
}

const ping = (id: unknown, bytes = 0): string =>
  JSON.stringify({ type: "Ping", id, x: "" }).replace('""', `"${"x".repeat(Math.max(0, bytes - 30))}"`);
const full = (id: number): string => ping(id, FRAME_BYTES);

test("a frame of the full size counts 16 times, and a debt is paid before the next one", async () => {
  const { clock, node, open, say, turn } = await bench({ framesPerSecond: 20 });
  const ann = await open("ann");
  for (let id = 0; id < 3; id++) say(ann, full(id));
  for (let n = 0; n < 5; n++) await turn();
  expect(ann.answered).toEqual([0, 1]); // 20 - 16 leaves 4, and 4 - 16 is a debt of 12
  expect(ann.isPaused).toBe(true);
  clock.advance(600); // 12 more
  node.sessions.tick();
  await turn();
  expect(ann.answered).toEqual([0, 1]);
  clock.advance(50);
  node.sessions.tick();
  await turn();
  expect(ann.answered).toEqual([0, 1, 2]);
  expect(ann.isPaused).toBe(false);
});

test("small frames count once and are answered at once", async () => {
  const { open, say } = await bench({ framesPerSecond: 20 });
  const ann = await open("ann");
  for (let id = 0; id < 25; id++) {
    say(ann, ping(id));
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(ann.answered).toEqual([...Array(20).keys()]);
});

test("large frames of one session take turns with the frames of others", async () => {
  const { open, say, turn } = await bench({ framesPerSecond: 0 });
  const [hog, bob] = [await open("hog"), await open("bob")];
  for (let id = 0; id < 5; id++) say(hog, full(id));
  say(bob, full(0));
  await turn();
  expect([hog.answered, bob.answered]).toEqual([[0], [0]]);
  await turn();
  expect(hog.answered).toEqual([0, 1]);
  say(bob, ping(1));
  expect(bob.answered).toEqual([0, 1]);
});

test("a turn ends when its time is over; who is left has the next one first", async () => {
  const { clock, node, open, say, turn } = await bench({ framesPerSecond: 1 }, 1);
  const clients = await Promise.all(["a", "b", "c", "d", "e"].map(open));
  for (const client of clients) for (let id = 0; id < 2; id++) say(client, ping(id));
  await turn();
  expect(clients.map(({ answered }) => answered.length)).toEqual([1, 1, 1, 1, 1]);
  clock.advance(2000);
  node.sessions.tick();
  await turn();
  expect(clients.map(({ answered }) => answered.length)).toEqual([2, 2, 1, 1, 1]);
  await turn();
  expect(clients.map(({ answered }) => answered.length)).toEqual([2, 2, 2, 2, 1]);
  await turn();
  expect(clients.map(({ answered }) => answered.length)).toEqual([2, 2, 2, 2, 2]);
});

test("what waits is bounded by what it costs, not by what it says: 40,000 empty frames end the session", async () => {
  const { open, say } = await bench({ framesPerSecond: 1 });
  const ann = await open("ann");
  say(ann, ping(0));
  for (let n = 0; n < 40_000 && ann.closed === undefined; n++) say(ann, "");
  expect(ann.closed).toBe(4506);
  expect(ann.session.backlog).toBeUndefined();
});

test("one frame that is allowed is never too much to wait", async () => {
  const { open, say, turn } = await bench({ framesPerSecond: 0, frameBytes: 16_777_216 });
  const ann = await open("ann");
  say(ann, ping(7, 16_777_216 - 10));
  await turn();
  expect([ann.answered, ann.closed]).toEqual([[7], undefined]);
});

// Why: when a node dies everybody on it comes back at once, to the others. What that costs Redis decides how large a fleet
// can be. `npm run bench fleet-reconnect` does it with 10,000 and takes the time.
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { PULSE } from "../support/fleet/crowd.ts";
import { startFleet } from "../support/fleet/fleet.ts";
import { Ledger } from "../support/fleet/ledger.ts";
import { publish, toChannel, toUser } from "../support/fleet/load.ts";
import { judge } from "../support/fleet/oracle.ts";
import { Person } from "../support/fleet/person.ts";
import { redisCalls } from "../support/fleet/readings.ts";
import { startRedis } from "../support/redis/server.ts";

const PEOPLE = 400;
const MAX_CALLS = 4;

test(`${PEOPLE} sessions of a killed node go on by cursor on the two others, with at most ${MAX_CALLS} calls to Redis each`, async () => {
  await using redis = await startRedis();
  await using fleet = await startFleet({ nodes: 3, redis: { address: redis.address } });
  const [doomed, ...others] = fleet.nodes;
  if (!doomed) throw new Error("no node");
  let turn = 0;
  const place = () => (doomed.isServing ? doomed : (others[turn++ % others.length] ?? doomed));
  const people = Array.from({ length: PEOPLE }, (_, n) => {
    const user = `user-${n}`;
    return new Person({ user, token: fleet.boot.tokenOf(user), channels: [PULSE], place, onEntry: () => undefined });
  });
  await using _people = { [Symbol.asyncDispose]: async () => people.forEach((person) => void person.close()) };
  const ledger = new Ledger();
  const say = (n: number) => publish(fleet, toChannel(PULSE), { n, ledger });
  const isWhole = () => judge(ledger, people).holes === 0;
  await Promise.all(people.map((person) => person.arrive()));
  await say(0);
  await Promise.all(people.map(({ user }, n) => publish(fleet, toUser(user), { n, ledger })));
  await eventually("everybody has what was published before", isWhole);

  const idleBefore = await redisCalls(others);
  await Bun.sleep(3000); // one round of renewals: what the nodes do without anybody coming back
  const idle = (await redisCalls(others)) - idleBefore;

  const before = await redisCalls(others);
  const killedAt = performance.now();
  await doomed.kill();
  await Promise.all([1, 2, 3].map(say)); // while everybody is away
  await eventually("everybody is back", () => people.every(({ isConnected }) => isConnected), { timeoutMs: 20_000, intervalMs: 10 });
  await say(4);
  await eventually("everybody has all of it", isWhole, { timeoutMs: 20_000, intervalMs: 10 });
  const seconds = (performance.now() - killedAt) / 1000;
  const calls = (await redisCalls(others)) - before - (idle / 3) * seconds;
  console.log(
    `${PEOPLE} sessions back on two nodes after ${seconds.toFixed(1)} s, back-off of up to 2 s included: ${(calls / PEOPLE).toFixed(2)} calls to Redis each`,
  );
  expect(judge(ledger, people)).toMatchObject({ holes: 0, told: 0, repeated: 0 });
  expect(ledger.refusals).toBe(0);
  expect(calls / PEOPLE).toBeGreaterThan(0.5); // they are counted at all
  expect(calls / PEOPLE).toBeLessThanOrEqual(MAX_CALLS);
}, 60_000);

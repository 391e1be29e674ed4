// Why: `npm run soak [minutes]`: leaks need time. Three nodes, people who come and go, a mixed load and a fault in every
// window; each window is judged like a fault of the matrix, and what the nodes hold on to is drawn over the whole time.
// It must never end early because a figure is bad: figures are printed, only broken promises fail.

import { eventually } from "../support/eventually.ts";
import { type Crowd, gather } from "../support/fleet/crowd.ts";
import { type Fleet, startFleet } from "../support/fleet/fleet.ts";
import { Ledger } from "../support/fleet/ledger.ts";
import { startLoad } from "../support/fleet/load.ts";
import { judge, type Verdict } from "../support/fleet/oracle.ts";
import { redisInfo } from "../support/redis/admin.ts";
import { startRedis } from "../support/redis/server.ts";
import { processVitals, slopePerMinute, type Vitals } from "./vitals.ts";

const minutes = Number(process.argv[2] ?? 20);
if (!(minutes >= 1)) throw new Error("usage: npm run soak [minutes], at least 1");

const PEOPLE = 600;
/** Before and after the fault of a window, while links break. */
const HALF_WINDOW_MS = 20_000;
const SAMPLE_MS = 5_000;
/** Every person's link breaks about once in so many milliseconds. */
const LINK_LIFE_MS = 30_000;
/** Memory still settles: buffers grow to what the load needs. */
const WARM_UP_SHARE = 0.3;
const RATES = { users: 60, kept: 20, live: 10, broadcast: 1 };
const MIB = 1024 * 1024;

type Strike = { readonly name: string; readonly strike: (fleet: Fleet) => Promise<void> | void };

await using redis = await startRedis({ settings: ["appendonly yes", "appendfsync everysec"] });
await using fleet = await startFleet({ nodes: 3, redis: { address: redis.address } });
await using crowd = await gather(fleet, PEOPLE);

const each = (act: (proxy: Fleet["proxies"][number]) => void) => (of: Fleet) => {
  for (const proxy of of.proxies) act(proxy);
};
const STRIKES: readonly Strike[] = [
  { name: "no fault", strike: () => undefined },
  { name: "connections to Redis reset", strike: each((proxy) => proxy.cut()) },
  { name: "silent subscriptions", strike: each((proxy) => proxy.mute()) },
  {
    name: "cut off for 2 s",
    async strike(of) {
      each((proxy) => proxy.hold())(of);
      await Bun.sleep(2000);
      each((proxy) => proxy.release())(of);
    },
  },
  {
    name: "Redis restarted",
    async strike() {
      await redis.kill();
      await redis.restart();
    },
  },
];

const samples = fleet.nodes.map((): Vitals[] => []);
async function sample(): Promise<void> {
  const connections = Number(await redisInfo(redis, "clients", "connected_clients").catch(() => Number.NaN)); // it is being restarted
  for (const [index, node] of fleet.nodes.entries()) {
    samples[index]?.push({ at: performance.now(), ...(await processVitals(node.pid)), redis: connections });
  }
}

/** People's links break at random; returns how to end that. */
function churn({ people }: Crowd): () => void {
  const timer = setInterval(() => {
    for (const person of people) if (Math.random() < 250 / LINK_LIFE_MS) person.drop();
  }, 250);
  return () => clearInterval(timer);
}

async function judged(ledger: Ledger): Promise<Verdict> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const verdict = judge(ledger, crowd.people);
    if (verdict.holes === 0 || performance.now() > deadline) return verdict;
    await Bun.sleep(250);
  }
}

let broken = 0;
const sampling = setInterval(() => void sample(), SAMPLE_MS);
const beganAt = performance.now();
console.log(`soak: ${minutes} minutes, 3 nodes, ${PEOPLE} people whose links live ${LINK_LIFE_MS / 1000} s`);
for (let window = 0; performance.now() - beganAt < minutes * 60_000; window++) {
  const { name, strike } = STRIKES[window % STRIKES.length] ?? { name: "", strike: () => undefined };
  const ledger = new Ledger();
  for (const person of crowd.people) {
    for (const got of person.got.values()) got.clear();
    person.told.clear();
    person.repeated.length = 0;
    person.errors.length = 0;
  }
  const stopChurn = churn(crowd);
  const load = startLoad(fleet, crowd, { ledger, rates: RATES });
  await Bun.sleep(HALF_WINDOW_MS); // time is what a soak is made of
  await strike(fleet);
  await Bun.sleep(HALF_WINDOW_MS);
  stopChurn();
  const calmAt = performance.now();
  try {
    await eventually(
      "everybody is back and hears the pulse",
      () => crowd.people.every(({ isConnected }) => isConnected) && crowd.silence.isAliveSince(calmAt),
      { timeoutMs: 60_000 },
    );
  } catch (error) {
    for (const { name: node, isServing, lines } of fleet.nodes) {
      const complaints = lines.filter(({ level, event }) => (level === "warn" || level === "error") && event !== "hub.gap");
      console.log(`${node} ${isServing ? "serves" : "is gone"}: ${JSON.stringify(complaints.slice(-8))}`);
    }
    throw error;
  }
  await load.stop();
  const verdict = await judged(ledger);
  if (verdict.holes > 0 || verdict.repeated > 0) broken++;
  const rss = samples.map((of) => `${Math.round((of.at(-1)?.rssBytes ?? 0) / MIB)}`).join("/");
  const handles = samples.map((of) => of.at(-1)?.handles ?? 0).join("/");
  console.log(
    `${String(window + 1).padStart(3)} ${name.padEnd(28)} accepted ${ledger.accepted}, owed ${verdict.owed}, told ${verdict.told}, holes ${verdict.holes}, repeated ${verdict.repeated}; RSS ${rss} MiB, handles ${handles}, Redis connections ${samples[0]?.at(-1)?.redis}`,
  );
  for (const example of verdict.examples) console.log(`    ${example}`);
}
clearInterval(sampling);

console.log("\nafter the warm-up, per minute:");
for (const [index, of] of samples.entries()) {
  const settled = of.slice(Math.floor(of.length * WARM_UP_SHARE));
  const slope = (value: (one: Vitals) => number) =>
    slopePerMinute(settled.map((one) => ({ at: one.at, value: value(one) })).filter((point) => !Number.isNaN(point.value)));
  const rss = slope(({ rssBytes }) => rssBytes) / 1024;
  console.log(
    `${fleet.nodes[index]?.name}: RSS ${rss >= 0 ? "+" : ""}${rss.toFixed(0)} KiB, handles ${slope(({ handles }) => handles).toFixed(2)}, Redis connections (all) ${slope((one) => one.redis).toFixed(2)}`,
  );
}
fleet.checkErrors();
console.log(broken === 0 ? "no promise was broken" : `${broken} windows with broken promises`);
process.exitCode = broken === 0 ? 0 : 1;

// Why: what counting costs where it matters most: server CPU per delivery with metrics as they ship, and with a port that does
// nothing, under the same load, in turns.
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { createMetrics } from "@nexus/server/adapters/metrics.ts";
import { cpuPerDelivery, deliver, percentile, pinGenerator, startTarget } from "./load/targets.ts";

type Shape = {
  readonly name: string;
  readonly listeners: number;
  readonly burst: number;
  readonly perSecond?: number;
  readonly to: "channel" | "user";
};

const SHAPES: readonly Shape[] = [
  // At a rate, not one after the other: how much is gathered decides what a delivery costs, and would differ by chance.
  { name: "1 channel x 1,000, 400 publishes a second", listeners: 1000, burst: 8, perSecond: 400, to: "channel" },
  { name: "1 channel x 1,000, 32 in flight", listeners: 1000, burst: 32, to: "channel" },
  { name: "1,000 users, 2,000 sends a second", listeners: 1000, burst: 32, perSecond: 2000, to: "user" },
];
const FLAGS = { counted: [], silent: ["--no-metrics"] } as const;
type Kind = keyof typeof FLAGS;
const ROUNDS = 7;
const SECONDS = 4;
const CALLS = 1_000_000;

async function measure({ listeners: count, burst, perSecond, to }: Shape, kind: Kind): Promise<number> {
  await using target = await startTarget("nexus", FLAGS[kind]);
  await using listeners = await target.listen(count, () => (to === "channel" ? ["news"] : []));
  const requests = target.publishes(
    (index) => (to === "channel" ? { channel: "news" } : { user: `user-${index % count}` }),
    () => "hello",
    burst,
  );
  const rate = perSecond === undefined ? {} : { perSecond };
  await deliver(target, listeners, { requests, seconds: 1, ...rate }); // warm
  return cpuPerDelivery(await deliver(target, listeners, { requests, seconds: SECONDS, ...rate }));
}

/** What the calls cost that a publish, a fan-out and a write make, alone in a process; nanoseconds each. */
function calls(): string {
  const metrics = createMetrics({ version: "0", tenants: 100 });
  const tenants = { isDeclared: () => true, ids: () => ["acme"], sessionsLimit: () => undefined, digest: () => "1" };
  const nothing = { subscriptions: 0, queuedBytes: 0, slowSessions: 0 };
  metrics.observe({
    ...{
      ready: () => true,
      draining: () => false,
      degraded: () => false,
      users: () => 0,
      channels: () => 0,
      load: () => nothing,
      jwksOutage: () => 0,
    },
    ...{ certificateExpiry: () => 0, purgesPending: () => 0, limits: () => ({ sessions: 0, sendQueueBytes: 0 }), tenants },
    bundle: () => ({ tenants: 1, templates: 0, rejected: 0, ageSeconds: 0 }),
    logLines: () => ({ debug: 0, info: 0, warn: 0, error: 0 }),
  });
  const tally = metrics.tally("acme");
  if (!tally) throw new Error("acme is declared");
  const all: Readonly<Record<string, (index: number) => void>> = {
    published: () => metrics.published("channel", "published", "acme"),
    publishTook: (index) => metrics.publishTook("channel", index % 7),
    fannedOut: (index) => metrics.fannedOut((index % 7) / 10),
    deliveryLatency: (index) => metrics.deliveryLatency(index % 20),
    delivered: () => metrics.delivered("websocket", 1000),
    "a session's own": () => {
      tally.deliveries += 1;
    },
    "the clock": () => void systemClock.monotonic(),
  };
  return Object.entries(all)
    .map(([name, call]) => {
      for (let i = 0; i < CALLS; i++) call(i); // warm
      const began = performance.now();
      for (let i = 0; i < CALLS; i++) call(i);
      return `${name} ${(((performance.now() - began) / CALLS) * 1e6).toFixed(0)}`;
    })
    .join(", ");
}

export async function metricsCpu(): Promise<void> {
  pinGenerator();
  console.log(`nanoseconds a call: ${calls()}`);
  for (const shape of SHAPES) {
    const each: Record<Kind, number[]> = { counted: [], silent: [] };
    for (let round = 0; round < ROUNDS; round++) {
      // In turns, and who is first changes: the machine warms up and others come and go.
      const order: readonly Kind[] = round % 2 === 0 ? ["counted", "silent"] : ["silent", "counted"];
      for (const kind of order) each[kind].push(await measure(shape, kind));
    }
    // The rounds the machine disturbed least: others share its caches, and only ever add.
    const [counted, silent] = [Math.min(...each.counted), Math.min(...each.silent)];
    const all = (values: readonly number[]) => values.map((value) => value.toFixed(2)).join(" ");
    console.log(
      `${shape.name}: ${counted.toFixed(2)} us CPU per delivery with metrics, ${silent.toFixed(2)} without ` +
        `(${(((counted - silent) / counted) * 100).toFixed(1)} % of it), medians ${percentile(each.counted, 0.5).toFixed(2)} and ` +
        `${percentile(each.silent, 0.5).toFixed(2)}; rounds ${all(each.counted)} | ${all(each.silent)}`,
    );
  }
}

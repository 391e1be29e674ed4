// Why: what tracing costs: not configured, on with nothing sampled, with one in a hundred and with everything, under the same
// load, in turns, with a collector that takes whatever comes. What a collector does with it is not measured.
import { runRequests } from "./load/requests.ts";
import { cpuPerDelivery, deliver, type PublishTo, percentile, pinGenerator, startTarget, type Target } from "./load/targets.ts";
import { cpuSeconds, rssKiB } from "./process.ts";

const KINDS = ["off", "0 %", "1 %", "100 %"] as const;
type Kind = (typeof KINDS)[number];

type Shape = { readonly name: string; readonly of: string; readonly measure: (target: Target) => Promise<Figures> };
type Figures = { readonly cpu: number; readonly perSecond: number; readonly rssMiB: number };

const ROUNDS = 3;
const SECONDS = 4;
/** One publish in a hundred takes another way through the code, and the compiler needs so long to have seen both. */
const WARM_SECONDS = 10;
const CONNECTIONS = 64;

/** Publishes at full speed that nobody hears: two spans each. */
const publishing = (toOf: (count: number) => PublishTo) => async (target: Target) => {
  const requests = target.publishes(toOf, () => "hello", CONNECTIONS);
  await runRequests(requests, WARM_SECONDS);
  const before = cpuSeconds(target.pid);
  const { answered, seconds } = await runRequests(requests, SECONDS);
  const cpu = ((cpuSeconds(target.pid) - before) / answered) * 1e6;
  return { cpu, perSecond: answered / seconds, rssMiB: rssKiB(target.pid) / 1024 };
};

type Delivering = { readonly listeners: number; readonly channels: readonly string[]; readonly toOf: (count: number) => PublishTo };

/** Deliveries of so many publishes a second, or as many as there can be. */
const delivering =
  ({ listeners: count, channels, toOf }: Delivering, pace?: number) =>
  async (target: Target) => {
    await using listeners = await target.listen(count, () => channels);
    const requests = target.publishes(toOf, () => "hello", 32);
    const rate = pace === undefined ? {} : { perSecond: pace };
    await deliver(target, listeners, { requests, seconds: WARM_SECONDS, ...rate });
    const delivered = await deliver(target, listeners, { requests, seconds: SECONDS, ...rate });
    if (delivered.lost > 0) console.log(`${delivered.lost} deliveries were lost`);
    return { cpu: cpuPerDelivery(delivered), perSecond: delivered.publishes / delivered.seconds, rssMiB: rssKiB(target.pid) / 1024 };
  };

const USERS = 1000;
const SHAPES: readonly Shape[] = [
  { name: "REST, to users who are away", of: "publish", measure: publishing((count) => ({ user: `user-${count % 10_000}` })) },
  {
    ...{ name: `${USERS} users, 2,000 sends a second`, of: "delivery" },
    measure: delivering({ listeners: USERS, channels: [], toOf: (count) => ({ user: `user-${count % USERS}` }) }, 2000),
  },
  {
    ...{ name: "1 channel x 1,000, 32 in flight", of: "delivery" },
    measure: delivering({ listeners: 1000, channels: ["news"], toOf: () => ({ channel: "news" }) }),
  },
];

export async function tracing(): Promise<void> {
  pinGenerator();
  let bytes = 0;
  const collector = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      bytes += (await request.arrayBuffer()).byteLength;
      return new Response();
    },
  });
  const flagsOf = (kind: Kind): readonly string[] =>
    kind === "off" ? [] : ["--trace-to", collector.url.href, "--trace-percent", kind.replace(" %", "")];
  for (const { name, of, measure } of SHAPES) {
    const each: Record<Kind, Figures[]> = { off: [], "0 %": [], "1 %": [], "100 %": [] };
    const sent: Record<Kind, number> = { off: 0, "0 %": 0, "1 %": 0, "100 %": 0 };
    for (let round = 0; round < ROUNDS; round++) {
      // In turns, and who is first changes: the machine warms up and others come and go.
      const order = [...KINDS.slice(round % KINDS.length), ...KINDS.slice(0, round % KINDS.length)];
      for (const kind of order) {
        bytes = 0;
        await using target = await startTarget("nexus", flagsOf(kind));
        each[kind].push(await measure(target));
        sent[kind] += bytes;
      }
    }
    const middle = (kind: Kind, part: keyof Figures) =>
      percentile(
        each[kind].map((figures) => figures[part]),
        0.5,
      );
    for (const kind of KINDS) {
      const [cpu, off] = [middle(kind, "cpu"), middle("off", "cpu")];
      console.log(
        `${name}, ${kind.padStart(5)}: ${cpu.toFixed(2)} us CPU per ${of} (${(cpu / off).toFixed(2)} x off), ${middle(kind, "perSecond").toFixed(0)} publishes/s, ` +
          `${middle(kind, "rssMiB").toFixed(0)} MiB, ${(sent[kind] / ROUNDS / 1e6).toFixed(1)} MB of spans a round; ` +
          `rounds ${each[kind].map((figures) => figures.cpu.toFixed(2)).join(" ")}`,
      );
    }
  }
  await collector.stop(true);
}

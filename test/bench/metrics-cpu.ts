// Why: what counting costs where it matters most: server CPU per delivery with metrics as they ship, and with a port that does
// nothing, under the same load, in turns.
import { cpuPerDelivery, deliver, percentile, pinGenerator, startTarget } from "./load/targets.ts";

type Shape = {
  readonly name: string;
  readonly listeners: number;
  readonly burst: number;
  readonly perSecond?: number;
  readonly to: "channel" | "user";
};

const SHAPES: readonly Shape[] = [
  { name: "1 channel x 1,000, 1 in flight", listeners: 1000, burst: 1, to: "channel" },
  { name: "1 channel x 1,000, 32 in flight", listeners: 1000, burst: 32, to: "channel" },
  { name: "1,000 users, 2,000 sends a second", listeners: 1000, burst: 32, perSecond: 2000, to: "user" },
];
const FLAGS = { counted: [], silent: ["--no-metrics"] } as const;
type Kind = keyof typeof FLAGS;
const ROUNDS = 5;
const SECONDS = 4;

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

export async function metricsCpu(): Promise<void> {
  pinGenerator();
  for (const shape of SHAPES) {
    const each: Record<Kind, number[]> = { counted: [], silent: [] };
    for (let round = 0; round < ROUNDS; round++) {
      // In turns, and who is first changes: the machine warms up and others come and go.
      const order: readonly Kind[] = round % 2 === 0 ? ["counted", "silent"] : ["silent", "counted"];
      for (const kind of order) each[kind].push(await measure(shape, kind));
    }
    const [counted, silent] = [percentile(each.counted, 0.5), percentile(each.silent, 0.5)];
    const all = (values: readonly number[]) => values.map((value) => value.toFixed(2)).join(" ");
    console.log(
      `${shape.name}: ${counted.toFixed(2)} us CPU per delivery with metrics, ${silent.toFixed(2)} without ` +
        `(${(((counted - silent) / counted) * 100).toFixed(1)} % of it); rounds ${all(each.counted)} | ${all(each.silent)}`,
    );
  }
}

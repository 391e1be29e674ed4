// Why: fan-out decides how many pods a fleet needs. Server CPU per delivered notification, beside a raw Bun server that
// publishes each message at once and one that gathers for 2 ms, under the same closed load of publishers.
import { cpuPerDelivery, deliver, pinGenerator, startTarget, type TargetKind } from "./load/targets.ts";

type Shape = { readonly name: string; readonly listeners: number; readonly channels: number; readonly each: number };

const SHAPES: readonly Shape[] = [
  { name: "1 channel x 1,000", listeners: 1000, channels: 1, each: 1 },
  { name: "1 channel x 5,000", listeners: 5000, channels: 1, each: 1 },
  { name: "1,000 channels x 10", listeners: 1000, channels: 1000, each: 10 },
];
const KINDS: readonly TargetKind[] = ["floor", "floor gathered 2 ms", "nexus"];
const SECONDS = 5;

/** `burst`: requests in flight at once; 1 is one message per tick. */
async function measure(shape: Shape, burst: number): Promise<void> {
  const cpu = new Map<TargetKind, number>();
  for (const kind of KINDS) {
    await using target = await startTarget(kind);
    const channelsOf = (index: number) => Array.from({ length: shape.each }, (_, i) => `channel-${(index + i) % shape.channels}`);
    await using listeners = await target.listen(shape.listeners, channelsOf);
    const requests = target.publishes(
      (count) => ({ channel: `channel-${count % shape.channels}` }),
      () => "hello",
      burst,
    );
    await deliver(target, listeners, { requests, seconds: 1 }); // warm
    const result = await deliver(target, listeners, { requests, seconds: SECONDS });
    const each = cpuPerDelivery(result);
    cpu.set(kind, each);
    const against = (floor: TargetKind) => `${(each / (cpu.get(floor) ?? Number.NaN)).toFixed(2)} x ${floor}`;
    const ratios = kind === "nexus" ? `, ${against("floor")}, ${against("floor gathered 2 ms")}` : "";
    console.log(
      `${shape.name}, ${burst} in flight: ${kind.padEnd(20)} ${(result.deliveries / result.seconds / 1000).toFixed(0).padStart(5)}k/s, ` +
        `${(result.publishes / result.seconds).toFixed(0).padStart(6)} publishes/s, ${each.toFixed(2)} us CPU each${ratios}${result.lost > 0 ? `, ${result.lost} lost` : ""}`,
    );
  }
}

export async function fanOut(): Promise<void> {
  pinGenerator();
  for (const shape of SHAPES) for (const burst of [1, 32]) await measure(shape, burst);
}

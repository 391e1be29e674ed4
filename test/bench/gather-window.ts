// Why: gathering trades latency for CPU. The curve of that trade at fixed publish rates, with the window held still and
// with the adaptive one, so that its limits can be judged.
import { cpuPerDelivery, deliver, pinGenerator, startTarget } from "./load/targets.ts";
import { timing } from "./load/timing.ts";

const LISTENERS = 1000;
const SAMPLED = 20;
const SECONDS = 4;
const RATES = [10, 50, 150, 400];
const WINDOWS = ["0", "1", "2", "5", "adaptive"] as const;

export async function gatherWindow(): Promise<void> {
  pinGenerator();
  for (const window of WINDOWS) {
    await using target = await startTarget("nexus", window === "adaptive" ? [] : ["--window", window]);
    const times = timing();
    await using listeners = await target.listen(LISTENERS, () => ["channel-0"], { sampled: SAMPLED, onSample: times.onSample });
    const requests = target.publishes(() => ({ channel: "channel-0" }), times.payload);
    await deliver(target, listeners, { requests, seconds: 1, perSecond: 50 });
    const cells: string[] = [];
    for (const rate of RATES) {
      times.reset();
      const result = await deliver(target, listeners, { requests, seconds: SECONDS, perSecond: rate });
      cells.push(
        `${rate}/s ${cpuPerDelivery(result).toFixed(2)} us, p50 ${times.at(0.5).toFixed(1)} ms, p99 ${times.at(0.99).toFixed(1)} ms`,
      );
    }
    console.log(`window ${window.padEnd(8)} ms: ${cells.join(" | ")}`);
  }
}

// Why: gathering trades latency for CPU. The curve of that trade at fixed publish rates, with the window held still and
// with the adaptive one, so that its limits can be judged.
import { cpuPerDelivery, deliver, percentile, pinGenerator, startTarget } from "./load/targets.ts";

const LISTENERS = 1000;
const SAMPLED = 20;
const SECONDS = 4;
const RATES = [10, 50, 150, 400];
const WINDOWS = ["0", "1", "2", "5", "adaptive"] as const;

export async function gatherWindow(): Promise<void> {
  pinGenerator();
  for (const window of WINDOWS) {
    await using target = await startTarget("nexus", window === "adaptive" ? [] : ["--window", window]);
    const took: number[] = [];
    const onSample = (text: string) => {
      const at = /at:(\d+(?:\.\d+)?)/.exec(text)?.[1];
      if (at !== undefined) took.push(performance.now() - Number(at));
    };
    await using listeners = await target.listen(LISTENERS, () => ["channel-0"], { sampled: SAMPLED, onSample });
    const requests = target.publishes(
      () => ({ channel: "channel-0" }),
      () => `at:${performance.now()}`,
    );
    await deliver(target, listeners, { requests, seconds: 1, perSecond: 50 });
    const cells: string[] = [];
    for (const rate of RATES) {
      took.length = 0;
      const result = await deliver(target, listeners, { requests, seconds: SECONDS, perSecond: rate });
      cells.push(
        `${rate}/s ${cpuPerDelivery(result).toFixed(2)} us, p50 ${percentile(took, 0.5).toFixed(1)} ms, p99 ${percentile(took, 0.99).toFixed(1)} ms`,
      );
    }
    console.log(`window ${window.padEnd(8)} ms: ${cells.join(" | ")}`);
  }
}

// Why: latency only means something at a load the server carries: half of what it took at full speed, one channel with
// 1,000 listeners, from the publisher's request to the listener's socket. And a Ping beside it: how long a frame waits.
import { deliver, percentile, pinGenerator, startTarget, type TargetKind } from "./load/targets.ts";
import { timing } from "./load/timing.ts";

const LISTENERS = 1000;
const SAMPLED = 20;
const SECONDS = 8;
const PING_EVERY_MS = 20;
const KINDS: readonly TargetKind[] = ["floor", "floor gathered 2 ms", "nexus"];

export async function latency(): Promise<void> {
  pinGenerator();
  for (const kind of KINDS) {
    await using target = await startTarget(kind);
    const times = timing();
    await using listeners = await target.listen(LISTENERS, () => ["channel-0"], { sampled: SAMPLED, onSample: times.onSample });
    const requests = target.publishes(() => ({ channel: "channel-0" }), times.payload);
    const full = await deliver(target, listeners, { requests, seconds: 4 });
    const half = Math.max(1, Math.floor(full.publishes / full.seconds / 2));
    times.reset();
    const echoes: number[] = [];
    let sentAt = 0;
    await using pinger = await target.listen(1, () => [], { sampled: 1, onSample: () => echoes.push(performance.now() - sentAt) });
    const pinging = setInterval(() => {
      sentAt = performance.now();
      pinger.send(0, kind === "nexus" ? '{"type":"Ping"}' : "ping");
    }, PING_EVERY_MS);
    echoes.length = 0;
    const result = await deliver(target, listeners, { requests, seconds: SECONDS, perSecond: half });
    clearInterval(pinging);
    console.log(
      `${kind.padEnd(20)} full speed ${(full.publishes / full.seconds).toFixed(0)} publishes/s; at ${half}/s ${(result.deliveries / result.seconds / 1000).toFixed(0)}k deliveries/s: ` +
        `p50 ${times.at(0.5).toFixed(2)} ms, p99 ${times.at(0.99).toFixed(2)} ms; echo p50 ${percentile(echoes, 0.5).toFixed(2)} ms, p99 ${percentile(echoes, 0.99).toFixed(2)} ms`,
    );
  }
}

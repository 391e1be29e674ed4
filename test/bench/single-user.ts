// Why: most notifications go to one person. Server CPU per delivery at 2,000 sends a second over REST to 1,000 users with
// one socket each, beside the floor; and how long a send takes from request to socket.
import { cpuPerDelivery, deliver, pinGenerator, startTarget, type TargetKind } from "./load/targets.ts";
import { timing } from "./load/timing.ts";

const PER_SECOND = 2000;
const USERS = 1000;
const SAMPLED = 50;
const SECONDS = 8;
const KINDS: readonly TargetKind[] = ["floor", "nexus"];

export async function singleUser(): Promise<void> {
  pinGenerator();
  let floor = Number.NaN;
  for (const kind of KINDS) {
    await using target = await startTarget(kind);
    const times = timing();
    await using listeners = await target.listen(USERS, () => [], { sampled: SAMPLED, onSample: times.onSample });
    const requests = target.publishes((count) => ({ user: `user-${count % USERS}` }), times.payload, 64);
    await deliver(target, listeners, { requests, seconds: 1, perSecond: PER_SECOND });
    times.reset();
    const result = await deliver(target, listeners, { requests, seconds: SECONDS, perSecond: PER_SECOND });
    const each = cpuPerDelivery(result);
    if (kind === "floor") floor = each;
    console.log(
      `${kind.padEnd(6)} ${(result.deliveries / result.seconds).toFixed(0)} deliveries/s: ${each.toFixed(1)} us CPU each` +
        `${kind === "nexus" ? ` (${(each / floor).toFixed(2)} x floor)` : ""}, request to socket p50 ${times.at(0.5).toFixed(2)} ms, p99 ${times.at(0.99).toFixed(2)} ms`,
    );
  }
}

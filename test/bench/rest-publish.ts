// Why: what one core takes over REST when nobody listens: the price of authentication, JSON, limits and one append.

import { runRequests } from "./load/requests.ts";
import { pinGenerator, startTarget, type TargetKind } from "./load/targets.ts";
import { cpuSeconds } from "./process.ts";

const SECONDS = 5;
const CONNECTIONS = 64;
const KINDS: readonly TargetKind[] = ["floor", "nexus"];

export async function restPublish(): Promise<void> {
  pinGenerator();
  for (const [name, toOf] of [
    ["to a channel", () => ({ channel: "channel-0" })],
    ["to a user who is away", (count: number) => ({ user: `user-${count % 10_000}` })],
  ] as const) {
    let floor = Number.NaN;
    for (const kind of KINDS) {
      await using target = await startTarget(kind);
      const requests = target.publishes(toOf, () => "hello", CONNECTIONS);
      await runRequests(requests, 2);
      const before = cpuSeconds(target.pid);
      const { answered, refused, seconds } = await runRequests(requests, SECONDS);
      const cpu = ((cpuSeconds(target.pid) - before) / answered) * 1e6;
      if (kind === "floor") floor = cpu;
      const ratio = kind === "nexus" ? ` (${(cpu / floor).toFixed(2)} x floor)` : "";
      console.log(
        `${name}: ${kind.padEnd(6)} ${(answered / seconds).toFixed(0)} publishes/s, ${cpu.toFixed(1)} us CPU each${ratio}${refused > 0 ? `, ${refused} refused` : ""}`,
      );
    }
  }
}

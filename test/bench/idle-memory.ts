// Why: memory per idle session decides how many pods a fleet needs. Measured as growth of the resident size over N
// authenticated sessions with one channel each, over both transports, beside a raw Bun server in the same run.
import { pinGenerator, startTarget, type TargetKind } from "./load/targets.ts";
import { rssKiB, settledRssKiB } from "./process.ts";

const KINDS: readonly TargetKind[] = ["floor", "nexus"];

/** Prints KiB per idle session of Nexus and of the floor, and their ratio. */
export async function idleMemory(count = 10_000): Promise<void> {
  pinGenerator();
  for (const transport of ["websocket", "sse"] as const) {
    let floorEach = Number.NaN;
    for (const kind of KINDS) {
      await using target = await startTarget(kind);
      const before = await settledRssKiB(target.pid);
      const began = performance.now();
      await using listeners = await target.listen(count, () => ["news"], transport === "sse" ? { transport } : {});
      const perSecond = count / ((performance.now() - began) / 1000);
      const highest = rssKiB(target.pid);
      const after = await settledRssKiB(target.pid);
      const each = (after - before) / count;
      if (kind === "floor") floorEach = each;
      console.log(
        `${transport.padEnd(9)} ${kind.padEnd(6)} idle ${(before / 1024).toFixed(0)} MiB, with ${count} sessions ${(after / 1024).toFixed(0)} MiB ` +
          `(at once ${(highest / 1024).toFixed(0)}): ${each.toFixed(2)} KiB each (${(each / floorEach).toFixed(2)} x floor), ` +
          `${perSecond.toFixed(0)} connects/s, ${listeners.lost()} lost`,
      );
    }
  }
}

// Why: after a rollout everybody comes back at once. Time until 5,000 sessions are connected and subscribed again, and
// 10,000 with a cursor behind which entries wait, beside a floor that only upgrades and answers.
import { encodeCursor, type Position } from "@nexus/protocol/cursor.ts";
import { runRequests } from "./load/requests.ts";
import { pinGenerator, startTarget, type Target, type TargetKind } from "./load/targets.ts";

const KINDS: readonly TargetKind[] = ["floor", "nexus"];
const MISSED = 10;

export async function reconnect(): Promise<void> {
  pinGenerator();
  for (const kind of KINDS) {
    await using target = await startTarget(kind);
    for (const round of ["first", "again", "again"]) {
      const began = performance.now();
      await using listeners = await target.listen(5000, () => ["channel-0"], { atOnce: 5000 });
      const seconds = (performance.now() - began) / 1000;
      console.log(
        `${kind.padEnd(6)} 5,000 connect and subscribe (${round}): ${seconds.toFixed(2)} s, ${(5000 / seconds).toFixed(0)}/s, ${listeners.lost()} lost`,
      );
    }
  }
  await using target = await startTarget("nexus", ["--history"]);
  const place = await placeOf(target);
  const requests = target.publishes(
    () => ({ channel: "channel-0" }),
    () => "missed",
    1,
  );
  await runRequests(requests, 1, MISSED);
  const cursor = encodeCursor([["channel:channel-0", place]]) ?? "";
  const began = performance.now();
  await using listeners = await target.listen(10_000, () => ["channel-0"], { atOnce: 10_000, query: `&cursor=${cursor}` });
  const ready = (performance.now() - began) / 1000;
  let received = -1;
  while (received !== listeners.received()) {
    received = listeners.received();
    await Bun.sleep(50);
  }
  const caughtUp = (performance.now() - began) / 1000 - 0.05;
  console.log(
    `nexus  10,000 with cursors, ${MISSED} entries behind: all subscribed after ${ready.toFixed(2)} s, all caught up after ${caughtUp.toFixed(2)} s, ` +
      `${received - 10_000} of ${10_000 * MISSED} entries, ${listeners.lost()} lost`,
  );
}

/** Where `channel-0` stands, as its first listener is told. */
async function placeOf(target: Target): Promise<Position> {
  const told = Promise.withResolvers<Position>();
  const onSample = (text: string) => {
    const frame = JSON.parse(text) as { type: string; streams?: readonly Position[] }; // our own server's frames
    const place = frame.type === "subscribed" ? frame.streams?.[0] : undefined;
    if (place) told.resolve({ epoch: place.epoch, offset: place.offset });
  };
  await using _listener = await target.listen(1, () => ["channel-0"], { sampled: 1, onSample });
  return await told.promise;
}

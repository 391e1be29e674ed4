// Why: pods that are new stay empty while sessions last: after a growth the fullest hand over what is above the mean. It must
// never begin before the new pods are ready, nor go on for ever: people are moved a few times at the most.
import { keyOfObject } from "../../desired/acceptance.ts";
import { shedOrders, type Weight } from "../../plan/balance.ts";
import { seenPods } from "./pods.ts";
import type { FleetWork } from "./work.ts";

/** New pods that take longer find their sessions by themselves. */
const GIVE_UP_MS = 600_000;
const ROUNDS = 4;

/** `size`: pods asked for now. */
export async function balanceAfterGrowth(work: FleetWork, size: number): Promise<void> {
  const { cluster, deps } = work;
  const { scaling } = deps;
  const key = keyOfObject(cluster);
  const memory = scaling.memory(key);
  const nowMs = scaling.clock.monotonicMs();
  const hasGrown = memory.size !== undefined && size > memory.size && size > 1;
  memory.size = size;
  if (hasGrown) memory.balance = { untilMs: nowMs + GIVE_UP_MS, busyUntilMs: 0, rounds: 0 };
  const { balance } = memory;
  if (balance && nowMs >= balance.untilMs) memory.balance = undefined;
  scaling.read(key, "balance", memory.balance !== undefined);
  const round = scaling.loads.last(key);
  if (!memory.balance || !balance || !round || nowMs < balance.busyUntilMs || round.atMs < balance.busyUntilMs) return;
  const { staying } = seenPods(work, round);
  const weights = staying.flatMap(({ uid, isReady, said }): Weight[] =>
    isReady && said?.load ? [{ pod: uid, sessions: said.sessions, acceptsPerSecond: said.load.accepts_per_second }] : [],
  );
  if (weights.length < Math.max(size, staying.length)) return; // some are not ready yet
  const orders = balance.rounds < ROUNDS ? shedOrders(weights) : [];
  if (orders.length === 0) {
    memory.balance = undefined;
    scaling.read(key, "balance", false);
    return;
  }
  balance.rounds++;
  const seconds = Math.max(...orders.map(({ sessions, perSecond }) => sessions / perSecond));
  // They come back over the jitter they were told; only then does it show where they went.
  balance.busyUntilMs = nowMs + (seconds + cluster.spec.delivery.reconnectJitterSeconds + 1) * 1000;
  await Promise.all(orders.map(({ pod, sessions, perSecond }) => scaling.loads.shed(key, pod, { sessions, perSecond })));
  const total = orders.reduce((sum, { sessions }) => sum + sessions, 0);
  deps.events.record({
    ...{ regarding: cluster, type: "Normal", reason: "SessionsMoved", action: "Balancing" },
    note: `${total} sessions of ${orders.length} pods are asked to come back elsewhere, over ${Math.ceil(seconds)} s`,
  });
}

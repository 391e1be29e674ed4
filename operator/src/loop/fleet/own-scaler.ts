// Why: the operator's own scaler: what pods say becomes a size, by the rules of `plan/scale*.ts`. It must never shrink before the
// emptiest pods are marked, nor by a word it took into account already.
import { canonicalJson } from "@nexus/protocol/canonical.ts";
import { parseQuantity } from "@nexus/protocol/resources/quantity.ts";
import { keyOfObject } from "../../desired/acceptance.ts";
import { scaleRules, scaleTargets } from "../../desired/scaling/rules.ts";
import type { Autoscaling } from "../../desired/scaling/target.ts";
import { askedFor, beginScaling, decideSize, stepped } from "../../plan/scale.ts";
import { demandOf, isBlind, type Measure } from "../../plan/scale-demand.ts";
import { ownScaler, previousScaling, type ScalingSeen } from "../../status/scaling.ts";
import type { Round } from "../scaling/loads.ts";
import { loadOf, seenPods } from "./pods.ts";
import { endShrink, mayShrink } from "./shrink.ts";
import type { FleetWork } from "./work.ts";

/** `replicas`: what to set now; undefined: leave it. */
export type ScalingFound = { readonly replicas: number | undefined; readonly seen: ScalingSeen };

/** The next size; `size` is the one there is. Rejects with `KubeError`. */
export async function scaleByLoad(work: FleetWork, autoscaling: Autoscaling, size: number): Promise<ScalingFound> {
  const { cluster, deps } = work;
  const { scaling } = deps;
  const key = keyOfObject(cluster);
  scaling.read(key, "scaler", true);
  const rules = scaleRules(autoscaling);
  const round = scaling.loads.last(key);
  const memory = scaling.memory(key);
  const nowMs = scaling.clock.monotonicMs();
  const text = canonicalJson(autoscaling);
  if (memory.scale === undefined || memory.rules !== text) {
    memory.scale = beginScaling(nowMs, rules);
    memory.rules = text;
  }
  const looked = round ? look(work, { autoscaling, round, size }) : undefined;
  if (round && looked && round.number !== memory.scaledRound) {
    memory.scaledRound = round.number;
    memory.scale = askedFor(memory.scale, { atMs: nowMs, pods: looked.pods, isBlind: looked.isBlind }, rules);
  }
  const decision = decideSize(memory.scale, size, nowMs, rules);
  const seen = looked
    ? ownScaler(rules, { isBlind: looked.isBlind, limit: decision.limit })
    : (previousScaling(cluster.status?.conditions) ?? ownScaler(rules, { isBlind: false, limit: undefined })); // nobody was asked yet
  const replicas = await next(work, { size, replicas: decision.replicas, because: looked?.because });
  return { replicas, seen };
}

type Step = { readonly size: number; readonly replicas: number; readonly because: Measure | undefined };

/** Undefined: the size stays as it is now. Also for who goes to a fixed size by steps. */
export async function next(work: FleetWork, { size, replicas, because }: Step): Promise<number | undefined> {
  const { cluster, deps } = work;
  const memory = deps.scaling.memory(keyOfObject(cluster));
  if (replicas >= size) endShrink(work);
  if (replicas === size || (replicas < size && !(await mayShrink(work, size - replicas)))) return undefined;
  if (memory.scale) memory.scale = stepped(memory.scale, size, replicas, deps.scaling.clock.monotonicMs());
  const why = because ? `, for ${SAID[because]}` : "";
  deps.events.record({
    ...{ regarding: cluster, type: "Normal", reason: "Scaled", action: "Scaling" },
    note: `from ${size} to ${replicas} pods${why}`,
  });
  return replicas;
}

const SAID: Readonly<Record<Measure, string>> = {
  sessions: "targets.connectionsPerPod",
  messagesPerSecond: "targets.messagesPerSecondPerPod",
  cpuCores: "targets.cpuPercent",
  memoryBytes: "targets.memoryPercent",
};

type Looking = { readonly autoscaling: Autoscaling; readonly round: Round; readonly size: number };

function look(work: FleetWork, { autoscaling, round, size }: Looking) {
  const { staying, leaving } = seenPods(work, round);
  const ready = staying.filter(({ isReady, isAsked }) => isReady && isAsked);
  const targets = scaleTargets(work.cluster, autoscaling, amountOf);
  const loads = {
    staying: staying.map(({ said }) => said && loadOf(said)),
    leaving: leaving.flatMap(({ said }) => (said ? [loadOf(said)] : [])),
  };
  const demand = demandOf(loads, targets, size);
  return {
    pods: demand?.pods,
    because: demand?.because,
    isBlind: isBlind(ready.length, ready.filter(({ said }) => said).length),
  };
}

/** In cores, or bytes. */
function amountOf(quantity: string | number): number | undefined {
  const billionths = parseQuantity(quantity);
  return billionths === undefined ? undefined : Number(billionths) / 1e9;
}

// Why: a rollout whose new pods turn clients away must stop while the old ones still serve. The Deployment is paused by our own
// apply and goes on by itself. It must never pause for long what somebody else paused, nor be without end.
import { keyOfObject } from "../../desired/acceptance.ts";
import { deployment } from "../../desired/children.ts";
import { rendered, renderedDigest } from "../../plan/rendered.ts";
import { countedAttempts, mustPause, NO_ERRORS } from "../../plan/rollout-errors.ts";
import type { DeploymentObject } from "../views.ts";
import { liveDeployment } from "./deployment.ts";
import { seenPods } from "./pods.ts";
import type { FleetWork } from "./work.ts";

const LOOK_MS = 15_000;

/** Whether the rollout has to wait now. */
export function pausesRollout(work: FleetWork): boolean {
  const { cluster, deps } = work;
  const { scaling } = deps;
  const key = keyOfObject(cluster);
  const memory = scaling.memory(key);
  const live = liveDeployment(work);
  const isOurs = live?.spec.paused === true && renderedDigest(live, "metadata") === pausedDigest(work);
  const isWatched = cluster.spec.redis.mode !== "None" && live !== undefined && (isOurs || isRollingOut(live));
  scaling.read(key, "rollout", isWatched);
  if (!isWatched) {
    memory.errors = NO_ERRORS;
    return false;
  }
  const nowMs = scaling.clock.monotonicMs();
  // A leader that finds it paused does not know since when: a whole quiet time from now on is safe.
  if (isOurs && memory.errors.badMs === undefined) memory.errors = { ...memory.errors, badMs: nowMs };
  const round = scaling.loads.last(key);
  if (round && round.number !== memory.errorsRound) {
    memory.errorsRound = round.number;
    const { staying } = seenPods(work, round);
    const attempts = staying.map(({ uid, said }) => {
      const load = said?.load;
      return [uid, load && { opened: load.sessions_opened, refused: load.sessions_refused }] as const;
    });
    memory.errors = countedAttempts(memory.errors, new Map(attempts), round.atMs);
  }
  const isPaused = mustPause(memory.errors, nowMs);
  if (isPaused) work.again(LOOK_MS);
  if (isPaused && !isOurs)
    work.warn("RolloutPausedOnErrors", "clients cannot open sessions: the rollout waits until it is quiet for two minutes");
  return isPaused;
}

const pausedDigest = ({ cluster, deps }: FleetWork): string =>
  rendered(deployment(cluster, deps.context, { isPaused: true }), "metadata").digest;

function isRollingOut({ metadata, spec, status }: DeploymentObject): boolean {
  const wanted = spec.replicas ?? 1;
  const updated = status?.updatedReplicas ?? 0;
  return (status?.observedGeneration ?? 0) < (metadata.generation ?? 0) || updated < wanted || (status?.replicas ?? 0) > updated;
}

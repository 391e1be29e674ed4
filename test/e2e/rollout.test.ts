// Why: what a platform team fears most, shown with real pods: a rollout and a node drain under load, while operators die. Two
// thousand people hold real sockets behind the Service; what a backend was told is stored has to arrive. Nothing here is timed
// but by the fleet's own promises: drain, jitter, budget.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { unavailableTier } from "../support/cluster/tiers.ts";
import { eventually } from "../support/eventually.ts";
import { type Crowd, gather } from "../support/fleet/crowd.ts";
import { Ledger } from "../support/fleet/ledger.ts";
import { type Load, startLoad } from "../support/fleet/load.ts";
import { judge, type Verdict } from "../support/fleet/oracle.ts";
import { busiestSecond, comebacks } from "../support/fleet/outages.ts";
import { type KubeFleet, type NodeStage, startNodeStage } from "../support/node-stage.ts";

const reason = await unavailableTier("node");
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

const PEOPLE = 2_000;
const PODS = 3;
/** 200 entries a second, beside the pulse that everybody hears. */
const RATES = { users: 120, kept: 80, live: 0, broadcast: 0 };
const DELIVERY = { drainSeconds: 10, reconnectJitterSeconds: 3 };
/** Sessions a fleet closes a second while one pod drains: those of a pod that holds up to this share of all. */
const LARGEST_SHARE = 0.7;
const KILL_EVERY_MS = 10_000;

let stage: NodeStage;
let fleet: KubeFleet;
let crowd: Crowd;
const figures: string[] = [];

type Account = {
  readonly verdict: Verdict;
  readonly refused: Readonly<Record<string, number>>;
  readonly accepted: number;
  readonly killed: number;
  readonly seconds: number;
  /** From the first second of the disruption on, in milliseconds of `performance.now()`. */
  readonly beganAt: number;
};

/** One look or kill of many did not work: the machine is busy, and the next one follows. */
const missed = (error: unknown): void => {
  process.stderr.write(`missed once: ${error instanceof Error ? error.message : String(error)}\n`);
};

/** Runs `disrupt` under load and with operators that die; answers once everybody has what is theirs. */
async function underLoad(disrupt: () => Promise<void>): Promise<Account> {
  const ledger = new Ledger();
  const load: Load = startLoad(fleet, crowd, { ledger, rates: RATES });
  let killed = 0;
  const killing = setInterval(
    () =>
      void stage.killOperator().then((name) => {
        if (name !== undefined) killed++;
      }, missed),
    KILL_EVERY_MS,
  );
  const beganAt = performance.now();
  try {
    await disrupt();
    await eventually("everybody is connected again", () => crowd.people.every(({ isConnected }) => isConnected), { timeoutMs: 60_000 });
  } finally {
    clearInterval(killing);
    await load.stop();
  }
  const seconds = (performance.now() - beganAt) / 1000;
  const verdict = await eventually(
    "everything that was stored was handed out",
    () => {
      const found = judge(ledger, crowd.people);
      if (found.holes > 0) throw new Error(`${found.holes} of ${found.owed} missing: ${found.examples.join("; ")}`);
      return found;
    },
    { timeoutMs: 30_000, intervalMs: 500 },
  );
  return { verdict, refused: ledger.refused, accepted: ledger.accepted, killed, seconds, beganAt };
}

function report(what: string, { verdict, refused, accepted, killed, seconds, beganAt }: Account): void {
  const back = comebacks(crowd.people, beganAt);
  const busiest = busiestSecond(back.map(({ upAt }) => upAt));
  figures.push(
    `${what}: ${seconds.toFixed(0)} s, ${accepted} entries stored, ${verdict.delivered} of ${verdict.owed} handed out, ` +
      `${verdict.repeated} twice, refused ${JSON.stringify(refused)}, ${back.length} reconnects, ${busiest} in the busiest second, ` +
      `${killed} operators killed`,
  );
}

/** A pod closes its sessions evenly over `drainSeconds`; nobody may come back faster than the largest pod lets them go. */
const BUDGET = Math.ceil((PEOPLE * LARGEST_SHARE) / DELIVERY.drainSeconds) * 2;

describe.skipIf(reason !== undefined)("a fleet of three pods with two thousand people", () => {
  beforeAll(async () => {
    stage = await startNodeStage();
    fleet = await stage.fleet("rollout", {
      replicas: PODS,
      delivery: DELIVERY,
      pods: { resources: { requests: { cpu: "50m", memory: "64Mi" } } },
    });
    crowd = await gather(fleet, PEOPLE, { groups: 200 }); // ten listeners a channel: the machine has two cores for everybody
  }, 300_000);

  afterAll(async () => {
    process.stderr.write(`${figures.map((line) => `measured: ${line}`).join("\n")}\n`);
    await crowd?.[Symbol.asyncDispose]();
    await stage?.[Symbol.asyncDispose]();
  }, 60_000);

  test("is rolled by an edit of its spec: nothing lost, nobody back faster than the budget", async () => {
    const before = new Set((await stage.pods(fleet)).map(({ name }) => name));
    const account = await underLoad(async () => {
      await stage.patch(fleet, { pods: { annotations: { "example.com/rolled": "once" } } });
      await eventually(
        "all pods are new and ready, and the old are gone",
        async () => {
          const pods = await stage.pods(fleet);
          const isDone = pods.length === PODS && pods.every(({ name, isReady, isLeaving }) => isReady && !isLeaving && !before.has(name));
          if (!isDone) throw new Error(JSON.stringify(pods));
          return true;
        },
        { timeoutMs: 240_000, intervalMs: 500 },
      );
    });
    report("rolling restart of 3 pods", account);
    expect(account.verdict).toMatchObject({ holes: 0, told: 0, repeated: 0 });
    expect(account.killed).toBeGreaterThan(0);
    const back = comebacks(crowd.people, account.beganAt);
    expect(back.length).toBeGreaterThanOrEqual(PEOPLE);
    expect(busiestSecond(back.map(({ upAt }) => upAt))).toBeLessThanOrEqual(BUDGET);
    // A link is down for the jitter it was told, not for the whole drain.
    const longest = Math.max(...back.map(({ downAt, upAt }) => upAt - downAt));
    figures.push(`  the longest away: ${(longest / 1000).toFixed(1)} s`);
    expect(longest).toBeLessThanOrEqual((DELIVERY.drainSeconds + 5) * 1000);
  }, 420_000);

  test("is drained through the eviction API: the budget for disruptions holds, nothing is lost", async () => {
    const victims = (await stage.pods(fleet)).map(({ name }) => name);
    let fewestReady = PODS;
    let refusedEvictions = 0;
    const account = await underLoad(async () => {
      const watching = setInterval(
        () =>
          void stage.pods(fleet).then((pods) => {
            fewestReady = Math.min(fewestReady, pods.filter(({ isReady, isLeaving }) => isReady && !isLeaving).length);
          }, missed),
        500,
      );
      const evict = async (pod: string) => {
        await eventually(
          `${pod} may go`,
          async () => {
            const { status } = await stage.cluster.request(`/api/v1/namespaces/${fleet.namespace}/pods/${pod}/eviction`, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: JSON.stringify({ apiVersion: "policy/v1", kind: "Eviction", metadata: { name: pod, namespace: fleet.namespace } }),
            });
            if (status === 429) refusedEvictions++;
            if (status !== 201 && status !== 429) throw new Error(`eviction of ${pod}: ${status}`);
            return status === 201;
          },
          { timeoutMs: 180_000, intervalMs: 1_000 },
        );
      };
      try {
        await Promise.all(victims.map(evict));
        await eventually(
          "three others are ready",
          async () => {
            const pods = await stage.pods(fleet);
            return pods.length === PODS && pods.every(({ name, isReady, isLeaving }) => isReady && !isLeaving && !victims.includes(name));
          },
          { timeoutMs: 180_000, intervalMs: 500 },
        );
      } finally {
        clearInterval(watching);
      }
    });
    report("eviction of 3 pods", account);
    figures.push(`  ${refusedEvictions} evictions refused until it was their turn, never fewer than ${fewestReady} pods ready`);
    expect(account.verdict).toMatchObject({ holes: 0, told: 0, repeated: 0 });
    expect(refusedEvictions).toBeGreaterThan(0);
    expect(fewestReady).toBeGreaterThanOrEqual(PODS - 1);
  }, 420_000);
});

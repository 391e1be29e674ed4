// Why: sizes with real pods and real sockets: the operator's own scaler grows by connections, hands over, takes the emptiest pods
// and loses nothing; Kubernetes' own controller grows and shrinks a fleet by the CPU that metrics-server saw.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startMetricsServer } from "../support/cluster/metrics-server.ts";
import { type PodMetrics, servePodMetrics } from "../support/cluster/pod-metrics.ts";
import { unavailableTier } from "../support/cluster/tiers.ts";
import { eventually } from "../support/eventually.ts";
import { type Crowd, gather } from "../support/fleet/crowd.ts";
import { Ledger } from "../support/fleet/ledger.ts";
import { startLoad } from "../support/fleet/load.ts";
import { judge } from "../support/fleet/oracle.ts";
import { busiestSecond, comebacks } from "../support/fleet/outages.ts";
import type { Person } from "../support/fleet/person.ts";
import { type KubeFleet, type NodeStage, startNodeStage } from "../support/node-stage.ts";

const reason = await unavailableTier("node");
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

const PER_POD = 100;
const PEOPLE = 360;
const RATES = { users: 40, kept: 20, live: 0, broadcast: 0 };
const DELIVERY = { drainSeconds: 5, reconnectJitterSeconds: 3 };
/** How often the operator asks the pods. */
const LOOK_MS = 15_000;
/** What stays on each pod before the fleet shrinks, fullest first: 180 people are two pods' worth. */
const STAYING = [84, 64, 20, 12];

let stage: NodeStage;
const figures: string[] = [];
const seconds = (fromMs: number) => ((performance.now() - fromMs) / 1000).toFixed(0);

/** Sessions of every pod that is there to stay, by name, as each says on its ops port. */
async function sessionsOf(fleet: KubeFleet): Promise<ReadonlyMap<string, number>> {
  const pods = (await stage.pods(fleet)).filter(({ isLeaving, isReady }) => isReady && !isLeaving);
  const counts = await Promise.all(
    pods.map(async ({ name, ip }) => {
      const text = await (await fetch(`http://${ip}:9090/metrics`)).text();
      const lines = text.split("\n").filter((line) => line.startsWith("nexus_sessions{"));
      return [name, lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0)] as const;
    }),
  );
  return new Map(counts);
}

async function untilSize(fleet: KubeFleet, count: number, timeoutMs: number): Promise<void> {
  await eventually(
    `${fleet.name} has ${count} ready pods and no other`,
    async () => {
      const pods = await stage.pods(fleet);
      if (pods.length !== count || !pods.every(({ isReady, isLeaving }) => isReady && !isLeaving)) throw new Error(JSON.stringify(pods));
      return true;
    },
    { timeoutMs, intervalMs: 250 },
  );
}

/** The pod that holds a person's session. */
async function podOf(fleet: KubeFleet, { user }: Person): Promise<string> {
  const answer = await fetch(`${fleet.url}/api/v1/cluster/users/${user}`, { headers: { "x-api-key": fleet.boot.apiKey } });
  const { sessions } = (await answer.json()) as { readonly sessions: readonly { readonly server_id: string }[] }; // docs/reference names it
  return sessions.at(-1)?.server_id ?? "";
}

const eventsOf = (fleet: KubeFleet, name: string) =>
  stage.kubectl(
    "get",
    "events",
    "-n",
    fleet.namespace,
    "-o",
    `jsonpath={range .items[?(@.reason=="${name}")]}{.note}{.message}{"\\n"}{end}`,
  );

/** Two looks of the operator without another hand-over: it has ended, and what is unequal from now on stays so. */
async function handedOver(fleet: KubeFleet): Promise<void> {
  let told = "";
  let sinceMs = performance.now();
  await eventually(
    "nobody hands over any more",
    async () => {
      const now = await eventsOf(fleet, "SessionsMoved");
      if (now !== told) {
        told = now;
        sinceMs = performance.now();
      }
      return performance.now() - sinceMs > 2 * LOOK_MS + 5_000;
    },
    { timeoutMs: 180_000, intervalMs: 1_000 },
  );
}

async function nothingLost(ledger: Ledger, people: readonly Person[]): Promise<string> {
  const verdict = await eventually(
    "everything that was stored was handed out",
    () => {
      const found = judge(ledger, people);
      if (found.holes > 0) throw new Error(`${found.holes} of ${found.owed} missing: ${found.examples.join("; ")}`);
      return found;
    },
    { timeoutMs: 30_000, intervalMs: 500 },
  );
  expect(verdict).toMatchObject({ holes: 0, told: 0, repeated: 0 });
  return `${ledger.accepted} entries stored, ${verdict.delivered} of ${verdict.owed} handed out, refused ${JSON.stringify(ledger.refused)}`;
}

describe.skipIf(reason !== undefined)("autoscaling with real pods", () => {
  beforeAll(async () => {
    stage = await startNodeStage();
  }, 300_000);
  afterAll(async () => {
    process.stderr.write(`${figures.map((line) => `measured: ${line}`).join("\n")}\n`);
    await stage?.[Symbol.asyncDispose]();
  }, 60_000);

  describe("by connections", () => {
    let fleet: KubeFleet;
    let crowd: Crowd;

    beforeAll(async () => {
      fleet = await stage.fleet("connections", {
        delivery: DELIVERY,
        autoscaling: {
          ...{ provider: "Nexus", minReplicas: 2, maxReplicas: 4, targets: { connectionsPerPod: PER_POD } },
          scaleDown: { stabilizationSeconds: 30, podsPerStep: 1, stepSeconds: 20 },
        },
      });
      await untilSize(fleet, 2, 90_000);
      crowd = await gather(fleet, PEOPLE, { groups: 36 });
    }, 240_000);
    afterAll(() => crowd?.[Symbol.asyncDispose]());

    test("two become four, the full hand over within what the new ones take, and nothing is lost", async () => {
      const beganAt = performance.now();
      const ledger = new Ledger();
      const load = startLoad(fleet, crowd, { ledger, rates: RATES });
      await untilSize(fleet, 4, 120_000);
      const grownAfter = seconds(beganAt);
      await eventually("the full hand over", async () => (await eventsOf(fleet, "SessionsMoved")) !== "", {
        timeoutMs: 90_000,
        intervalMs: 500,
      });
      const counts = await eventually(
        "every pod carries its part",
        async () => {
          const found = [...(await sessionsOf(fleet)).values()];
          const total = found.reduce((sum, one) => sum + one, 0);
          if (total < PEOPLE || Math.max(...found) > (PEOPLE / 4) * 1.7) throw new Error(found.join(", "));
          return found;
        },
        { timeoutMs: 120_000, intervalMs: 500 },
      );
      await eventually("everybody is connected", () => crowd.people.every(({ isConnected }) => isConnected), { timeoutMs: 30_000 });
      await load.stop();
      const lost = await nothingLost(ledger, crowd.people);
      const back = comebacks(crowd.people, beganAt);
      const busiest = busiestSecond(back.map(({ upAt }) => upAt));
      figures.push(
        `Nexus 2 to 4 pods by ${PEOPLE} connections: four ready after ${grownAfter} s, sessions then ${counts.join("/")}, ` +
          `${back.length} moved, ${busiest} in the busiest second; ${lost}`,
        ...(await eventsOf(fleet, "SessionsMoved")).trim().split("\n"),
      );
      expect(back.length).toBeGreaterThan(0);
      expect(busiest).toBeLessThanOrEqual(PEOPLE / 2); // never everybody at once
    }, 400_000);

    test("four become two: the emptiest go, one after another, at the pace of a drain, and nothing is lost", async () => {
      await handedOver(fleet);
      const places = await Promise.all(crowd.people.map(async (person) => ({ person, pod: await podOf(fleet, person) })));
      const byPod = [...Map.groupBy(places, ({ pod }) => pod)].sort(([, a], [, b]) => b.length - a.length);
      expect(byPod.length).toBe(4);
      const staying = byPod.flatMap(([, here], index) => here.slice(0, STAYING[index]).map(({ person }) => person));
      for (const person of crowd.people) if (!staying.includes(person)) person.close();
      const kept = byPod.slice(0, 2).map(([pod]) => pod);
      const beganAt = performance.now();
      const ledger = new Ledger();
      const load = startLoad(fleet, { ...crowd, people: staying }, { ledger, rates: RATES });
      const before = await eventually(
        "those that left are gone",
        async () => {
          const found = await sessionsOf(fleet);
          const total = [...found.values()].reduce((sum, one) => sum + one, 0);
          return total === staying.length && found;
        },
        { timeoutMs: 30_000, intervalMs: 250 },
      );
      await untilSize(fleet, 3, 180_000);
      const third = (await stage.pods(fleet)).map(({ name }) => name);
      await untilSize(fleet, 2, 120_000);
      const shrunkAfter = seconds(beganAt);
      const left = (await stage.pods(fleet)).map(({ name }) => name);
      await eventually("everybody is connected", () => staying.every(({ isConnected }) => isConnected), { timeoutMs: 30_000 });
      await load.stop();
      const lost = await nothingLost(ledger, staying);
      expect(third).not.toContain(byPod[3]?.[0]); // the emptiest first
      expect(left.sort()).toEqual(kept.sort());
      // Whoever was on a pod that went was told so, evenly over the drain.
      const back = comebacks(staying, beganAt);
      const perSecond = busiestSecond(back.map(({ downAt }) => downAt));
      const emptied = (STAYING[2] ?? 0) + (STAYING[3] ?? 0);
      expect(back.length).toBeGreaterThanOrEqual(emptied * 0.9);
      expect(back.length).toBeLessThanOrEqual(emptied * 2); // some moved from the one pod to the other
      expect(perSecond).toBeLessThanOrEqual(Math.ceil((emptied / DELIVERY.drainSeconds) * 2));
      figures.push(
        `Nexus 4 to 2 pods: sessions before ${[...before.values()].join("/")}, two left after ${shrunkAfter} s, ${back.length} people moved, ` +
          `${perSecond} closed in the busiest second; ${lost}`,
      );
    }, 400_000);
  });

  describe("by the CPU that metrics-server saw", () => {
    let fleet: KubeFleet;
    let metrics: PodMetrics;

    beforeAll(async () => {
      await startMetricsServer(stage.cluster);
      // Kubernetes shrinks only by all it was asked to look at. Nobody is connected here.
      metrics = await servePodMetrics(stage.cluster, ["nexus_sessions"], () => 0, stage.cluster.addresses.hostAddress);
      fleet = await stage.fleet("cpu", {
        delivery: DELIVERY,
        pods: { resources: { requests: { cpu: "250m" } } }, // an idle server takes a tenth of that

        autoscaling: {
          ...{ provider: "HPA", minReplicas: 1, maxReplicas: 3, targets: { cpuPercent: 50 } },
          ...{ scaleUp: { podsPerStep: 2 }, scaleDown: { stabilizationSeconds: 15, podsPerStep: 2, stepSeconds: 5 } },
        },
      });
    }, 300_000);
    afterAll(() => metrics?.[Symbol.asyncDispose]());

    test("a fleet grows under load and shrinks after it", async () => {
      const beganAt = performance.now();
      await eventually(
        "AutoscalingActive",
        async () => {
          const path = "jsonpath={.status.conditions[?(@.type=='AutoscalingActive')].reason}";
          const said = await stage.kubectl("get", "-n", fleet.namespace, `nexuscluster/${fleet.name}`, "-o", path);
          if (said !== "ScalingActive" && said !== "ScalingLimited") throw new Error(said);
          return true;
        },
        { timeoutMs: 120_000, intervalMs: 500 },
      );
      const activeAfter = seconds(beganAt);
      const stop = new AbortController();
      const busy = Array.from({ length: 8 }, () => keepBusy(fleet, stop.signal));
      await eventually("three pods are ready", async () => (await sessionsOf(fleet)).size === 3, { timeoutMs: 240_000, intervalMs: 500 });
      const grownAfter = seconds(beganAt);
      stop.abort();
      const requests = (await Promise.all(busy)).reduce((sum, one) => sum + one, 0);
      await eventually(
        "one pod is left",
        async () => {
          if ((await stage.pods(fleet)).length === 1) return true;
          throw new Error(await stage.kubectl("get", "hpa", "-n", fleet.namespace, "-o", "jsonpath={.items[0].status}")); // what it goes by
        },
        { timeoutMs: 150_000, intervalMs: 1_000 },
      );
      figures.push(
        `HPA 1 to 3 to 1 pods by CPU: figures after ${activeAfter} s, three ready after ${grownAfter} s (${requests} publishes), one left after ${seconds(beganAt)} s`,
      );
    }, 500_000);
  });
});

/** Publishes as fast as answers come; how many were answered. */
async function keepBusy(fleet: KubeFleet, signal: AbortSignal): Promise<number> {
  let answered = 0;
  const body = JSON.stringify({ target_user_id: "nobody", event_type: "load", payload: "x".repeat(2_000) });
  while (!signal.aborted) {
    try {
      const answer = await fetch(`${fleet.url}/api/v1/notifications/send`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": fleet.boot.apiKey },
        body,
      });
      await answer.arrayBuffer();
      answered++;
    } catch (error) {
      // A connection that goes with its pod is no load, and nobody waits for this while the fleet grows.
      process.stderr.write(`one publish of the load failed: ${error instanceof Error ? error.message : String(error)}\n`);
      await Bun.sleep(100);
    }
  }
  return answered;
}

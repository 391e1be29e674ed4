// Why: a Redis that the operator runs, with real pods: two servers act as one over it, a kill of it takes nothing that was
// acknowledged and no server with it, and its password is replaced while people are connected.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { unavailableTier } from "../support/cluster/tiers.ts";
import { eventually } from "../support/eventually.ts";
import { type Crowd, gather } from "../support/fleet/crowd.ts";
import { Ledger } from "../support/fleet/ledger.ts";
import { startLoad } from "../support/fleet/load.ts";
import { judge } from "../support/fleet/oracle.ts";
import type { Target } from "../support/fleet/target.ts";
import { type KubeFleet, type NodeStage, startNodeStage } from "../support/node-stage.ts";
import { withRedisImage } from "../support/redis/image.ts";
import { openTestLink, outcomeOf } from "../support/redis/link.ts";

const reason = await unavailableTier("node");
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

const IMAGE = "nexus.test/redis:7";
const NAME = "managed";
const PEOPLE = 60;
const RATES = { users: 60, kept: 20, live: 0, broadcast: 0 };
const CLASS = "by-hand";

let stage: NodeStage;
let fleet: KubeFleet;
/** The pods themselves in turn: people and publishes are spread over both. */
let target: Target;
let crowd: Crowd;
let podNames: readonly string[] = [];

/** A volume of the node; the class has no provisioner. */
function volume(path: string, node: string): readonly object[] {
  const match = { key: "kubernetes.io/hostname", operator: "In", values: [node] };
  return [
    {
      ...{ apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: { name: CLASS } },
      provisioner: "kubernetes.io/no-provisioner",
    },
    {
      ...{ apiVersion: "v1", kind: "PersistentVolume", metadata: { name: "redis-data" } },
      spec: {
        ...{ capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], storageClassName: CLASS, local: { path } },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [match] }] } },
      },
    },
  ];
}

const secretText = async (name: string, key: string): Promise<string> => {
  const encoded = await stage.kubectl("get", "secret", name, "-n", NAME, "-o", `jsonpath={.data.${key.replace(".", "\\.")}}`);
  return Buffer.from(encoded, "base64").toString();
};

const redisPod = () =>
  stage.get<{ metadata: { uid: string }; status: { podIP?: string; containerStatuses?: { ready: boolean }[] } }>(
    "pod",
    `${NAME}-redis-0`,
    "-n",
    NAME,
  );

/** Whether Redis lets somebody in with this password. */
async function opens(password: string): Promise<boolean> {
  const address = `${(await redisPod()).status.podIP}:6379`;
  const credentials = { username: () => undefined, password: () => password, sentinelPassword: () => undefined, tls: () => undefined };
  const said = await outcomeOf(openTestLink({ addresses: [address], credentials }).then(({ link }) => link.close()));
  if (said !== "ok") expect(said).toContain("refused the credentials");
  return said === "ok";
}

async function redisIsBack(before: string): Promise<void> {
  await eventually(
    "another Redis is ready",
    async () => {
      const { metadata, status } = await redisPod();
      return metadata.uid !== before && status.containerStatuses?.[0]?.ready;
    },
    { timeoutMs: 120_000, intervalMs: 250 },
  );
}

describe.skipIf(reason !== undefined)("a fleet of two pods over a Redis of its own", () => {
  beforeAll(async () => {
    stage = await startNodeStage();
    const path = join(stage.cluster.directory, "redis-data");
    mkdirSync(path, { mode: 0o777 });
    const { items } = await stage.get<{ items: readonly { metadata: { name: string } }[] }>("nodes");
    await stage.cluster.apply(volume(path, items[0]?.metadata.name ?? ""));
    await withRedisImage(IMAGE, (archive) => stage.cluster.importImage(archive));
    const managed = { image: IMAGE, memory: "128Mi", storage: { size: "1Gi", storageClassName: CLASS } };
    fleet = await stage.fleet(NAME, { replicas: 2, redis: { mode: "Managed", managed }, delivery: { drainSeconds: 5 } });
    const pods = await stage.pods(fleet);
    podNames = pods.map(({ name }) => name).sort();
    const places = pods.map(({ ip }) => ({ url: `http://${ip}:8081` }));
    let at = 0;
    target = { ...fleet, nodes: places, next: () => places[at++ % places.length] ?? fleet.next() };
    crowd = await gather(target, PEOPLE, { groups: 6 });
  }, 300_000);

  afterAll(async () => {
    await crowd?.[Symbol.asyncDispose]();
    await stage?.[Symbol.asyncDispose]();
  }, 60_000);

  /** The servers of the beginning are there, and none of them was restarted. */
  async function expectSameServers(): Promise<void> {
    const pods = await stage.pods(fleet);
    expect(pods.map(({ name }) => name).sort()).toEqual([...podNames]);
    expect(pods.map(({ restarts }) => restarts)).toEqual([0, 0]);
  }

  async function everythingArrived(ledger: Ledger): Promise<void> {
    await eventually(
      "everything that was stored was handed out",
      () => {
        const { holes, owed, examples } = judge(ledger, crowd.people);
        if (holes > 0) throw new Error(`${holes} of ${owed} missing: ${examples.join("; ")}`);
        return true;
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
    expect(judge(ledger, crowd.people)).toMatchObject({ holes: 0, told: 0, repeated: 0 });
  }

  test("is Ready with it, and what one pod is told arrives at people of the other", async () => {
    expect(podNames).toHaveLength(2);
    await stage.kubectl("wait", "-n", NAME, "--for=condition=RedisReady", `nexuscluster/${NAME}`, "--timeout=90s");
    const ledger = new Ledger();
    const load = startLoad(target, crowd, { ledger, rates: RATES });
    await eventually("a few hundred entries are stored", () => ledger.accepted >= 200, { timeoutMs: 30_000 });
    await load.stop();
    expect(ledger.refused).toEqual({});
    await everythingArrived(ledger);
  }, 120_000);

  test("keeps everything that was acknowledged when Redis is killed, and no server restarts", async () => {
    const ledger = new Ledger();
    const drops = () => crowd.people.reduce((sum, { drops: count }) => sum + count, 0);
    const droppedBefore = drops();
    const load = startLoad(target, crowd, { ledger, rates: RATES });
    const isUnderWay = async (more: number) => {
      const before = ledger.accepted;
      await eventually("entries are stored", () => ledger.accepted >= before + more, { timeoutMs: 60_000 });
    };
    await isUnderWay(200);
    const { metadata } = await redisPod();
    const killedAt = performance.now();
    await stage.kubectl("delete", "pod", "-n", NAME, `${NAME}-redis-0`, "--grace-period=0", "--force");
    await redisIsBack(metadata.uid);
    await isUnderWay(200);
    const awayMs = performance.now() - killedAt;
    await load.stop();
    await everythingArrived(ledger);
    await expectSameServers();
    expect(drops()).toBe(droppedBefore); // sockets outlive a broker
    const refused = JSON.stringify(ledger.refused);
    process.stderr.write(
      `measured: Redis killed: ${ledger.accepted} stored, refused ${refused}, back and 200 more after ${awayMs.toFixed(0)} ms\n`,
    );
  }, 240_000);

  test("takes another password while people are connected", async () => {
    const first = await secretText(`${NAME}-redis-auth`, "password");
    expect(await opens(first)).toBe(true);
    const { metadata } = await redisPod();
    const ledger = new Ledger();
    const load = startLoad(target, crowd, { ledger, rates: { ...RATES, users: 10, kept: 5 } });
    await stage.kubectl("delete", "secret", `${NAME}-redis-auth`, "-n", NAME);
    const second = await eventually("another one is made", async () => {
      const found = await secretText(`${NAME}-redis-users`, "password");
      return found !== first && found;
    });
    await eventually("Redis learns it", () => opens(second), { timeoutMs: 150_000, intervalMs: 1000 });
    expect(await opens(first)).toBe(true);
    await load.stop();
    expect(ledger.refused).toEqual({});
    await everythingArrived(ledger);
    expect((await redisPod()).metadata.uid).toBe(metadata.uid);
    await expectSameServers();
  }, 300_000);
});

// Why: the broker of a fleet as its users meet it: one the operator runs, one that is there, and what happens when what they
// wrote cannot be. Against a real API server and its controllers, under the RBAC we ship; each test in a namespace of its own.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { RunningOperator } from "@nexus/operator/main.ts";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import { type Stage, settled, startStage, textOf, within } from "../../support/operator.ts";
import { cluster } from "../../support/resources.ts";

setDefaultTimeout(60_000);

let stage: Stage;
let operator: RunningOperator & AsyncDisposable;

beforeAll(async () => {
  stage = await startStage();
  operator = await stage.operator();
  const aClass = (name: string, allowVolumeExpansion: boolean) => ({
    ...{ apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: { name }, provisioner: "example.com/none" },
    ...{ volumeBindingMode: "Immediate", allowVolumeExpansion },
  });
  await stage.plane.apply([aClass("growing", true), aClass("fixed", false)]);
});
afterAll(async () => {
  await operator?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

const namespace = async (name: string): Promise<string> => {
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  return name;
};
const secret = (of: string, name: string, texts: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>> = {}) => ({
  ...{ apiVersion: "v1", kind: "Secret", metadata: { namespace: of, name, labels } },
  data: Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString("base64")])),
});
const text = async (of: string, name: string, key: string): Promise<string> =>
  Buffer.from((await stage.get(`secret/${name}`, of))?.data?.[key] ?? "", "base64").toString();
const connection = async (of: string): Promise<unknown> => JSON.parse((await text(of, "live-redis-connection", "connection.json")) || "{}");
const redisReady = (of: string, want: { readonly status: string; readonly reason: string }) =>
  stage.until("nexuscluster/live", of, { type: "RedisReady", ...want });

const managed = (of: string, storage: object, spec: object = {}) =>
  cluster(of, "live", { redis: { mode: "Managed", managed: { storage } }, replicas: 2, ...spec });
const external = (of: string, fields: object, spec: object = {}) =>
  cluster(of, "live", { redis: { mode: "External", external: { addresses: ["redis-a:6379"], ...fields } }, ...spec });

/** A volume that the claim of this namespace's Redis is bound to. */
const volume = (of: string, storageClassName: string) => ({
  ...{ apiVersion: "v1", kind: "PersistentVolume", metadata: { name: `pv-${of}` } },
  spec: {
    ...{ capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/nowhere" }, storageClassName },
    claimRef: { namespace: of, name: "data-live-redis-0" },
  },
});

/** What a kubelet would say of the pod of Redis. */
async function runRedis(of: string, isReady: boolean): Promise<void> {
  const at = new Date().toISOString();
  const conditions = ["Ready", "ContainersReady"].map((type) => ({ type, status: isReady ? "True" : "False", lastTransitionTime: at }));
  const body = JSON.stringify({ status: { phase: "Running", podIP: "127.0.0.1", conditions } });
  await eventually("the pod of Redis is there", () => stage.get("pod/live-redis-0", of));
  const path = `/api/v1/namespaces/${of}/pods/live-redis-0/status`;
  const answer = await stage.plane.request(path, { method: "PATCH", headers: { "content-type": "application/merge-patch+json" }, body });
  expect(answer.status).toBe(200);
}

/** A cluster whose managed Redis is up and whose pods run. */
async function runManaged(name: string, storageClassName: string): Promise<FakeKubelet> {
  await namespace(name);
  await stage.plane.apply([volume(name, storageClassName), managed(name, { size: "1Gi", storageClassName })]);
  await runRedis(name, true);
  const kubelet = fakeKubelet(stage, name, "live");
  await kubelet.runPods(2);
  return kubelet;
}
const claim = async (of: string) => (await stage.get("pvc/data-live-redis-0", of))?.spec?.resources;
const writesIn = async (of: string) => within(of, await settled(stage)).map(textOf);

test("a managed Redis is made whole, is Ready with its pods, and is left alone after that", async () => {
  const ns = await namespace("managed");
  await stage.plane.apply([volume(ns, "growing"), managed(ns, { size: "1Gi", storageClassName: "growing" })]);
  await redisReady(ns, { status: "False", reason: "Connecting" });
  await runRedis(ns, true);
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(2);
  await redisReady(ns, { status: "True", reason: "Available" });
  await stage.until("nexuscluster/live", ns, { type: "Ready", status: "True" });
  const password = await text(ns, "live-redis-auth", "password");
  expect(password).toMatch(/^[\w-]{43}$/);
  expect(await connection(ns)).toEqual({ topology: "standalone", addresses: ["live-redis.managed.svc:6379"], database: 0, password });
  for (const child of ["service/live-redis", "service/live-redis-headless", "networkpolicy/live-redis", "configmap/live-redis"])
    expect(await stage.get(child, ns)).toBeDefined();
  const seen = JSON.stringify([await stage.get("statefulset/live-redis", ns), await stage.get("configmap/live-redis", ns)]);
  expect(seen).not.toContain(password);

  const before = await writesIn(ns);
  await stage.kubectl("annotate", "nexuscluster/live", "-n", ns, "look=again");
  await operator[Symbol.asyncDispose]();
  operator = await stage.operator();
  expect(await writesIn(ns)).toEqual(before);
});

test("a Redis that restarts restarts no server", async () => {
  await using _kubelet = await runManaged("restart", "growing");
  await redisReady("restart", { status: "True", reason: "Available" });
  const before = await stage.get("deployment/live-server", "restart");
  await runRedis("restart", false);
  await redisReady("restart", { status: "False", reason: "Connecting" });
  await runRedis("restart", true);
  await redisReady("restart", { status: "True", reason: "Available" });
  expect((await stage.get("deployment/live-server", "restart"))?.metadata.generation).toBe(before?.metadata.generation as number);
});

test("a volume grows by its claim, never shrinks, and the StatefulSet stays the same one", async () => {
  await using _kubelet = await runManaged("grow", "growing");
  await eventually("the claim is bound", async () => (await stage.get("pvc/data-live-redis-0", "grow"))?.status?.phase === "Bound");
  const before = await stage.get("statefulset/live-redis", "grow");
  await stage.plane.apply(managed("grow", { size: "2Gi", storageClassName: "growing" }));
  await eventually("the claim asks for more", async () => JSON.stringify(await claim("grow")).includes("2Gi"));
  await redisReady("grow", { status: "True", reason: "Available" });
  expect((await stage.get("statefulset/live-redis", "grow"))?.metadata.uid).toBe(before?.metadata.uid as string);
  await stage.plane.apply(managed("grow", { size: "1Gi", storageClassName: "growing" }));
  const refused = await redisReady("grow", { status: "False", reason: "VolumeNotResized" });
  expect(refused.message).toContain("has 2Gi, and volumes do not shrink");
  expect(JSON.stringify(await claim("grow"))).toContain("2Gi");
  await stage.plane.apply(managed("grow", { size: "2Gi", storageClassName: "fixed" }));
  await eventually("the class stays", async () =>
    (await redisReady("grow", { status: "False", reason: "VolumeNotResized" })).message.includes("keeps its class growing"),
  );
});

test("a class that does not let volumes grow is told with the API server's words", async () => {
  await using _kubelet = await runManaged("stuck", "fixed");
  await eventually("the claim is bound", async () => (await stage.get("pvc/data-live-redis-0", "stuck"))?.status?.phase === "Bound");
  await stage.plane.apply(managed("stuck", { size: "3Gi", storageClassName: "fixed" }));
  const refused = await redisReady("stuck", { status: "False", reason: "VolumeNotResized" });
  expect(refused.message).toContain("spec.redis.managed.storage.size: volume data-live-redis-0 cannot grow:");
  expect(refused.message).toContain("must support resize");
});

test("a deleted password is replaced in steps: Redis learns it first, servers keep theirs meanwhile", async () => {
  await using _kubelet = await runManaged("rotate", "growing");
  const first = await text("rotate", "live-redis-auth", "password");
  await stage.kubectl("delete", "secret/live-redis-auth", "-n", "rotate");
  const second = await eventually("another one is made", async () => {
    const found = await text("rotate", "live-redis-auth", "password");
    return found !== "" && found !== first ? found : undefined;
  });
  await eventually("Redis is told both", async () => (await text("rotate", "live-redis-users", "password")) === second);
  expect(await text("rotate", "live-redis-users", "previous")).toBe(first);
  expect((await text("rotate", "live-redis-users", "users.acl")).match(/#[0-9a-f]{64}/g)).toHaveLength(2);
  expect(await connection("rotate")).toMatchObject({ password: first });
});

test("a password nobody could use is refused, and what runs goes on", async () => {
  await using _kubelet = await runManaged("odd", "growing");
  const first = await text("odd", "live-redis-auth", "password");
  await stage.plane.apply(secret("odd", "live-redis-auth", { password: "two words" }));
  const refused = await redisReady("odd", { status: "False", reason: "InvalidSpec" });
  expect(refused.message).toContain("Secret live-redis-auth, key password");
  expect(refused.message).not.toContain("two words");
  expect(await connection("odd")).toMatchObject({ password: first });
});

test("an address, a topology or a Secret that changes reaches servers and rolls none", async () => {
  const ns = await namespace("external");
  const ref = { name: "redis", key: "password" };
  await stage.plane.apply([
    secret(ns, "redis", { password: "one" }, { "nexus.dev/watch": "true" }),
    external(ns, { passwordSecretRef: ref }),
  ]);
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  await redisReady(ns, { status: "True", reason: "Available" });
  expect(await connection(ns)).toEqual({ topology: "standalone", addresses: ["redis-a:6379"], database: 0, password: "one" });
  const before = await stage.get("deployment/live-server", ns);

  await stage.plane.apply(secret(ns, "redis", { password: "two" }, { "nexus.dev/watch": "true" }));
  await eventually("the password is passed on", async () => JSON.stringify(await connection(ns)).includes('"two"'));
  const sentinels = { topology: "Sentinel", addresses: ["s-0:26379", "s-1:26379"], masterName: "main", passwordSecretRef: ref, tls: {} };
  await stage.plane.apply(external(ns, sentinels));
  await eventually("the address is passed on", async () => JSON.stringify(await connection(ns)).includes("s-1:26379"));
  expect(await connection(ns)).toMatchObject({ topology: "sentinel", masterName: "main", tls: {}, password: "two" });
  await redisReady(ns, { status: "True", reason: "Available" });
  expect((await stage.get("deployment/live-server", ns))?.metadata.generation).toBe(before?.metadata.generation as number);
});

test("a Secret that goes takes nothing from servers; the status names it until it is back", async () => {
  const ns = await namespace("gone");
  const fields = { passwordSecretRef: { name: "redis", key: "pw" } };
  await stage.plane.apply(external(ns, fields));
  const missing = await redisReady(ns, { status: "False", reason: "SecretNotFound" });
  expect(missing.message).toBe("missing: Secret redis, key pw");
  await stage.until("nexuscluster/live", ns, { type: "Stalled", status: "True", reason: "SecretNotFound" });
  const labels = { "nexus.dev/watch": "true" };
  await stage.plane.apply(secret(ns, "redis", { pw: "one" }, labels));
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  await redisReady(ns, { status: "True", reason: "Available" });
  const before = await stage.get("deployment/live-server", ns);
  await stage.kubectl("delete", "secret/redis", "-n", ns);
  await redisReady(ns, { status: "False", reason: "SecretNotFound" });
  expect(await stage.condition("nexuscluster/live", ns, "Available")).toMatchObject({ status: "True" });
  expect(await connection(ns)).toMatchObject({ password: "one" });
  expect((await stage.get("deployment/live-server", ns))?.metadata.generation).toBe(before?.metadata.generation as number);
  await stage.plane.apply(secret(ns, "redis", { pw: "back" }, labels));
  await redisReady(ns, { status: "True", reason: "Available" });
  expect(await connection(ns)).toMatchObject({ password: "back" });
});

test("inboxes in PostgreSQL: the address is passed on, a missing one is named, and where they are rolls pods", async () => {
  const ns = await namespace("postgres");
  const storage = { inbox: "Postgres", postgres: { urlSecretRef: { name: "pg" } } };
  await stage.plane.apply(external(ns, {}));
  await eventually("pods are asked for", () => stage.get("deployment/live-server", ns));
  await settled(stage);
  const before = await stage.get("deployment/live-server", ns);
  await stage.plane.apply(external(ns, {}, { storage }));
  await stage.until("nexuscluster/live", ns, { type: "Stalled", status: "True", reason: "SecretNotFound" });
  await stage.plane.apply(secret(ns, "pg", { url: "postgres://nexus:pw@db/nexus" }, { "nexus.dev/watch": "true" }));
  await eventually("the address is passed on", async () => (await text(ns, "live-postgres-connection", "url")).includes("@db/nexus"));
  const after = await eventually("the pods are other ones", async () => {
    const found = await stage.get("deployment/live-server", ns);
    return found?.metadata.generation !== before?.metadata.generation ? found : undefined;
  });
  expect(JSON.stringify(after.spec)).toContain("NEXUS_POSTGRES_URL_FILE");
  expect(JSON.stringify(after.spec)).not.toContain("postgres://");
});

test("a broker that is not asked for any more goes when no server needs it; its volume and its password stay", async () => {
  await using kubelet = await runManaged("leave", "growing");
  await redisReady("leave", { status: "True", reason: "Available" });
  await stage.plane.apply(external("leave", {}, { replicas: 1 }));
  await eventually("servers are told of the other", async () => JSON.stringify(await connection("leave")).includes("redis-a:6379"));
  expect(await stage.get("statefulset/live-redis", "leave")).toBeDefined();
  await using _served = kubelet.serve();
  const isGone = async () => (await stage.get("statefulset/live-redis", "leave")) === undefined;
  await eventually("it is gone", isGone, { timeoutMs: 90_000 });
  for (const child of ["service/live-redis", "service/live-redis-headless", "networkpolicy/live-redis", "configmap/live-redis"])
    await eventually(`${child} is gone`, async () => (await stage.get(child, "leave")) === undefined);
  expect(await stage.get("pvc/data-live-redis-0", "leave")).toBeDefined();
  expect(await stage.get("secret/live-redis-auth", "leave")).toBeDefined();
}, 120_000);

test("another default image of a new operator waits for approval, and restarts nothing before", async () => {
  await using _kubelet = await runManaged("upgrade", "growing");
  await redisReady("upgrade", { status: "True", reason: "Available" });
  const imageOf = (): Promise<string> =>
    stage.kubectl("get", "statefulset/live-redis", "-n", "upgrade", "-o", "jsonpath={.spec.template.spec.containers[0].image}");
  const before = await imageOf();
  await operator[Symbol.asyncDispose]();
  operator = await stage.operator({ "--redis-image": "nexus.test/valkey:9" });
  type Pending = { readonly digest: string; readonly reason: string; readonly fields: readonly string[] };
  const pending = await eventually("the difference is told", async () => {
    const status = (await stage.get("nexuscluster/live", "upgrade"))?.status;
    return status?.pendingRollout as Pending | undefined; // as the CRD has it
  });
  expect(pending.reason).toContain("managed Redis");
  expect(pending.fields).toContain("spec.template.spec.containers[name=redis].image");
  expect(await imageOf()).toBe(before);
  const approve = JSON.stringify({ spec: { rollout: { approve: pending.digest } } });
  await stage.kubectl("patch", "nexuscluster/live", "-n", "upgrade", "--type=merge", "-p", approve);
  await eventually("it is rolled", async () => (await imageOf()) === "nexus.test/valkey:9");
  await eventually(
    "nothing is pending",
    async () => (await stage.get("nexuscluster/live", "upgrade"))?.status?.pendingRollout === undefined,
  );
});

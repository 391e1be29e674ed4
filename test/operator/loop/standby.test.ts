// Why: who waits for the lead keeps its view warm and says nothing. What it made in memory must be checked against what the former
// leader wrote meanwhile: no edit is lost, nothing older is pushed, no deletion is judged twice, and a restart writes nothing.
import { expect, test } from "bun:test";
import { apiKeySecretName, childNames } from "@nexus/operator/desired/names.ts";
import type { SecretObject } from "@nexus/operator/loop/secret-source.ts";
import { bucketOf } from "@nexus/protocol/bundle.ts";
import { PAUSED_ANNOTATION } from "@nexus/protocol/resources/names.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import { aCluster, aTemplate, aTenant } from "../bundle/fixtures.ts";
import { CLUSTER, Scene, type StagedOperator } from "./standby-stage.ts";

const MINUTES = 180_000;
const text = (name: string, words: string, generation: number): Template =>
  aTemplate(name, { payload: { text: words } }, { generation, uid: `uid-${name}` });
const bootOf = (id: string): string => childNames("live").boot(bucketOf(id));
const textOf = (scene: Scene, name: string): unknown => {
  const entry = scene.pod.get(`template:acme/${name}`);
  return entry?.kind === "template" ? entry.spec.payload : undefined;
};

/** A fleet that a leader brought up, its boot copy, and a standby that is warm. */
async function fleet(tenant: object = {}): Promise<{ scene: Scene; leader: StagedOperator; standby: StagedOperator }> {
  const scene = new Scene();
  scene.put(aTenant("acme", tenant), ...["a", "b", "c"].map((name) => aTemplate(name)));
  const leader = scene.operator({ isLeading: true });
  await leader.settle();
  await scene.clock.advance(MINUTES);
  expect([...scene.pod.keys()].sort()).toEqual(["cluster:cluster", "template:acme/a", "template:acme/b", "template:acme/c", "tenant:acme"]);
  scene.reads.length = 0;
  scene.writes.length = 0;
  scene.pushes.length = 0;
  const standby = scene.operator();
  await standby.settle();
  return { scene, leader, standby };
}

/** The same, after an edit that the leader pushed and wrote before it went, and that the standby's watch has not brought. */
async function editUnseen(): Promise<{ scene: Scene; standby: StagedOperator }> {
  const { scene, leader, standby } = await fleet();
  standby.isDeaf = true;
  scene.put(text("a", "of the former leader", 2));
  await leader.settle();
  await scene.clock.advance(MINUTES);
  await leader.stop();
  scene.pushes.length = 0;
  return { scene, standby };
}

test("a standby reads the boot copy once, and neither writes nor pushes", async () => {
  const { scene, standby } = await fleet();
  expect(scene.reads.length).toBe(64);
  scene.put(text("a", "edited", 2));
  await standby.settle();
  await scene.clock.advance(MINUTES);
  expect(standby.entry("template:acme/a")).toBe("uid-a/2");
  expect([scene.reads.length, scene.writes, scene.pushes]).toEqual([64, [], []]);
  expect(standby.woken).toEqual([]);
});

test("with the lead it asks what was written meanwhile, once, and a pod that has everything only hears of the term", async () => {
  const { scene, leader, standby } = await fleet();
  await leader.stop();
  scene.reads.length = 0;
  await standby.lead();
  expect(scene.reads).toEqual(["heads"]);
  expect((await scene.admin.status({} as never, {} as never)).term).toBe("200");
  await scene.clock.advance(MINUTES);
  expect([scene.writes, scene.pushes]).toEqual([[], []]);
});

test("an edit that the former leader pushed and wrote is neither read, pushed nor written again", async () => {
  const { scene, leader, standby } = await fleet();
  scene.put(text("a", "edited", 2));
  await leader.settle();
  await standby.settle();
  await scene.clock.advance(MINUTES);
  expect([scene.writes, scene.pushes]).toEqual([[bootOf("acme/a")], [["template:acme/a"]]]);
  await leader.stop();
  scene.reads.length = 0;
  await standby.lead();
  await scene.clock.advance(MINUTES);
  expect(scene.reads).toEqual(["heads"]);
  expect([scene.writes.length, scene.pushes.length]).toEqual([1, 1]);
});

test("an edit that came when nobody led is live with the lead, from memory, and is written behind", async () => {
  const { scene, leader, standby } = await fleet();
  await leader.stop();
  scene.put(text("a", "while nobody led", 2));
  await standby.settle();
  scene.reads.length = 0;
  await standby.lead();
  expect(textOf(scene, "a")).toEqual({ text: "while nobody led" });
  expect([scene.reads, scene.pushes]).toEqual([["heads"], [["template:acme/a"]]]);
  expect(standby.woken).toContain("prod/a");
  await scene.clock.advance(MINUTES);
  expect(scene.writes).toEqual([bootOf("acme/a")]);
});

test("what the former leader wrote and our watch has not brought yet is not pushed in its older form", async () => {
  const { scene, standby } = await editUnseen();
  await standby.lead();
  expect(textOf(scene, "a")).toEqual({ text: "of the former leader" });
  expect(scene.pushes).toEqual([]);
  expect(standby.entry("template:acme/a")).toBe("uid-a/2");
});

test("an edit of ours outlives a boot copy that has other news of its bucket", async () => {
  const { scene, leader, standby } = await fleet();
  const [x, y] = ["x1", "y1"].map((name) => {
    for (let at = 0; ; at++) if (bucketOf(`acme/${name}${at}`) === bucketOf("acme/a")) return `${name}${at}`;
  }) as [string, string];
  scene.put(aTemplate(x));
  await leader.settle();
  standby.isDeaf = true; // of what is deleted and made within one list a watch may tell nothing
  scene.put(aTemplate(y));
  await leader.settle();
  await scene.clock.advance(MINUTES);
  await leader.stop();
  standby.isDeaf = false;
  scene.remove(aTemplate(y));
  scene.put(text("a", "of nobody yet", 2));
  await standby.settle();
  scene.pushes.length = 0;
  scene.reads.length = 0;
  await standby.lead();
  expect(scene.reads).toEqual(["heads", `get Secret ${bootOf("acme/a")}`]);
  expect(textOf(scene, "a")).toEqual({ text: "of nobody yet" });
  expect([scene.pod.has(`template:acme/${x}`), scene.pod.has(`template:acme/${y}`)]).toEqual([true, false]);
});

test("a deleted Template is gone from memory, and from the pods with the lead should the former leader not have told them", async () => {
  const { scene, leader, standby } = await fleet();
  await leader.stop();
  scene.remove(aTemplate("b"));
  await standby.settle();
  expect(standby.entry("template:acme/b")).toBeUndefined();
  await standby.lead();
  expect(scene.pushes).toEqual([["-template:acme/b"]]);
});

test("a tenant that goes is judged with the lead: its tombstone is raised and written at once", async () => {
  const { scene, leader, standby } = await fleet({ deletionPolicy: "Delete" });
  await leader.stop();
  scene.remove(aTenant("acme", { deletionPolicy: "Delete" }));
  await standby.settle();
  expect([standby.entry("tenant:acme"), standby.entry("template:acme/a")]).toEqual(["uid-acme/1", "uid-a/1"]);
  await standby.lead();
  expect([...scene.pod.keys()].sort()).toEqual(["cluster:cluster", "tombstone:acme"]);
  expect(scene.writes).toContain(bootOf("acme"));
});

test("what the former leader had purged is not purged again: the tenant that has the id now keeps its data", async () => {
  const { scene, leader, standby } = await fleet({ deletionPolicy: "Delete" });
  scene.remove(aTenant("acme", { deletionPolicy: "Delete" }));
  await leader.settle();
  expect(scene.pod.has("tombstone:acme")).toBe(true);
  scene.purged = [{ tenant_id: "acme", uid: "uid-acme" }];
  scene.put(aTenant("acme", { deletionPolicy: "Delete" }, { uid: "uid-heir" }));
  for (let look = 0; look < 4; look++) {
    leader.pusher.look("prod/live");
    await scene.clock.advance(100);
    await leader.settle();
    await standby.settle();
  }
  expect(scene.pod.get("tenant:acme")?.uid).toBe("uid-heir");
  await scene.clock.advance(MINUTES);
  await leader.stop();
  scene.pushes.length = 0;
  await standby.lead();
  await scene.clock.advance(MINUTES);
  expect(scene.pushes).toEqual([]);
  expect([scene.pod.get("tenant:acme")?.uid, scene.pod.has("tombstone:acme")]).toEqual(["uid-heir", false]);
});

test("a tombstone that stands is taken over, not raised anew, and ends when a pod says purged", async () => {
  const { scene, leader, standby } = await fleet({ deletionPolicy: "Delete" });
  scene.remove(aTenant("acme", { deletionPolicy: "Delete" }));
  await leader.settle();
  await standby.settle();
  const raised = scene.pod.get("tombstone:acme")?.digest;
  await scene.clock.advance(MINUTES);
  await leader.stop();
  await standby.lead();
  expect(scene.pod.get("tombstone:acme")?.digest).toBe(raised ?? "none");
  scene.purged = [{ tenant_id: "acme", uid: "uid-acme" }];
  for (let look = 0; look < 2; look++) {
    standby.pusher.look("prod/live");
    await scene.clock.advance(100);
    await standby.settle();
  }
  expect([...scene.pod.keys()]).toEqual(["cluster:cluster"]);
});

test("Secrets that nobody watches are not read before the lead", async () => {
  const scene = new Scene();
  const spec = { auth: { apiKeys: [{ name: "backend", scopes: ["publish"], secretRef: { name: "mine", key: "key" } }] } };
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "mine", namespace: "prod" }, data: { key: "a2V5" } } as SecretObject;
  scene.put(secret, aTenant("acme", spec), aTemplate("a"));
  const standby = scene.operator();
  await standby.settle();
  expect(scene.reads.filter((one) => one.endsWith(" mine"))).toEqual([]);
  expect(standby.entry("tenant:acme")).toBeUndefined();
  await standby.lead();
  expect(scene.reads.filter((one) => one.endsWith(" mine"))).toEqual(["get Secret mine"]);
  expect(textOf(scene, "a")).toEqual({ text: "hi" });
  const entry = scene.pod.get("tenant:acme");
  expect(entry?.kind === "tenant" && entry.spec.api_keys.length).toBe(1);
});

test("a key that was taken away when nobody led does not come back with the next pod: it is written at once", async () => {
  const scene = new Scene();
  const keys = (names: readonly string[]) => ({ auth: { apiKeys: names.map((name) => ({ name, scopes: ["publish"] })) } });
  const secret = (name: string): SecretObject =>
    ({
      ...{ apiVersion: "v1", kind: "Secret", data: { key: Buffer.from(name).toString("base64") } },
      metadata: { name: apiKeySecretName("acme", name), namespace: "prod", labels: { "nexus.dev/tenant": "acme" } },
    }) as SecretObject; // as the operator makes them
  scene.put(secret("one"), secret("two"), aTenant("acme", keys(["one", "two"])));
  const leader = scene.operator({ isLeading: true });
  await leader.settle();
  await scene.clock.advance(MINUTES);
  const standby = scene.operator();
  await standby.settle();
  await leader.stop();
  scene.put(aTenant("acme", keys(["one"]), { generation: 2 }));
  await standby.settle();
  scene.writes.length = 0;
  await standby.lead();
  expect(scene.writes).toEqual([bootOf("acme")]);
});

test("an operator that sees less takes over what it cannot see", async () => {
  const { scene, leader } = await fleet();
  const narrow = scene.operator({ scope: { namespaces: ["elsewhere"], selector: undefined } });
  await narrow.settle();
  scene.put(aTemplate("d"));
  await leader.settle();
  await scene.clock.advance(MINUTES);
  await leader.stop();
  scene.pushes.length = 0;
  await narrow.lead();
  await scene.clock.advance(MINUTES);
  expect(scene.pushes).toEqual([]);
  expect([...scene.pod.keys()]).toContain("template:acme/d");
});

test("no pod is told anything before it is known what was written meanwhile", async () => {
  const { scene, standby } = await editUnseen();
  for (const failing of [1, 2]) {
    scene.failing = failing;
    await expect(standby.lead()).rejects.toMatchObject({ status: 503 });
    await scene.clock.advance(1_000);
    expect((await scene.admin.status({} as never, {} as never)).term).toBe("100");
    scene.failing = 0;
  }
  await standby.lead();
  expect(textOf(scene, "a")).toEqual({ text: "of the former leader" });
  expect(scene.pushes).toEqual([]);
});

test("a standby that was there before there was a boot copy takes it over whole", async () => {
  const scene = new Scene();
  scene.put(aTenant("acme"), ...Array.from({ length: 300 }, (_, at) => aTemplate(`t${at}`)));
  const standby = scene.operator();
  await standby.settle();
  expect(scene.reads.filter((one) => one === "walk")).toEqual([]); // what is much is read with the lead alone
  const leader = scene.operator({ isLeading: true });
  await leader.settle();
  await scene.clock.advance(MINUTES);
  await leader.stop();
  scene.reads.length = 0;
  scene.pushes.length = 0;
  scene.writes.length = 0;
  await standby.lead();
  await scene.clock.advance(MINUTES);
  expect([scene.pushes, scene.writes]).toEqual([[], []]);
  expect(scene.reads.filter((one) => !one.startsWith("get Secret live-boot-"))).toEqual(["heads"]);
  expect(scene.pod.size).toBe(302);
});

test("a lead that comes while the boot copy is being read begins with what was written since", async () => {
  const { scene, leader } = await fleet();
  const late = scene.operator();
  const reading = late.pass.run("prod/live");
  late.isDeaf = true;
  scene.put(text("a", "of the former leader", 2));
  await leader.settle();
  await scene.clock.advance(MINUTES);
  await reading;
  await leader.stop();
  scene.pushes.length = 0;
  await late.lead();
  expect(textOf(scene, "a")).toEqual({ text: "of the former leader" });
  expect(scene.pushes).toEqual([]);
});

test("nothing is said of an object before the lead, and every tenant is looked at with it", async () => {
  const { scene, leader, standby } = await fleet();
  scene.put(aTenant("acme", { suspended: true }, { generation: 2 }));
  await standby.settle();
  expect(standby.outcome("tenant", "prod/acme")).toBeUndefined();
  expect(leader.outcome("template", "prod/a")).toMatchObject({ kind: "entry" });
  await leader.stop();
  await standby.lead();
  expect(standby.outcome("tenant", "prod/acme")).toMatchObject({ kind: "entry", id: "acme" });
  expect([...new Set(standby.woken)].sort()).toEqual(["prod/a", "prod/acme", "prod/b", "prod/c"]);
});

test("who was paused while another led is not heard when it wakes", async () => {
  const { scene, leader, standby } = await fleet();
  leader.isDeaf = true;
  await standby.lead();
  scene.put(text("a", "of the new leader", 2));
  await standby.settle();
  leader.isDeaf = false;
  leader.see(text("b", "of the old one", 2));
  await leader.settle(); // it believes that it still leads, with its old term
  await scene.clock.advance(1_000);
  expect([textOf(scene, "a"), textOf(scene, "b")]).toEqual([{ text: "of the new leader" }, { text: "hi" }]);
});

test("pods that know more than the boot copy keep it: the former leader died before it wrote what it had pushed", async () => {
  const { scene, leader, standby } = await fleet();
  scene.put(text("a", "pushed, not written", 2));
  await leader.settle();
  await standby.settle();
  await leader.stop();
  expect(scene.writes).toEqual([]);
  scene.pushes.length = 0;
  await standby.lead();
  expect([scene.pushes, textOf(scene, "a")]).toEqual([[], { text: "pushed, not written" }]);
  await scene.clock.advance(MINUTES);
  expect([scene.pushes, scene.writes]).toEqual([[], [bootOf("acme/a")]]);
});

test("an edit between the question and the answer about what was written is neither lost nor overwritten", async () => {
  const { scene, leader, standby } = await fleet();
  scene.put(text("a", "second", 2));
  await leader.settle(); // the standby has not looked yet
  await scene.clock.advance(MINUTES);
  await leader.stop();
  const asked = scene.api.heads;
  let isEdited = false;
  scene.api.heads = async (...about) => {
    const heads = await asked(...about);
    if (!isEdited) scene.put(text("a", "third", 3), text("b", "other", 2));
    isEdited = true;
    return heads;
  };
  await standby.lead();
  await standby.settle();
  await scene.clock.advance(100);
  expect([textOf(scene, "a"), textOf(scene, "b")]).toEqual([{ text: "third" }, { text: "other" }]);
});

test.each([
  ["paused", { annotations: { [PAUSED_ANNOTATION]: "true" } }],
  ["going", { deletionTimestamp: "2026-01-01T00:00:00Z" }],
])("a cluster that is %s keeps nobody from the lead: there is nothing to make ready", async (_what, metadata) => {
  const cluster = aCluster();
  const scene = new Scene({ ...cluster, metadata: { ...cluster.metadata, ...metadata } });
  scene.put(aTenant("acme"), aTemplate("a"));
  const standby = scene.operator();
  expect(await standby.pass.run(CLUSTER)).toEqual({ kind: "done" });
  expect(standby.pass.isWarm(CLUSTER)).toBe(true);
});

test("one that nobody has looked at yet is not warm", () => {
  expect(new Scene().operator().pass.isWarm(CLUSTER)).toBe(false);
});

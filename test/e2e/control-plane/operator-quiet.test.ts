// Why: an operator that writes without need wears out etcd and every watcher. The API server's audit log counts what ours wrote.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import { type Stage, settled, startStage, textOf } from "../../support/operator.ts";
import { cluster, template, tenant } from "../../support/resources.ts";

setDefaultTimeout(120_000);

const NAMESPACE = "quiet";
const OBJECTS = ["nexuscluster/live", "tenant/acme", "template/hello"];
let stage: Stage;
let kubelet: FakeKubelet;

beforeAll(async () => {
  stage = await startStage();
  kubelet = fakeKubelet(stage, NAMESPACE, "live");
  await stage.kubectl("create", "namespace", NAMESPACE);
});
afterAll(async () => {
  await kubelet?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

test("objects become Ready; after that, neither time nor a restart writes anything", async () => {
  {
    await using first = await stage.operator();
    await stage.plane.apply([cluster(NAMESPACE), tenant(NAMESPACE), template(NAMESPACE)]);
    await kubelet.runPods(1);
    await Promise.all(OBJECTS.map((object) => stage.until(object, NAMESPACE, { type: "Ready", status: "True" })));
    const writes = await settled(stage, 8_000); // the boot Secrets are written 5 s behind
    // A conflict with Kubernetes' own controllers may happen; anything else that is refused is a mistake of ours.
    expect(writes.map(textOf).filter((text) => / [45]\d\d$/.test(text) && !text.endsWith(" 409"))).toEqual([]);
    expect(await metric(first.url, "nexus_operator_unchanged_writes_total")).toBe(0);
    process.stderr.write(
      `measured: ${writes.length} writes from nothing to Ready (1 cluster, 1 tenant, 1 template): ${tally(writes.map(textOf))}\n`,
    );
  }
  const before = await settled(stage);
  const statuses = () => Promise.all(OBJECTS.map(async (object) => (await stage.get(object, NAMESPACE))?.status));
  const said = await statuses();
  {
    await using second = await stage.operator();
    await eventually("the second operator leads", async () => (await metric(second.url, "leader_election_master_status")) === 1);
    const [pod] = [...kubelet.pods.values()];
    const pushes = pod?.received.length ?? 0;
    await eventually("it has spoken to the pod", () => (pod?.received.length ?? 0) > pushes || (pod?.asked ?? 0) > 1);
    const after = await settled(stage, 8_000);
    expect(await statuses()).toEqual(said); // says what was written, should anything have been
    expect(after.slice(before.length).map(textOf)).toEqual([]);
    expect(await metric(second.url, "nexus_operator_unchanged_writes_total")).toBe(0);
  }
});

test("a scale-up of five pods writes at most ten statuses, none of them of a Tenant or Template", async () => {
  await using _operator = await stage.operator();
  const templates = Array.from({ length: 30 }, (_, index) => template(NAMESPACE, `more-${index}`));
  await stage.plane.apply(templates);
  await stage.until("template/more-29", NAMESPACE, { type: "Ready", status: "True" });
  const before = await settled(stage, 8_000);
  await kubelet.addPods(5);
  await kubelet.runPods(6);
  await eventually("the cluster counts them", async () => {
    const { status } = (await stage.get("nexuscluster/live", NAMESPACE)) ?? {};
    return JSON.stringify(status?.bundle).includes('"podsSynced":6,"podsTotal":6');
  });
  const writes = (await settled(stage)).slice(before.length);
  const statuses = writes.filter((event) => event.objectRef?.subresource === "status");
  process.stderr.write(`measured: ${statuses.length} status writes for 5 more pods\n`);
  expect(statuses.length).toBeLessThanOrEqual(10);
  expect(new Set(statuses.map((event) => event.objectRef?.resource))).toEqual(new Set(["nexusclusters"]));
  expect(writes.filter((event) => event.objectRef?.subresource !== "status").map(textOf)).toEqual([]);
});

/** Sum of a metric over its labels; 0 when it was never counted. */
async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** Equal texts counted. */
const tally = (texts: readonly string[]): string =>
  [...Map.groupBy(texts, (text) => text.replace(/-boot-\d\d/, "-boot-NN"))].map(([text, all]) => `${all.length} × ${text}`).join("; ");

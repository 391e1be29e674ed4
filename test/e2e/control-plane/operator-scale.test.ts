// Why: with hundreds of Templates an operator that starts must find all in order without a write, and an edit must not wait for the
// rest. `npm run bench:operator` measures the same with 100,000.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import { type Stage, settled, startStage, textOf } from "../../support/operator.ts";
import { cluster, template, tenant } from "../../support/resources.ts";

setDefaultTimeout(180_000);

const NAMESPACE = "scale";
const COUNT = 500;
const nameOf = (at: number) => `t-${at}`;
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

const path = (name = "") => `/apis/nexus.dev/v1alpha1/namespaces/${NAMESPACE}/templates${name && `/${name}`}`;

async function edit(name: string, text: string): Promise<void> {
  const headers = { "content-type": "application/merge-patch+json" };
  const answer = await stage.plane.request(path(name), { method: "PATCH", headers, body: JSON.stringify({ spec: { payload: { text } } }) });
  expect(answer.status).toBe(200);
}

async function readyCount(): Promise<number> {
  type List = { readonly items: readonly { readonly status?: { readonly conditions?: readonly { type: string; status: string }[] } }[] };
  const { items } = (await (await stage.plane.request(path())).json()) as List; // a TemplateList
  return items.filter(({ status }) => status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True")).length;
}

const pod = () => [...kubelet.pods.values()][0];
const textAt = (name: string): unknown => {
  const entry = pod()?.entry(`template:acme/${name}`);
  return entry?.kind === "template" ? entry.spec.payload : undefined;
};
const live = (name: string, text: string) =>
  eventually(`${name} is live`, () => JSON.stringify(textAt(name)) === JSON.stringify({ text }), { timeoutMs: 20_000, intervalMs: 2 });

test("500 Templates that were there before become Ready with one status each; a restart writes nothing; edits go through at once", async () => {
  await stage.plane.apply([
    cluster(NAMESPACE),
    tenant(NAMESPACE),
    ...Array.from({ length: COUNT }, (_, at) => template(NAMESPACE, nameOf(at))),
  ]);
  {
    await using _first = await stage.operator();
    await kubelet.runPods(1);
    await eventually("every Template is Ready", async () => (await readyCount()) === COUNT, { timeoutMs: 120_000, intervalMs: 250 });
    const writes = await settled(stage, 8_000);
    const statuses = writes.filter(({ objectRef }) => objectRef?.resource === "templates").map(textOf);
    expect(new Set(statuses).size).toBe(COUNT);
    expect(statuses.length).toBeLessThanOrEqual(COUNT * 1.02); // a pass may meet a pod just before its answer
  }
  const before = await settled(stage);
  await using _second = await stage.operator();
  const startedMs = performance.now();
  await edit(nameOf(250), "while it starts");
  await live(nameOf(250), "while it starts");
  process.stderr.write(`measured: an edit during a restart was live after ${Math.round(performance.now() - startedMs)} ms\n`);
  const times: number[] = [];
  for (let round = 0; round < 20; round++) {
    const fromMs = performance.now();
    await edit(nameOf(round), `edited ${round}`);
    await live(nameOf(round), `edited ${round}`);
    times.push(performance.now() - fromMs);
  }
  process.stderr.write(
    `measured: edit to live, p50 ${times.sort((a, b) => a - b)[10]?.toFixed(0)} ms, max ${times.at(-1)?.toFixed(0)} ms\n`,
  );
  const edited = new Set([nameOf(250), ...Array.from({ length: 20 }, (_, at) => nameOf(at))]);
  const after = (await settled(stage, 8_000)).slice(before.length);
  const others = after.filter(({ objectRef }) => objectRef?.resource !== "templates" || !edited.has(objectRef.name ?? ""));
  // What edits bring about: the boot copy of their buckets and the digest in the cluster's status.
  expect(others.map(textOf).filter((text) => !/ secrets scale\/live-boot-\d\d | nexusclusters\/status /.test(text))).toEqual([]);
  expect(await readyCount()).toBe(COUNT);
});

test("what is deleted while nobody looks is gone from the pods when somebody does", async () => {
  const gone = [nameOf(400), nameOf(401)];
  await settled(stage);
  await stage.kubectl("delete", "template", "-n", NAMESPACE, ...gone);
  await using _third = await stage.operator();
  await eventually("the pod has dropped them", () => gone.every((name) => pod()?.entry(`template:acme/${name}`) === undefined), {
    timeoutMs: 30_000,
  });
  expect(textAt(nameOf(402))).toEqual({ text: "hello" });
});

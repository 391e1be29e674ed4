// Why: what people feel when operators die or lose their connection: an edit made meanwhile must reach the pods, soon, from
// whoever leads then, and the one that leads no more must be quiet.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import { type OperatorProcess, type Stage, startStage } from "../../support/operator.ts";
import { cluster, template, tenant } from "../../support/resources.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

setDefaultTimeout(120_000);

const NAMESPACE = "led";
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

const leads = (operator: OperatorProcess) => operator.log().some((line) => line.event === "lease.acquired");
const edit = (text: string) =>
  stage.kubectl("patch", "template/hello", "-n", NAMESPACE, "--type=merge", "-p", JSON.stringify({ spec: { payload: { text } } }));
const ready = () => stage.until("template/hello", NAMESPACE, { type: "Synced", status: "True" }, 30_000);

test("a killed leader is replaced within 20 s, and an edit made meanwhile reaches the pods", async () => {
  await using first = await stage.process();
  await eventually("the first leads", () => leads(first), { timeoutMs: 20_000 });
  await using second = await stage.process();
  await stage.plane.apply([cluster(NAMESPACE), tenant(NAMESPACE), template(NAMESPACE)]);
  await kubelet.runPods(1);
  await stage.until("template/hello", NAMESPACE, { type: "Ready", status: "True" });

  const killedMs = performance.now();
  first.signal("SIGKILL");
  await first.exited;
  await edit("written while nobody led");
  await eventually("the second leads", () => leads(second), { timeoutMs: 20_000 });
  const tookMs = performance.now() - killedMs;
  await ready();
  process.stderr.write(
    `measured: leader killed, standby leads after ${(tookMs / 1000).toFixed(1)} s, the edit is on the pods after ${((performance.now() - killedMs) / 1000).toFixed(1)} s\n`,
  );
  expect(tookMs).toBeLessThanOrEqual(20_000);
});

test("a leader that is told to stop hands over at once", async () => {
  await using first = await stage.process();
  await eventually("the first leads", () => leads(first), { timeoutMs: 30_000 });
  await using second = await stage.process();
  await eventually("the second watches", () => second.log().some((line) => line.event === "operator.started"));
  const stoppedMs = performance.now();
  first.signal("SIGTERM");
  expect(await first.exited).toBe(0);
  await eventually("the second leads", () => leads(second), { timeoutMs: 10_000 });
  process.stderr.write(`measured: leader stopped, standby leads after ${((performance.now() - stoppedMs) / 1000).toFixed(1)} s\n`);
  await edit("after the hand-over");
  await ready();
});

test("watches cut again and again while a template is edited lose no edit", async () => {
  const { hostname, port } = new URL(stage.plane.server);
  await using proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  await using _operator = await stage.operator({}, `https://127.0.0.1:${proxy.port}`);
  await edit("before the cuts");
  await ready();
  for (let round = 0; round < 5; round++) {
    proxy.cut();
    await edit(`round ${round}`);
    proxy.cut();
  }
  await ready();
  const [pod] = [...kubelet.pods.values()];
  await eventually("the pod has the last edit", () => JSON.stringify(pod?.entry("template:acme/hello")).includes("round 4"));
});

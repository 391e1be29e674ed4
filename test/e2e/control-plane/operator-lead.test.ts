// Why: operators die, are stopped, and lose their connection. Somebody must lead within 20 s, an old leader must not be heard,
// and no edit may be lost. Here they are real processes, as in a pod, and a real Lease with the times we ship.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createAuthority } from "../../support/cluster/pki.ts";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import { type OperatorProcess, type Stage, settled, startStage, textOf } from "../../support/operator.ts";
import { cluster, template, tenant } from "../../support/resources.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

setDefaultTimeout(120_000);

const NAMESPACE = "lead";
/** As we ship it: whoever leads sooner was handed the Lease. */
const LEASE_MS = 15_000;
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

const leads = (operator: OperatorProcess): boolean => operator.log().some(({ event }) => event === "lease.acquired");
const isWarm = (operator: OperatorProcess): boolean => operator.log().some(({ event }) => event === "standby.warm");
const termOf = (operator: OperatorProcess): unknown => operator.log().find(({ event }) => event === "lease.acquired")?.term;
const payload = (text: string) => template(NAMESPACE, "hello", { payload: { text } });
const isLive = (text: string): boolean => {
  const all = [...kubelet.pods.values()];
  return all.length > 0 && all.every((pod) => JSON.stringify(pod.entry("template:acme/hello")).includes(text));
};

test("a killed leader is replaced within 20 s, and the edit made meanwhile is live", async () => {
  await using first = await stage.process();
  await eventually("the first leads", () => leads(first));
  await using second = await stage.process();
  await stage.plane.apply([cluster(NAMESPACE), tenant(NAMESPACE), payload("first")]);
  await kubelet.runPods(1);
  await stage.until("template/hello", NAMESPACE, { type: "Ready", status: "True" });
  await eventually("the second stands by", () => isWarm(second), { timeoutMs: 30_000 });
  expect(leads(second)).toBe(false);
  await settled(stage, 7_000);
  const killedMs = performance.now();
  first.signal("SIGKILL");
  await first.exited;
  await stage.plane.apply(payload("while nobody led"));
  await eventually("the edit is live", () => isLive("while nobody led"), { timeoutMs: 20_000 });
  process.stderr.write(`measured: leader killed to edit live: ${((performance.now() - killedMs) / 1000).toFixed(1)} s\n`);
  const before = (await stage.writes()).length;
  const after = (await settled(stage)).slice(before).map(textOf);
  expect(after.filter((write) => !write.includes("/status") && !write.includes("-boot-"))).toEqual([]);
});

test("a leader that is told to stop gives the Lease back: the other leads at once with what it has in memory, and both end with 0", async () => {
  await using first = await stage.process();
  await eventually("the first leads", () => leads(first));
  await using second = await stage.process();
  await eventually("the second stands by", () => isWarm(second), { timeoutMs: 30_000 });
  await stage.plane.apply(payload("seen by both"));
  await eventually("the edit is live", () => isLive("seen by both"));
  await settled(stage, 7_000); // its bucket of the boot copy is written
  const before = { writes: (await stage.writes()).length, all: (await stage.plane.auditEvents()).length };
  const toldMs = performance.now();
  first.signal("SIGTERM");
  expect(await first.exited).toBe(0);
  await eventually("the second leads", () => leads(second), { timeoutMs: LEASE_MS, intervalMs: 10 });
  process.stderr.write(`measured: leader told to stop to the other leading: ${((performance.now() - toldMs) / 1000).toFixed(1)} s\n`);
  await eventually("the pods have heard of it", () => [...kubelet.pods.values()].every((pod) => pod.fence().term === termOf(second)));
  expect((await settled(stage)).slice(before.writes).map(textOf)).toEqual([]);
  const reads = (await stage.plane.auditEvents()).slice(before.all).filter(({ objectRef }) => objectRef?.resource === "secrets");
  expect(reads.filter(({ verb, stage: at }) => verb !== "watch" && at === "ResponseComplete").map(({ verb }) => verb)).toEqual(["list"]);
  second.signal("SIGTERM");
  expect(await second.exited).toBe(0);
});

test("a leader that was paused is not heard when it wakes, and ends", async () => {
  await using old = await stage.process();
  await eventually("the old one leads", () => leads(old));
  await stage.plane.apply(payload("of the old leader"));
  await eventually("it pushes", () => isLive("of the old leader"));
  await settled(stage, 7_000);
  old.signal("SIGSTOP");
  await using next = await stage.process();
  await eventually("the next one leads", () => leads(next));
  await stage.plane.apply(payload("of the next leader"));
  await eventually("it pushes", () => isLive("of the next leader"));
  await settled(stage, 7_000);
  const before = (await stage.writes()).length;
  old.signal("SIGCONT");
  expect(await old.exited).toBe(1);
  expect((await settled(stage)).slice(before).map(textOf)).toEqual([]);
  expect(isLive("of the next leader")).toBe(true);
  expect([...kubelet.pods.values()].flatMap((pod) => pod.received.filter(({ status }) => status === 412))).toEqual([]);
});

test("watches that are cut, stalled or refused recover, and no edit is lost", async () => {
  const { hostname, port } = new URL(stage.plane.server);
  await using proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  await using _operator = await stage.operator({}, `https://127.0.0.1:${proxy.port}`);
  await stage.plane.apply(payload("before"));
  await eventually("it is live", () => isLive("before"));
  proxy.cut();
  await stage.plane.apply(payload("after the cut"));
  await eventually("it is live", () => isLive("after the cut"));
  proxy.refuse();
  await stage.plane.apply(payload("while refused"));
  await eventually("it tries again and again", () => proxy.open === 0);
  proxy.accept();
  await eventually("it is live", () => isLive("while refused"));
  const names = Array.from({ length: 20 }, (_, index) => `burst-${index}`);
  for (const [index, name] of names.entries()) {
    await stage.plane.apply(template(NAMESPACE, name));
    if (index % 5 === 0) proxy.cut();
  }
  const [pod] = [...kubelet.pods.values()];
  await eventually("all are there", () => names.every((name) => pod?.entry(`template:acme/${name}`)));
  await stage.kubectl("delete", "template", "-n", NAMESPACE, ...names.slice(0, 10));
  proxy.cut();
  await eventually("the deleted ones are gone", () => names.slice(0, 10).every((name) => !pod?.entry(`template:acme/${name}`)));
  expect(names.slice(10).every((name) => pod?.entry(`template:acme/${name}`))).toBe(true);
});

test("an API server whose certificate another CA signed gets no request, and the operator does not lead", async () => {
  const seen: string[] = [];
  const other = await createAuthority("somebody else");
  const { certPem, keyPem } = await other.issue({ commonName: "apiserver", hosts: ["127.0.0.1"] });
  await using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: certPem, key: keyPem },
    fetch: (request) => {
      seen.push(request.url);
      return Response.json({});
    },
  });
  await using operator = await stage.operator({ "--lease-name": "elsewhere" }, `https://127.0.0.1:${server.port}`);
  await eventually("it has tried to list and failed", async () => {
    const text = await (await fetch(`${operator.url}/metrics`)).text();
    return /rest_client_requests_total\{[^}]*code="<error>"[^}]*\} [1-9]/.test(text);
  });
  expect((await fetch(`${operator.url}/readyz`)).status).toBe(503);
  expect(seen).toEqual([]);
});

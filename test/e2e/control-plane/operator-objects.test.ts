// Why: what users do to their objects, right and wrong, and what the operator makes of it, against a real API server and under
// the RBAC we ship. Each test has a namespace of its own; one operator serves them all.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { RunningOperator } from "@nexus/operator/main.ts";
import { sha256 } from "@nexus/protocol/canonical.ts";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import { type Stage, settled, startStage, textOf, within } from "../../support/operator.ts";
import { cluster, template, tenant } from "../../support/resources.ts";

setDefaultTimeout(60_000);

let stage: Stage;
let operator: RunningOperator & AsyncDisposable;

beforeAll(async () => {
  stage = await startStage();
  operator = await stage.operator();
});
afterAll(async () => {
  await operator?.[Symbol.asyncDispose]();
  await stage?.[Symbol.asyncDispose]();
});

async function namespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<string> {
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  return name;
}

/** A cluster with one running pod. */
async function fleet(name: string, spec: object = {}): Promise<FakeKubelet> {
  await namespace(name);
  await stage.plane.apply(cluster(name, "live", spec));
  const kubelet = fakeKubelet(stage, name, "live");
  await kubelet.runPods(1);
  return kubelet;
}

const text = (data: Record<string, string> | undefined, key: string) => Buffer.from(data?.[key] ?? "", "base64").toString();
const entryOf = (kubelet: FakeKubelet, key: string) => [...kubelet.pods.values()][0]?.entry(key);
const events = (of: string) => stage.kubectl("get", "events", "-n", of, "-o", "json");
const hashes = (kubelet: FakeKubelet): readonly string[] => {
  const entry = entryOf(kubelet, "tenant:acme");
  return entry?.kind === "tenant" ? entry.spec.api_keys.flatMap((key) => key.hashes.map((hash) => hash.sha256)) : [];
};
type Container = { readonly image: string; readonly env: readonly { readonly name: string }[] };
async function container(of: string): Promise<Container> {
  const path = "jsonpath={.spec.template.spec.containers[0]}";
  return JSON.parse(await stage.kubectl("get", "deployment/live-server", "-n", of, "-o", path)) as Container; // a container of ours
}

test("a template waits for its tenant, the tenant for its cluster; in any order all become Ready", async () => {
  const ns = await namespace("order");
  await stage.plane.apply(template(ns));
  await stage.until("template/hello", ns, { type: "Accepted", status: "False", reason: "ReferenceNotPermitted" });
  await stage.plane.apply(tenant(ns));
  await stage.until("tenant/acme", ns, { type: "Accepted", status: "False", reason: "ReferenceNotPermitted" });
  await stage.until("template/hello", ns, { type: "Accepted", status: "False", reason: "TenantNotAccepted" });
  await stage.until("tenant/acme", ns, { type: "Reconciling", status: "True" });
  await stage.plane.apply(cluster(ns));
  // While nobody can answer: a refusal that is over must not stand, or a tool that reads Stalled gives up on them.
  for (const object of ["tenant/acme", "template/hello"])
    await stage.until(object, ns, { type: "Ready", status: "False", reason: "NoReadyPods" }, 10_000);
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  for (const object of ["nexuscluster/live", "tenant/acme", "template/hello"])
    await stage.until(object, ns, { type: "Ready", status: "True" });
  expect(await stage.condition("tenant/acme", ns, "Reconciling")).toBeUndefined();
  expect((await stage.get("tenant/acme", ns))?.status?.tenantId).toBe("acme");
});

test("where no pod is ready a template is told so within seconds, and is Ready when one has it", async () => {
  const ns = await namespace("empty");
  await stage.plane.apply([cluster(ns), tenant(ns), template(ns)]);
  await stage.until("template/hello", ns, { type: "Synced", status: "False", reason: "NoReadyPods" }, 10_000);
  await stage.until("tenant/acme", ns, { type: "Synced", status: "False", reason: "NoReadyPods" }, 10_000);
  await stage.plane.apply(template(ns, "hello", { payload: { text: "edited" } }));
  const told = async () => (await stage.condition("template/hello", ns, "Synced"))?.observedGeneration === 2;
  await eventually("the edit is told too", told, { timeoutMs: 10_000 });
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  await stage.until("template/hello", ns, { type: "Ready", status: "True" });
});

test("an edit of a template reaches the pod, and Synced is about the new generation", async () => {
  await using kubelet = await fleet("edit");
  await stage.plane.apply([tenant("edit"), template("edit")]);
  await stage.until("template/hello", "edit", { type: "Synced", status: "True" });
  const startedMs = performance.now();
  await stage.plane.apply(template("edit", "hello", { payload: { text: "changed" } }));
  const appliedMs = performance.now();
  await eventually("the pod has it", () => JSON.stringify(entryOf(kubelet, "template:acme/hello")).includes("changed"), { intervalMs: 5 });
  process.stderr.write(
    `measured: template edit live ${(performance.now() - appliedMs).toFixed(0)} ms after kubectl apply ended (${(performance.now() - startedMs).toFixed(0)} ms with it)\n`,
  );
  const synced = await stage.until("template/hello", "edit", { type: "Synced", status: "True" });
  expect(synced.observedGeneration).toBe(2);
});

test("a version that cannot be used is refused on its status; the last good one stays on the pods", async () => {
  await using kubelet = await fleet("bad");
  await stage.plane.apply([tenant("bad"), template("bad"), template("bad", "other")]);
  await stage.until("template/hello", "bad", { type: "Ready", status: "True" });
  await stage.plane.apply(template("bad", "hello", { engine: "Liquid", payload: { text: "{% if x %}" } }));
  const stalled = await stage.until("template/hello", "bad", { type: "Stalled", status: "True", reason: "InvalidSpec" });
  expect(stalled.message).toBe("spec.payload.text tag {% if x %} not closed (line 1, column 1)");
  await stage.plane.apply(template("bad", "other", { payload: { text: "others go on" } }));
  await eventually("the other's edit is there", () => JSON.stringify(entryOf(kubelet, "template:acme/other")).includes("others go on"));
  expect(JSON.stringify(entryOf(kubelet, "template:acme/hello"))).toContain("hello");
  // Not even a restart of the operator forgets it: it reads the boot Secrets back.
  await settled(stage, 7_000);
  await operator[Symbol.asyncDispose]();
  operator = await stage.operator();
  await stage.plane.apply(template("bad", "other", { payload: { text: "after the restart" } }));
  await eventually("an edit is there", () => JSON.stringify(entryOf(kubelet, "template:acme/other")).includes("after the restart"));
  expect(JSON.stringify(entryOf(kubelet, "template:acme/hello"))).toContain("hello");
});

test("a hand-edited image is put back and told of; a foreign env entry is left and reported", async () => {
  await using _kubelet = await fleet("drift");
  const before = await container("drift");
  await stage.kubectl("set", "image", "-n", "drift", "deployment/live-server", "server=nexus.dev/other:1");
  await eventually("the image is put back", async () => (await container("drift")).image === before.image);
  const told = await eventually("an event tells", async () => {
    const found = await events("drift");
    return found.includes('"Drift"') && found;
  });
  expect(told).toContain("image");
  await stage.kubectl("set", "env", "-n", "drift", "deployment/live-server", "FOREIGN=1");
  const drift = await stage.until("nexuscluster/live", "drift", { type: "Drift", status: "True", reason: "ForeignFields" });
  expect(drift.message).toContain("FOREIGN");
  expect((await container("drift")).env.map(({ name }) => name)).toContain("FOREIGN");
  await stage.kubectl("set", "env", "-n", "drift", "deployment/live-server", "FOREIGN-");
  await eventually("the report goes with it", async () => (await stage.condition("nexuscluster/live", "drift", "Drift")) === undefined);
});

test("children that somebody deletes come back", async () => {
  await using _kubelet = await fleet("deleted");
  for (const child of ["service/live-server", "poddisruptionbudget/live-server", "secret/live-admin-token"]) {
    await stage.kubectl("delete", child, "-n", "deleted");
    await eventually(`${child} is back`, () => stage.get(child, "deleted"));
  }
});

test("a foreign object with our name is a NameConflict, never adopted and never changed", async () => {
  const ns = await namespace("foreign");
  const service = { apiVersion: "v1", kind: "Service", metadata: { name: "live-server", namespace: ns }, spec: { ports: [{ port: 1 }] } };
  await stage.plane.apply(service);
  const before = await stage.get("service/live-server", ns);
  await stage.plane.apply(cluster(ns));
  const stalled = await stage.until("nexuscluster/live", ns, { type: "Stalled", status: "True", reason: "NameConflict" });
  expect(stalled.message).toContain("Service live-server");
  expect((await stage.get("service/live-server", ns))?.metadata.resourceVersion).toBe(before?.metadata.resourceVersion ?? "");
  await stage.kubectl("delete", "service/live-server", "-n", ns);
  await eventually("it is made once the name is free", () => stage.get("service/live-server", ns), { timeoutMs: 15_000 });
});

test("of two Tenants with one id the older has it; when it goes, the other takes over", async () => {
  await using kubelet = await fleet("twins");
  await stage.plane.apply(tenant("twins", "first", { tenantId: "acme" }));
  await stage.until("tenant/first", "twins", { type: "Ready", status: "True" });
  await eventually("a later second", async () => {
    const { stdout } = await stage.plane.kubectl(["get", "tenant/first", "-n", "twins", "-o", "jsonpath={.metadata.creationTimestamp}"]);
    return Date.now() - Date.parse(stdout) > 1_000;
  });
  await stage.plane.apply(tenant("twins", "second", { tenantId: "acme" }));
  await stage.until("tenant/second", "twins", { type: "Accepted", status: "False", reason: "NameConflict" });
  expect((await stage.condition("tenant/first", "twins", "Ready"))?.status).toBe("True");
  await stage.kubectl("delete", "tenant/first", "-n", "twins");
  await stage.until("tenant/second", "twins", { type: "Ready", status: "True" });
  const uid = (await stage.get("tenant/second", "twins"))?.metadata.uid;
  await eventually("the pod has the second one", () => entryOf(kubelet, "tenant:acme")?.uid === uid);
});

test("another namespace may attach only where the cluster says so, and its id carries the namespace", async () => {
  await using _kubelet = await fleet("owner");
  const guest = await namespace("guest", { team: "blue" });
  const foreign = tenant(guest, "acme", { clusterRef: { name: "live", namespace: "owner" } });
  await stage.plane.apply(foreign);
  const refused = await stage.until("tenant/acme", guest, { type: "Accepted", status: "False", reason: "ReferenceNotPermitted" });
  await stage.plane.apply(tenant(guest, "nobody", { clusterRef: { name: "no-such", namespace: "owner" } }));
  const missing = await stage.until("tenant/nobody", guest, { type: "Accepted", status: "False", reason: "ReferenceNotPermitted" });
  expect(refused.message.replace("owner/live", "X")).toBe(missing.message.replace("owner/no-such", "X"));
  const selector = { matchLabels: { team: "green" } };
  await stage.plane.apply(cluster("owner", "live", { allowedNamespaces: { from: "Selector", selector } }));
  await stage.until("nexuscluster/live", "owner", { type: "Ready" });
  expect((await stage.condition("tenant/acme", guest, "Accepted"))?.reason).toBe("ReferenceNotPermitted");
  await stage.kubectl("label", "namespace", guest, "team=green", "--overwrite");
  await stage.until("tenant/acme", guest, { type: "Ready", status: "True" });
  expect((await stage.get("tenant/acme", guest))?.status?.tenantId).toBe("guest.acme");
});

test("a Secret that is missing is named, and found once it is there; a labelled one is followed at once", async () => {
  await using kubelet = await fleet("secrets");
  const issuers = [{ name: "web", algorithms: ["HS256"], secretRef: { name: "jwt" } }];
  await stage.plane.apply(tenant("secrets", "acme", { auth: { issuers } }));
  const stalled = await stage.until("tenant/acme", "secrets", { type: "Stalled", status: "True", reason: "SecretNotFound" });
  expect(stalled.message).toContain("Secret jwt");
  await stage.until("tenant/acme", "secrets", { type: "CredentialsReady", status: "False" });
  const secret = (value: string) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "jwt", namespace: "secrets", labels: { "nexus.dev/watch": "true" } },
    stringData: { key: value },
  });
  const keyOnPod = () => {
    const entry = entryOf(kubelet, "tenant:acme");
    const key = entry?.kind === "tenant" ? entry.spec.issuers[0]?.key : undefined;
    return key?.type === "secret" ? Buffer.from(key.base64, "base64").toString() : undefined;
  };
  await stage.plane.apply(secret("first"));
  await stage.until("tenant/acme", "secrets", { type: "Ready", status: "True" });
  await eventually("the pod has it", () => keyOnPod() === "first");
  await stage.plane.apply(secret("second"));
  await eventually("the pod has the new one", () => keyOnPod() === "second", { timeoutMs: 5_000 });
  const status = JSON.stringify(await stage.get("tenant/acme", "secrets")) + (await events("secrets"));
  expect(status).not.toContain(Buffer.from("second").toString("base64"));
});

test("what is missing in a Secret that nobody labelled is found within seconds of being missed", async () => {
  await using _kubelet = await fleet("unlabelled");
  const issuers = [{ name: "web", algorithms: ["HS256"], secretRef: { name: "jwt" } }];
  await stage.kubectl("create", "secret", "generic", "jwt", "-n", "unlabelled", "--from-literal=other=name");
  await stage.plane.apply(tenant("unlabelled", "acme", { auth: { issuers } }));
  await stage.until("tenant/acme", "unlabelled", { type: "Stalled", status: "True", reason: "SecretNotFound" });
  const data = { stringData: { key: "0123456789abcdef0123456789abcdef" } };
  await stage.kubectl("patch", "secret", "jwt", "-n", "unlabelled", "-p", JSON.stringify(data));
  await stage.until("tenant/acme", "unlabelled", { type: "Ready", status: "True" }, 25_000);
});

test("a generated key is made once, rotated with an overlap, and never shown", async () => {
  await using kubelet = await fleet("keys");
  await stage.plane.apply(tenant("keys"));
  await stage.until("tenant/acme", "keys", { type: "Ready", status: "True" });
  const first = text((await stage.get("secret/acme-apikey-backend", "keys"))?.data, "key");
  expect(first.length).toBeGreaterThan(40);
  await eventually("its hash is on the pod", () => hashes(kubelet).join() === sha256(first));
  await stage.plane.apply(tenant("keys", "acme", { auth: { apiKeys: [{ name: "backend", scopes: ["publish"], rotation: 1 }] } }));
  const second = await eventually("another key", async () => {
    const now = text((await stage.get("secret/acme-apikey-backend", "keys"))?.data, "key");
    return now !== first && now;
  });
  await eventually("both are valid", () => hashes(kubelet).join() === [sha256(second), sha256(first)].join());
  const before = await settled(stage, 7_000);
  await stage.kubectl("annotate", "tenant/acme", "-n", "keys", "a-hint=1");
  const after = (await settled(stage)).slice(before.length);
  expect(within("keys", after).map(textOf)).toEqual([]);
});

test("while paused nothing is changed; after that everything is", async () => {
  await using kubelet = await fleet("paused");
  await stage.plane.apply([tenant("paused"), template("paused")]);
  await stage.until("template/hello", "paused", { type: "Ready", status: "True" });
  const { image } = await container("paused");
  await stage.kubectl("annotate", "nexuscluster/live", "-n", "paused", "nexus.dev/paused=true");
  await stage.until("nexuscluster/live", "paused", { type: "Paused", status: "True", reason: "PausedByAnnotation" });
  const before = await settled(stage, 7_000);
  await stage.kubectl("set", "image", "-n", "paused", "deployment/live-server", "server=nexus.dev/other:1");
  await stage.kubectl("delete", "service/live-server", "-n", "paused");
  const during = within("paused", (await settled(stage, 5_000)).slice(before.length)).filter(
    ({ objectRef }) => objectRef?.subresource !== "status",
  );
  expect(during.map(textOf)).toEqual([]);
  await stage.kubectl("annotate", "nexuscluster/live", "-n", "paused", "nexus.dev/paused-");
  await eventually("the Service is back", () => stage.get("service/live-server", "paused"));
  await eventually("the image is put back", async () => (await container("paused")).image === image);
  await eventually("it says so", async () => (await stage.condition("nexuscluster/live", "paused", "Paused")) === undefined);
  await kubelet.runPods(1); // the edit of the image, and its undoing, exchanged the pod
  await stage.until("nexuscluster/live", "paused", { type: "Ready", status: "True" });
  await stage.kubectl("annotate", "template/hello", "-n", "paused", "nexus.dev/paused=true");
  await stage.until("template/hello", "paused", { type: "Paused", status: "True" });
  await stage.plane.apply(template("paused", "hello", { payload: { text: "not yet" } }));
  await stage.plane.apply(template("paused", "other", { payload: { text: "others go on" } }));
  await eventually("the other is there", () => entryOf(kubelet, "template:acme/other"));
  expect(JSON.stringify(entryOf(kubelet, "template:acme/hello"))).not.toContain("not yet");
  await stage.kubectl("annotate", "template/hello", "-n", "paused", "nexus.dev/paused-");
  await eventually("it is there now", () => JSON.stringify(entryOf(kubelet, "template:acme/hello")).includes("not yet"));
});

test("tracing reaches the pods as configuration, and rolls none of them", async () => {
  await using kubelet = await fleet("traced");
  const told = () => JSON.stringify(entryOf(kubelet, "cluster:cluster") ?? {});
  await eventually("the pods have a configuration", () => told().includes('"limits"'));
  const before = (await stage.get("deployment/live-server", "traced"))?.metadata?.generation;
  expect(told()).not.toContain("tracing");
  await stage.plane.apply(cluster("traced", "live", { monitoring: { tracing: { endpoint: "http://collector:4318", samplePercent: 5 } } }));
  await eventually("they trace", () => told().includes('"tracing":{"endpoint":"http://collector:4318","sample_percent":5}'));
  expect((await stage.get("deployment/live-server", "traced"))?.metadata?.generation).toBe(before as number);
  await stage.plane.apply(cluster("traced", "live"));
  await eventually("they do not any more", () => !told().includes("tracing"));
});

test("the size is the cluster's, through the scale subresource, and zero is not an error", async () => {
  await using _kubelet = await fleet("size");
  await stage.until("nexuscluster/live", "size", { type: "Available", status: "True" });
  await stage.kubectl("scale", "nexuscluster/live", "-n", "size", "--replicas=0");
  await eventually("the Deployment follows", async () => (await stage.get("deployment/live-server", "size"))?.spec?.replicas === 0);
  await stage.until("nexuscluster/live", "size", { type: "Available", status: "False", reason: "ScaledToZero" });
  await stage.kubectl("scale", "deployment/live-server", "-n", "size", "--replicas=3");
  await eventually("a hand-made size is put back", async () => (await stage.get("deployment/live-server", "size"))?.spec?.replicas === 0);
});

test("deleting the namespace finishes, in any order, and nothing is asked for again", async () => {
  await using _kubelet = await fleet("going");
  await stage.plane.apply([tenant("going"), template("going")]);
  await stage.until("template/hello", "going", { type: "Ready", status: "True" });
  await stage.kubectl("delete", "nexuscluster/live", "-n", "going");
  await stage.until("tenant/acme", "going", { type: "Accepted", status: "False", reason: "ReferenceNotPermitted" });
  await stage.kubectl("delete", "namespace", "going", "--timeout=60s");
  expect((await stage.plane.kubectl(["get", "namespace", "going"])).stderr).toContain("NotFound");
});

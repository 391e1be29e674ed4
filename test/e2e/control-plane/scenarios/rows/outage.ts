// Why: the API server itself goes away, comes back as another one, or forgets. These rows take it from everybody, so they run
// one after the other on a control plane of their own.
import { expect } from "bun:test";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import type { FakeKubelet } from "../../../../support/fake-kubelet.ts";
import { textOf } from "../../../../support/operator.ts";
import { template, tenant } from "../../../../support/resources.ts";
import { startTcpProxy } from "../../../../support/tcp-proxy.ts";
import type { OwnOperator, Place } from "../place.ts";
import type { Scenario } from "../scenario.ts";

const { CustomResourceDefinition, NexusCluster, Service, Template } = KINDS;
const root = join(import.meta.dir, "../../../../..");

const edited = (place: Place, text: string) => template(place.ns, "hello", { payload: { text } });
const isLive = (kubelet: FakeKubelet, text: string): boolean =>
  kubelet.pods.size > 0 && [...kubelet.pods.values()].every((pod) => JSON.stringify(pod.entry("template:acme/hello")).includes(text));

async function fleetThatSays(place: Place, text: string): Promise<FakeKubelet> {
  const kubelet = await place.fleet();
  await place.apply(tenant(place.ns), edited(place, text));
  await place.eventually("it is live", () => isLive(kubelet, text));
  return kubelet;
}

const isRunning = async (operator: OwnOperator): Promise<boolean> =>
  (await Promise.race([operator.ended, Promise.resolve("running")])) === "running";
const leads = (operator: OwnOperator) => async (): Promise<boolean> =>
  (await (await fetch(`${operator.url}/readyz`)).text()).includes("leading");

/** One of our CRDs goes, with every object of it, or comes. */
async function withoutTemplates(place: Place): Promise<void> {
  await place.remove(CustomResourceDefinition, "templates.nexus.dev");
  await place.eventually("the CRD is gone", async () => !(await place.get(CustomResourceDefinition, "templates.nexus.dev")));
}
async function withTemplates(place: Place): Promise<void> {
  await place.stage.kubectl("apply", "-f", join(root, "crds/nexus.dev_templates.yaml"));
  await place.stage.kubectl("wait", "--for=condition=Established", "crd/templates.nexus.dev", "--timeout=60s");
}

export const OUTAGE: readonly Scenario[] = [
  {
    source: "nats-io/nats-operator#121",
    title: "an API server that is killed and comes back is an interruption: the same process goes on, and writes nothing for it",
    symptom: "the operator exited whenever it was disconnected from the API server",
    answer: "watches are made again from where they were; the lead is kept if it comes back inside the renewal deadline",
    async run(place) {
      const operator = await place.operator({ "--lease-seconds": "60", "--renew-seconds": "50", "--retry-seconds": "2" });
      const kubelet = await fleetThatSays(place, "before");
      const before = (await place.quiet(7_000)).length;
      await place.stage.plane.stop("apiserver");
      await place.stage.plane.start("apiserver");
      await place.apply(edited(place, "after"));
      await place.eventually("the edit is live", () => isLive(kubelet, "after"));
      await place.until(Template, "hello", { type: "Synced", status: "True" });
      const since = (await place.quiet(3_000)).slice(before).map(textOf);
      expect(since.filter((write) => !write.includes("/status") && !write.includes("-boot-"))).toEqual([]);
      expect(await isRunning(operator)).toBe(true);
    },
  },
  {
    source: "VictoriaMetrics/operator#165",
    title: "an outage longer than the Lease ends the process; the next one waits for the API server and goes on without a write",
    symptom: 'etcd was restarted node by node: "leader election lost", and the operator failed',
    answer: "losing the lead is a restart by design; a start without API server waits, and a restart writes nothing",
    async run(place) {
      const short = { "--lease-seconds": "10", "--renew-seconds": "8", "--retry-seconds": "1" };
      const first = await place.operator(short);
      const kubelet = await fleetThatSays(place, "before");
      const before = (await place.quiet(7_000)).length;
      await place.stage.plane.stop("apiserver");
      expect(await first.ended).toBe(1);
      await first.stop();
      const second = await place.operator(); // as the kubelet would start it, while there is no API server
      expect((await fetch(`${second.url}/readyz`)).status).toBe(503);
      expect(isLive(kubelet, "before")).toBe(true);
      await place.stage.plane.start("apiserver");
      await place.eventually("it leads", leads(second));
      expect((await place.quiet(3_000)).slice(before).map(textOf)).toEqual([]);
      await place.apply(edited(place, "after"));
      await place.eventually("the edit is live", () => isLive(kubelet, "after"));
    },
  },
  {
    source: "kubernetes/kubernetes#79610",
    title: "a CRD that is removed and installed again needs no restart",
    symptom: "informers of a removed CRD kept failing, and were not there for the one installed later",
    answer: "lists are tried for ever with back-off; a failed list deletes nothing, objects that are gone are",
    async run(place) {
      const operator = await place.operator();
      const kubelet = await fleetThatSays(place, "before");
      await withoutTemplates(place);
      await place.eventually("what is gone is not served", () =>
        [...kubelet.pods.values()].every((pod) => !pod.entry("template:acme/hello")),
      );
      await place.apply(tenant(place.ns, "other"));
      await place.eventually("the rest goes on", () => [...kubelet.pods.values()].every((pod) => pod.entry("tenant:other")));
      await withTemplates(place);
      await place.apply(edited(place, "of the new CRD"));
      await place.eventually("it is live", () => isLive(kubelet, "of the new CRD"));
      expect(await isRunning(operator)).toBe(true);
    },
  },
  {
    source: "operator-framework/operator-sdk#183",
    title: "an operator that is started before its CRDs waits for them, and says so",
    symptom: "the operator panicked when it was deployed before the CRD",
    answer: "not ready until every kind has its first list; then it leads, without a restart",
    async run(place) {
      await withoutTemplates(place);
      const operator = await place.operator();
      await place.eventually("it has asked and was told 404", async () =>
        /rest_client_requests_total\{[^}]*code="404"[^}]*\} [1-9]/.test(await (await fetch(`${operator.url}/metrics`)).text()),
      );
      expect((await fetch(`${operator.url}/readyz`)).status).toBe(503);
      await withTemplates(place);
      await place.eventually("it leads", leads(operator));
      await fleetThatSays(place, "hello");
    },
  },
  {
    source: "prometheus-operator/prometheus-operator#3769",
    title: "an API group whose backend does not answer keeps nobody from starting",
    symptom: '"metrics.k8s.io/v1beta1: the server is currently unable to handle the request", and nothing worked',
    answer: "discovery only adds: groups that do not answer are not known, and everything else is",
    async run(place) {
      const { plane } = place.stage;
      const service = { name: "nobody", namespace: place.ns, port: 443 };
      const versions = [
        { group: "metrics.k8s.io", version: "v1beta1" },
        { group: "keda.sh", version: "v1alpha1" },
      ];
      for (const { group, version } of versions) {
        const spec = { group, version, service, insecureSkipTLSVerify: true, groupPriorityMinimum: 100, versionPriority: 100 };
        const body = { apiVersion: "apiregistration.k8s.io/v1", kind: "APIService", metadata: { name: `${version}.${group}` }, spec };
        const answer = await plane.request("/apis/apiregistration.k8s.io/v1/apiservices", { method: "POST", body: JSON.stringify(body) });
        expect(answer.status).toBe(201);
      }
      try {
        await place.eventually(
          "the group is there and does not answer",
          async () => (await plane.request("/apis/keda.sh/v1alpha1")).status === 503,
        );
        const operator = await place.operator();
        await place.eventually("it leads", leads(operator));
        await fleetThatSays(place, "hello");
      } finally {
        for (const { group, version } of versions)
          await plane.request(`/apis/apiregistration.k8s.io/v1/apiservices/${version}.${group}`, { method: "DELETE" });
      }
    },
  },
  {
    source: "operator-framework/operator-sdk#596",
    title: "after a compaction, a watch that is too old is a new list: no edit is lost, nothing is taken for deleted",
    symptom: '"The resourceVersion for the provided watch is too old", again and again',
    answer: "410 lists once at once, then with back-off; only a whole list says what is gone",
    async run(place) {
      const { plane } = place.stage;
      const { hostname, port } = new URL(plane.server);
      const proxy = place.keep(await startTcpProxy({ host: hostname, port: Number(port) }));
      const patient = { "--lease-seconds": "120", "--renew-seconds": "100", "--retry-seconds": "2" };
      const operator = await place.operator(patient, `https://127.0.0.1:${proxy.port}`);
      const kubelet = await fleetThatSays(place, "before");
      await place.apply(template(place.ns, "stays"));
      await place.eventually("both are live", () => [...kubelet.pods.values()].every((pod) => pod.entry("template:acme/stays")));
      proxy.refuse();
      for (let round = 0; round < 30; round++) await place.apply(edited(place, `round ${round}`));
      await plane.stop("apiserver"); // its watch cache would still know
      await compactEtcd(place);
      await plane.start("apiserver");
      proxy.accept();
      await place.eventually("the last edit is live", () => isLive(kubelet, "round 29"));
      expect([...kubelet.pods.values()].every((pod) => pod.entry("template:acme/stays"))).toBe(true);
      await place.eventually("it met a 410", async () =>
        /reflector_watches_total\{[^}]*reason="expired"[^}]*\} [1-9]/.test(await (await fetch(`${operator.url}/metrics`)).text()),
      );
    },
  },
  {
    source: "kubernetes/kubernetes#107457",
    title: "etcd restored from a backup: the operator starts anew, and pods that had heard a later leader take its word again",
    symptom: "after a restore versions went back: watches from the future were silent, and components acted on what had never been",
    answer:
      "a Lease whose version goes back ends the process; pushes that pods refuse for their term are sent with reset, and told by an event",
    async run(place) {
      const { plane } = place.stage;
      const { data } = plane.etcd;
      const first = await place.operator();
      const kubelet = await fleetThatSays(place, "in the backup");
      await place.quiet(7_000);
      await plane.stop("apiserver");
      await plane.stop("etcd");
      cpSync(data, `${data}.backup`, { recursive: true });
      await Promise.all([plane.start("etcd"), plane.start("apiserver")]); // either is ready when both are
      // Another leader, in the timeline that will not have been: its term is later than any in the backup.
      await first.stop();
      const busy = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "busy", namespace: place.ns } };
      for (let round = 0; round < 400; round++) await place.apply({ ...busy, data: { round: String(round) } });
      const second = await place.operator();
      await place.eventually("it leads", leads(second));
      for (let round = 0; round < 20; round++) await place.apply(edited(place, `never was ${round}`));
      await place.eventually("the other timeline is live", () => isLive(kubelet, "never was 19"));
      await plane.stop("apiserver");
      await plane.stop("etcd");
      rmSync(data, { recursive: true });
      cpSync(`${data}.backup`, data, { recursive: true });
      await Promise.all([plane.start("etcd"), plane.start("apiserver")]); // either is ready when both are
      await plane.stop("controller-manager"); // as the handbooks say: every controller starts anew
      await plane.start("controller-manager");
      expect(await second.ended).toBe(1);
      await second.stop();
      const third = await place.operator();
      await place.eventually("it leads", leads(third));
      await place.eventually("pods are back in the backup", () => isLive(kubelet, "in the backup"));
      await place.eventually("an event tells", async () => (await place.events("live")).some(({ reason }) => reason === "TermsWentBack"));
      await place.apply(edited(place, "after the restore"));
      await place.eventually("life goes on", () => isLive(kubelet, "after the restore"));
      await place.until(NexusCluster, "live", { type: "ConfigSynced", status: "True" });
      expect(await place.get(Service, "live-server")).toBeDefined();
    },
  },
];

/** Forgets every revision but the newest, by etcd's JSON gateway. */
async function compactEtcd(place: Place): Promise<void> {
  const { server } = place.stage.plane.etcd;
  const call = async (path: string, body: object) => {
    const answer = await fetch(`${server}/v3/kv/${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as { header: { revision: string } }; // etcd's gateway: numbers of 64 bits as text
  };
  const key = Buffer.from("/").toString("base64");
  const { header } = await call("range", { key });
  await call("compaction", { revision: header.revision, physical: true });
}

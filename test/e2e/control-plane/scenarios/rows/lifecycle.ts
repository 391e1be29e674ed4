// Why: a fleet's life between being made and being deleted: paused, at zero, told less than everything.
import { expect } from "bun:test";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { textOf } from "../../../../support/operator.ts";
import { cluster, template, tenant } from "../../../../support/resources.ts";
import type { Scenario } from "../scenario.ts";

const { Deployment, NexusCluster, Secret, Service, Template, Tenant } = KINDS;
const paused = (value: string | null) => ({ metadata: { annotations: { "nexus.dev/paused": value } } });

export const LIFECYCLE: readonly Scenario[] = [
  {
    source: "druid-io/druid-operator#99",
    title: "a fleet may be scaled to zero and back",
    symptom: "validation refused fewer than one replica",
    answer: "0 is a size: Available=False/ScaledToZero, Ready, and nothing is Stalled",
    async run(place) {
      const kubelet = await place.fleet();
      await place.apply(cluster(place.ns, "live", { replicas: 0 }));
      await place.until(NexusCluster, "live", { type: "Available", status: "False", reason: "ScaledToZero" });
      await place.until(NexusCluster, "live", { type: "Ready", status: "True", reason: "ScaledToZero" });
      expect(await place.condition(NexusCluster, "live", "Stalled")).toBeUndefined();
      await place.apply(tenant(place.ns));
      await place.until(Tenant, "acme", { type: "Accepted", status: "True" });
      await place.apply(cluster(place.ns, "live", { replicas: 1 }));
      await kubelet.runPods(1);
      await place.until(Tenant, "acme", { type: "Ready", status: "True" });
    },
  },
  {
    source: "strimzi/strimzi-kafka-operator#6582",
    title: "a paused object of each kind says Paused, and goes on saying it",
    symptom: "a paused object was shown as New instead of ReconciliationPaused",
    answer: "Paused=True beside what was said before; edits are kept and carried out once the annotation is gone",
    async run(place) {
      const kubelet = await place.fleet();
      await place.apply(tenant(place.ns), template(place.ns));
      await place.until(Template, "hello", { type: "Ready", status: "True" });
      await place.quiet(7_000);
      for (const [kind, name] of [
        [NexusCluster, "live"],
        [Tenant, "acme"],
        [Template, "hello"],
      ] as const) {
        await place.patch(kind, name, paused("true"));
        await place.eventually(`${kind.kind} says so`, async () => (await place.condition(kind, name, "Paused"))?.status === "True");
      }
      await place.apply(template(place.ns, "hello", { payload: { text: "while paused" } }), tenant(place.ns, "acme", { suspended: true }));
      await place.apply(cluster(place.ns, "live", { exposure: { service: { annotations: { team: "blue" } } } }));
      await place.quiet();
      for (const [kind, name] of [
        [NexusCluster, "live"],
        [Tenant, "acme"],
        [Template, "hello"],
      ] as const)
        expect((await place.condition(kind, name, "Paused"))?.status).toBe("True");
      const pods = [...kubelet.pods.values()];
      expect(pods.some((pod) => JSON.stringify(pod.entry("template:acme/hello")).includes("while paused"))).toBe(false);
      expect((await place.get(Service, "live-server"))?.metadata.annotations?.team).toBeUndefined();
      for (const [kind, name] of [
        [Template, "hello"],
        [Tenant, "acme"],
        [NexusCluster, "live"],
      ] as const)
        await place.patch(kind, name, paused(null));
      await place.eventually(
        "all of it is carried out",
        async () => (await place.get(Service, "live-server"))?.metadata.annotations?.team === "blue",
      );
      await kubelet.runPods(1);
      await place.eventually("the Template is live", () =>
        [...kubelet.pods.values()].every((pod) => JSON.stringify(pod.entry("template:acme/hello")).includes("while paused")),
      );
      for (const [kind, name] of [
        [NexusCluster, "live"],
        [Tenant, "acme"],
        [Template, "hello"],
      ] as const)
        await place.eventually(`${kind.kind} is not Paused`, async () => !(await place.condition(kind, name, "Paused")));
    },
  },
  {
    source: "strimzi/strimzi-kafka-operator#10042",
    title: "while a cluster is paused its children are nobody's but yours",
    symptom: "a paused object's pods were made again all the same, and the annotation was removed",
    answer: "nothing is written but the status: deleted and edited children stay as they are until the pause ends",
    async run(place) {
      const kubelet = await place.fleet();
      await place.patch(NexusCluster, "live", paused("true"));
      await place.until(NexusCluster, "live", { type: "Paused", status: "True" });
      // A pod that comes meanwhile is the Deployment's; it is told what was live before.
      const [[gone = ""] = []] = [...kubelet.pods];
      await place.remove(KINDS.Pod, gone);
      await place.eventually("another pod is confirmed", async () =>
        (await kubelet.runPods(1)).some((pod) => pod.confirmed && !kubelet.pods.has(gone)),
      );
      const before = (await place.quiet(7_000)).length;
      await place.remove(Service, "live-server");
      await place.remove(Secret, "live-admin-token");
      await place.patch(Deployment, "live-server", { spec: { minReadySeconds: 1 } });
      await place.quiet(4_000);
      const since = place
        .writes()
        .slice(before)
        .filter(({ objectRef }) => objectRef?.subresource !== "status");
      expect(since.map(textOf)).toEqual([]);
      expect((await place.get(NexusCluster, "live"))?.metadata.annotations?.["nexus.dev/paused"]).toBe("true");
      await place.patch(NexusCluster, "live", paused(null));
      await place.eventually("the Service is back", () => place.get(Service, "live-server"));
      await place.eventually("the token is back", () => place.get(Secret, "live-admin-token"));
      await place.eventually("the field is back", async () => (await place.get(Deployment, "live-server"))?.spec?.minReadySeconds === 10);
    },
  },
  {
    source: "rabbitmq/messaging-topology-operator#243",
    title: "what a pod has lost is given to it again",
    symptom: "a queue deleted in the management console did not come back before the operator was restarted",
    answer: "pods are asked for their digests when they come back, and every minute; only differences are sent",
    async run(place) {
      const kubelet = await place.fleet();
      await place.apply(tenant(place.ns), template(place.ns));
      await place.until(Template, "hello", { type: "Ready", status: "True" });
      const [[name, pod] = []] = [...kubelet.pods];
      pod?.restart();
      expect(pod?.entry("template:acme/hello")).toBeUndefined();
      const containerStatuses = [{ name: "server", restartCount: 1, ready: true, image: "i", imageID: "i" }];
      const answer = await place.stage.plane.request(`/api/v1/namespaces/${place.ns}/pods/${name}/status`, {
        method: "PATCH",
        headers: { "content-type": "application/merge-patch+json" },
        body: JSON.stringify({ status: { containerStatuses } }),
      });
      expect(answer.status).toBe(200);
      await place.eventually("the pod has everything again", () => pod?.entry("template:acme/hello") && pod.entry("tenant:acme"));
    },
  },
];

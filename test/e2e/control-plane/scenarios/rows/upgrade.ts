// Why: an operator is exchanged far more often than the fleets it runs. Its start must cost them nothing.
import { expect } from "bun:test";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { textOf } from "../../../../support/operator.ts";
import { cluster, template, tenant } from "../../../../support/resources.ts";
import type { OwnOperator, Place } from "../place.ts";
import type { Scenario } from "../scenario.ts";

const { Deployment, NexusCluster, Template } = KINDS;
const image = (version: string) => ({ "--server-image": `nexus.dev/nexus:${version}` });

type Pending = { readonly digest: string; readonly reason: string; readonly fields: readonly string[] };
const pendingOf = async (place: Place, name = "live"): Promise<Pending | undefined> =>
  (await place.get(NexusCluster, name))?.status?.pendingRollout as Pending | undefined; // its shape is the CRD's
const imageOf = async (place: Place, name = "live"): Promise<string> => {
  const live = await place.get(Deployment, `${name}-server`);
  return /"image":"([^"]*)"/.exec(JSON.stringify(live?.spec))?.[1] ?? "";
};

/** A fleet of one operator's making, and the operator that comes after it, settled. */
async function upgraded(place: Place, spec: object = {}): Promise<OwnOperator> {
  const first = await place.operator(image("1"));
  await place.fleet(spec);
  await place.apply(tenant(place.ns), template(place.ns));
  await place.until(Template, "hello", { type: "Ready", status: "True" });
  await place.quiet(7_000);
  await first.stop();
  return await place.operator(image("2"));
}

export const UPGRADE: readonly Scenario[] = [
  {
    source: "cloudnative-pg/cloudnative-pg#5950",
    title: "another operator, with another default image, rolls no pod: the difference waits in the status",
    symptom: "upgrading the operator restarted every database, although in-place updates had been asked for",
    answer: "same inputs and another rendering is a pending upgrade, held while rollout.upgrades is Manual",
    async run(place) {
      const owned = async () => (await place.api.list(KINDS.Pod, { namespace: place.ns })).items.map(({ metadata }) => metadata.uid).sort();
      await upgraded(place);
      const pending = await place.eventually("the status tells", () => pendingOf(place));
      expect(pending.fields.join()).toContain("image");
      expect(pending.digest.length).toBeGreaterThan(10);
      await place.quiet(3_000);
      expect(await imageOf(place)).toBe("nexus.dev/nexus:1");
      const live = await place.get(Deployment, "live-server");
      expect(live?.metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("1");
      expect((await owned()).length).toBe(1);
      await place.until(NexusCluster, "live", { type: "Ready", status: "True" });
      // Made, its template taken over, its rest: all of the first operator. One that met another version is no write.
      const writes = place.writes().filter(({ objectRef, responseStatus }) => {
        return objectRef?.resource === "deployments" && objectRef.subresource === undefined && (responseStatus?.code ?? 0) < 300;
      });
      expect(writes.length).toBeLessThanOrEqual(3);
    },
  },
  {
    source: "cloudnative-pg/cloudnative-pg#7727",
    title: "a rollout is released by its digest, and by no other",
    symptom: "the upgrade's changes were rolled out at once; people asked to decide themselves, cluster by cluster",
    answer: "rollout.approve with the digest shown in status.pendingRollout releases exactly that rendering",
    async run(place) {
      await upgraded(place);
      const { digest } = await place.eventually("the status tells", () => pendingOf(place));
      await place.apply(cluster(place.ns, "live", { rollout: { approve: "something-else" } }));
      await place.until(NexusCluster, "live", { type: "Ready" });
      await place.quiet();
      expect(await imageOf(place)).toBe("nexus.dev/nexus:1");
      await place.apply(cluster(place.ns, "live", { rollout: { approve: digest } }));
      await place.eventually("the new image is there", async () => (await imageOf(place)) === "nexus.dev/nexus:2");
      await place.eventually("nothing is pending", async () => (await pendingOf(place)) === undefined);
    },
  },
  {
    source: "bitpoke/mysql-operator#529",
    title: "a new operator rolls the clusters that ask for it, and no others",
    symptom: "a redeployed operator (tag latest) was another version, and restarted all clusters",
    answer: "rollout.upgrades: Automatic is a choice of each cluster; what a user edits is applied whole at any time",
    async run(place) {
      const first = await place.operator(image("1"));
      await place.fleet();
      await place.fleet({ rollout: { upgrades: "Automatic" } }, "eager");
      await place.quiet(7_000);
      await first.stop();
      await place.operator(image("2"));
      await place.eventually("one rolls", async () => (await imageOf(place, "eager")) === "nexus.dev/nexus:2");
      await place.eventually("the other waits", () => pendingOf(place));
      expect(await imageOf(place)).toBe("nexus.dev/nexus:1");
      await place.apply(cluster(place.ns, "live", { pods: { labels: { team: "blue" } } }));
      await place.eventually("an edit of the user takes it along", async () => (await imageOf(place)) === "nexus.dev/nexus:2");
      await place.eventually("nothing is pending", async () => (await pendingOf(place)) === undefined);
    },
  },
  {
    source: "rabbitmq/messaging-topology-operator#906",
    title: "a restart writes nothing, and an edit made right then does not wait for it",
    symptom: "with 75,000 objects every restart meant 30 minutes in which new objects were not looked at",
    answer: "what is as it should be is not written; an edit overtakes the first list",
    async run(place) {
      const first = await place.operator();
      const kubelet = await place.fleet();
      const names = Array.from({ length: 120 }, (_, index) => `n${index}`);
      await place.apply(tenant(place.ns), ...names.map((name) => template(place.ns, name)));
      for (const name of names) await place.until(Template, name, { type: "Ready", status: "True" });
      const before = (await place.quiet(8_000)).length;
      await first.stop();
      const second = await place.operator();
      await place.eventually("it leads", async () => (await (await fetch(`${second.url}/readyz`)).text()).includes("leading"));
      await place.apply(template(place.ns, "n7", { payload: { text: "right after the start" } }));
      await place.eventually("the edit is live", () =>
        [...kubelet.pods.values()].every((pod) => JSON.stringify(pod.entry("template:acme/n7")).includes("right after")),
      );
      // Boot copies are written behind, at their pace: some were still due when the first one ended.
      const since = (await place.quiet(8_000))
        .slice(before)
        .map(textOf)
        .filter((write) => !write.includes("-boot-"));
      expect(since.filter((write) => !write.includes("/n7") && !write.includes("nexusclusters/status"))).toEqual([]);
      expect(since.length).toBeLessThan(6);
    },
  },
];

// Why: whose an object is must never be guessed: not by its name, not by a cache, not after a restore from a backup.
import { expect } from "bun:test";
import { KINDS, type Kind } from "@nexus/operator/loop/kinds.ts";
import { cluster, template, tenant } from "../../../../support/resources.ts";
import { insist, type Place } from "../place.ts";
import type { Scenario } from "../scenario.ts";

const { Deployment, NexusCluster, PodDisruptionBudget, Secret, Service, ServiceAccount, Template, Tenant } = KINDS;

/** Every name a fleet without broker takes, and the smallest foreign object that has it. */
const NAMES: readonly (readonly [Kind, suffix: string, object: object])[] = [
  [ServiceAccount, "server", {}],
  [Service, "server", { spec: { ports: [{ port: 1 }] } }],
  [PodDisruptionBudget, "server", { spec: { maxUnavailable: 1, selector: { matchLabels: { app: "other" } } } }],
  [
    Deployment,
    "server",
    {
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: "other" } },
        template: { metadata: { labels: { app: "other" } }, spec: { containers: [{ name: "c", image: "example.com/c:1" }] } },
      },
    },
  ],
  [Secret, "admin-ca", { stringData: { key: "theirs" } }],
  [Secret, "admin-tls", { stringData: { key: "theirs" } }],
  [Secret, "admin-token", { stringData: { key: "theirs" } }],
];

const apiVersions: Readonly<Record<string, string>> = { Deployment: "apps/v1", PodDisruptionBudget: "policy/v1" };
const foreign = (place: Place, name: string, [kind, suffix, rest]: (typeof NAMES)[number]) => ({
  apiVersion: apiVersions[kind.kind] ?? "v1",
  kind: kind.kind,
  metadata: { name: `${name}-${suffix}`, namespace: place.ns, labels: { "example.com/of": "somebody-else" } },
  ...rest,
});

/** A cluster for each name, each with that one name taken. */
async function takenNames(place: Place) {
  const cases = NAMES.map((taken, index) => ({ taken, name: `c${index}`, object: foreign(place, `c${index}`, taken) }));
  await place.apply(...cases.map(({ object }) => object));
  await place.apply(...cases.map(({ name }) => cluster(place.ns, name)));
  for (const { name, object } of cases) {
    const stalled = await place.until(NexusCluster, name, { type: "Stalled", status: "True", reason: "NameConflict" });
    expect(stalled.message).toContain(`${object.kind} ${object.metadata.name}`);
  }
  return cases;
}

export const OWNERSHIP: readonly Scenario[] = [
  {
    source: "external-secrets/external-secrets#4548",
    title: "an object of somebody else that has the name of a child is never changed, whichever child",
    symptom: "a Secret that existed under the same name was taken over, and its other keys were lost",
    answer: "NameConflict names kind and object; nothing of it is touched, and no owner is put on it",
    async run(place) {
      const cases = await takenNames(place);
      await place.quiet();
      for (const { taken, object } of cases) {
        const live = await place.get(taken[0], object.metadata.name);
        expect(live?.metadata.ownerReferences).toBeUndefined();
        expect(live?.metadata.managedFields?.filter(({ manager }) => manager?.startsWith("nexus"))).toEqual([]);
      }
    },
  },
  {
    source: "intel/pmem-csi#618",
    title: "once the foreign object is gone, the name is used",
    symptom: "after somebody removed the conflicting Secrets by hand, the operator still did not go on",
    answer: "it looks again by itself, within ten seconds",
    async run(place) {
      const cases = await takenNames(place);
      for (const { taken, object } of cases) await place.remove(taken[0], object.metadata.name);
      for (const { taken, name, object } of cases) {
        await place.eventually(`${object.kind} ${object.metadata.name} is made`, () => place.get(taken[0], object.metadata.name));
        await place.eventually(`${name} is not Stalled`, async () => !(await place.condition(NexusCluster, name, "Stalled")));
      }
    },
  },
  {
    source: "kroxylicious/kroxylicious#1911",
    title: "two fleets of one name in two namespaces know nothing of each other",
    symptom: "nothing showed that objects of the same name in two namespaces stay apart",
    answer: "every key holds the namespace: credentials, entries and children are each namespace's own",
    async run(place) {
      const kubelet = await place.fleet();
      const other = await place.namespace("twin");
      await place.apply(
        cluster(other),
        tenant(place.ns),
        tenant(other),
        template(place.ns),
        template(other, "hello", { payload: { text: "theirs" } }),
      );
      await place.until(Template, "hello", { type: "Ready", status: "True" });
      const key = async (namespace: string) =>
        await place.eventually("the key is there", async () => (await place.get(Secret, "acme-apikey-backend", namespace))?.data?.key);
      expect(await key(place.ns)).not.toBe(await key(other));
      expect(JSON.stringify([...kubelet.pods.values()][0]?.entry("template:acme/hello"))).not.toContain("theirs");
      await place.api.delete({ kind: NexusCluster, namespace: other, name: "live" });
      await place.eventually("its children are gone", async () => (await place.get(Service, "live-server", other)) === undefined);
      expect(await place.get(Service, "live-server")).toBeDefined();
      expect((await place.condition(Template, "hello", "Ready"))?.status).toBe("True");
    },
  },
  {
    source: "kubernetes-sigs/cluster-api#6007",
    title: "owner references that a restore took away are put back, on every child",
    symptom: "after a restore with Velero objects came back without ownerReferences, and stayed for ever when their owner was deleted",
    answer: "an object that has our labels and was written by us is ours: its owner is put back",
    async run(place) {
      await place.fleet();
      await place.apply(tenant(place.ns));
      await place.until(Tenant, "acme", { type: "Ready", status: "True" });
      const children: readonly (readonly [Kind, string])[] = [
        ...NAMES.map(([kind, suffix]) => [kind, `live-${suffix}`] as const),
        [Secret, "acme-apikey-backend"],
      ];
      const boots = (await place.api.list(Secret, { namespace: place.ns })).items.map(({ metadata }) => metadata.name);
      const all = [...children, ...boots.filter((name) => name.startsWith("live-boot-")).map((name) => [Secret, name] as const)];
      for (const [kind, name] of all) await place.patch(kind, name, { metadata: { ownerReferences: null } }, "velero-server");
      for (const [kind, name] of all)
        await place.eventually(
          `${kind.kind} ${name} has an owner`,
          async () => (await place.get(kind, name))?.metadata.ownerReferences?.[0],
        );
      await place.remove(NexusCluster, "live");
      await place.remove(Tenant, "acme");
      for (const [kind, name] of all) await place.eventually(`${kind.kind} ${name} is gone`, async () => !(await place.get(kind, name)));
    },
  },
  {
    source: "kubevirt/hyperconverged-cluster-operator#1813",
    title: "a child whose labels somebody removed is found and labelled again",
    symptom: "the label the cache selects by was removed; the operator tried to create the object for ever: AlreadyExists",
    answer: "what a watch does not show is read before it is made",
    async run(place) {
      await place.fleet();
      const uids = new Map<Kind, string | undefined>();
      for (const [kind, suffix] of NAMES.slice(0, 4)) {
        const gone = Object.fromEntries(
          ["name", "instance", "component", "part-of", "managed-by"].map((name) => [`app.kubernetes.io/${name}`, null]),
        );
        uids.set(kind, (await place.get(kind, `live-${suffix}`))?.metadata.uid);
        await place.patch(kind, `live-${suffix}`, { metadata: { labels: { ...gone, "nexus.dev/operator-id": null } } });
      }
      for (const [kind, uid] of uids) {
        const labelled = await place.eventually(`${kind.kind} has its labels`, async () => {
          const live = await place.get(kind, "live-server");
          return live?.metadata.labels?.["app.kubernetes.io/managed-by"] === "nexus-operator" && live;
        });
        expect(labelled.metadata.uid).toBe(uid ?? "");
      }
    },
  },
  {
    source: "pingcap/tidb-operator#1246",
    title: "a cluster deleted with --cascade=orphan and made again takes its children back, and no pod is replaced",
    symptom: "objects orphaned on purpose were not adopted by the new object, and stayed behind when that was deleted",
    answer: "children without controller that carry our labels and were written by us get the new owner; their pods stay",
    async run(place) {
      await place.fleet();
      const before = await place.get(Deployment, "live-server");
      const token = (await place.get(Secret, "live-admin-token"))?.data?.token;
      await place.api.delete({ kind: NexusCluster, namespace: place.ns, name: "live" }, { propagation: "Orphan" });
      await place.eventually("it is gone", async () => !(await place.get(NexusCluster, "live")));
      await place.apply(cluster(place.ns));
      const owner = (await place.get(NexusCluster, "live"))?.metadata.uid;
      for (const [kind, suffix] of NAMES)
        await place.eventually(`${kind.kind} live-${suffix} has the new owner`, async () => {
          const found = (await place.get(kind, `live-${suffix}`))?.metadata.ownerReferences;
          return found?.length === 1 && found[0]?.uid === owner;
        });
      await place.until(NexusCluster, "live", { type: "Ready", status: "True" });
      const after = await place.get(Deployment, "live-server");
      expect(after?.metadata.uid).toBe(before?.metadata.uid ?? "");
      expect(after?.metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("1");
      expect((await place.get(Secret, "live-admin-token"))?.data?.token).toBe(token ?? "");
    },
  },
  {
    source: "kedacore/keda#8124",
    title: "an object made anew under the same name is another object",
    symptom: "a cache entry by namespace, name and generation outlived its object and was used for the next one of that name",
    answer: "what was said about a generation is kept by uid: Synced is about the object that is there now",
    async run(place) {
      const kubelet = await place.fleet();
      await place.apply(tenant(place.ns), template(place.ns));
      await place.until(Template, "hello", { type: "Synced", status: "True" });
      const first = (await place.get(Template, "hello"))?.metadata.uid;
      await place.remove(Template, "hello");
      await place.apply(template(place.ns, "hello", { payload: { text: "another" } }));
      await place.until(Template, "hello", { type: "Synced", status: "True" });
      const second = (await place.get(Template, "hello"))?.metadata.uid;
      expect(second).not.toBe(first);
      for (const pod of kubelet.pods.values()) {
        const entry = pod.entry("template:acme/hello");
        expect(entry?.uid).toBe(second ?? "");
        expect(JSON.stringify(entry)).toContain("another");
      }
    },
  },
  {
    source: "red-hat-storage/odf-operator#301",
    title: "children of a cluster deleted and made again between two looks belong to the new one and stay",
    symptom: "children were made with the uid of an owner that was gone by then, and the garbage collector took them away",
    answer: "a child with another owner's uid is waited for until it is gone, then made with the owner that is there",
    async run(place) {
      await place.fleet();
      await insist(async () => {
        await place.remove(NexusCluster, "live");
        await place.apply(cluster(place.ns));
      });
      const uid = (await place.get(NexusCluster, "live"))?.metadata.uid;
      for (const [kind, suffix] of NAMES)
        await place.eventually(`${kind.kind} live-${suffix} belongs to the new one`, async () => {
          const live = await place.get(kind, `live-${suffix}`);
          return live?.metadata.ownerReferences?.[0]?.uid === uid && live?.metadata.deletionTimestamp === undefined;
        });
      await place.eventually("no conflict is left", async () => !(await place.condition(NexusCluster, "live", "Stalled")));
    },
  },
  {
    source: "argoproj/argo-cd#8683",
    title: "labels and annotations of a user's object are not copied to its children",
    symptom: "an operator copied the tracking label of its object to what it made; Argo CD then saw those as extra, and pruned them",
    answer: "children have our labels only; the user's stay on the user's object, unchanged",
    async run(place) {
      await place.fleet();
      const labels = {
        "app.kubernetes.io/instance": "my-app",
        "argocd.argoproj.io/instance": "my-app",
        "kustomize.toolkit.fluxcd.io/name": "apps",
      };
      const annotations = { "argocd.argoproj.io/tracking-id": "my-app:nexus.dev/NexusCluster:ns/live" };
      await place.patch(NexusCluster, "live", { metadata: { labels, annotations } }, "argocd-controller");
      await place.quiet();
      for (const [kind, suffix] of NAMES) {
        const live = await place.get(kind, `live-${suffix}`);
        expect(live?.metadata.labels?.["app.kubernetes.io/instance"]).toBe("live");
        expect(JSON.stringify(live?.metadata)).not.toContain("my-app");
      }
      const user = await place.get(NexusCluster, "live");
      expect(user?.metadata.labels).toEqual(labels);
      expect(user?.metadata.annotations).toEqual(annotations);
    },
  },
  {
    source: "FoundationDB/fdb-kubernetes-operator#458",
    title: "labels and annotations that others put on children stay, and nothing is written because of them",
    symptom: "the operator removed labels it did not know, another controller put them back, and so on",
    answer: "server-side apply owns what we render and nothing else",
    async run(place) {
      await place.fleet();
      const before = (await place.quiet()).length;
      for (const [kind, suffix] of NAMES)
        await place.patch(
          kind,
          `live-${suffix}`,
          { metadata: { labels: { team: "blue" }, annotations: { "example.com/seen": "1" } } },
          "argocd-controller",
        );
      await place.quiet();
      expect(
        place
          .writes()
          .slice(before)
          .filter(({ objectRef }) => objectRef?.subresource !== "status"),
      ).toEqual([]);
      for (const [kind, suffix] of NAMES) expect((await place.get(kind, `live-${suffix}`))?.metadata.labels?.team).toBe("blue");
    },
  },
];

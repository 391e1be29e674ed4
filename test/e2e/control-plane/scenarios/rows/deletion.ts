// Why: deleting is where operators hurt most: finalizers that wait for something already gone. Here nothing has one.

import { expect } from "bun:test";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { eventually } from "../../../../support/eventually.ts";
import { cluster, template, tenant } from "../../../../support/resources.ts";
import type { Place } from "../place.ts";
import type { Scenario } from "../scenario.ts";

const { Namespace, NexusCluster, Secret, Service, Template, Tenant } = KINDS;

/** A fleet with one Tenant and one Template, everything Ready. */
async function settledFleet(place: Place, spec: object = {}) {
  const kubelet = await place.fleet();
  await place.apply(tenant(place.ns, "acme", spec), template(place.ns));
  await place.until(Template, "hello", { type: "Ready", status: "True" });
  return kubelet;
}

/** Deletes the namespace and waits until it is gone. */
async function namespaceGoes(place: Place): Promise<void> {
  await place.remove(Namespace, place.ns);
  // The namespace controller itself waits for half the pods' grace period, again and again.
  const isGone = async () => (await place.get(Namespace, place.ns)) === undefined;
  await eventually("the namespace is gone", isGone, { timeoutMs: 110_000, intervalMs: 200 });
}

export const DELETION: readonly Scenario[] = [
  {
    source: "rabbitmq/messaging-topology-operator#653",
    title: "a namespace with everything in it goes away, whatever goes first",
    symptom: "a namespace stayed Terminating for ever: the Vhost was gone before the Policy that needed it to be finalized",
    answer: "no object has a finalizer; what was configured for it is dropped when it is seen to be gone",
    async run(place) {
      await settledFleet(place);
      for (const [kind, name] of [
        [NexusCluster, "live"],
        [Tenant, "acme"],
        [Template, "hello"],
      ] as const)
        expect((await place.get(kind, name))?.metadata.finalizers).toBeUndefined();
      await namespaceGoes(place);
    },
  },
  {
    source: "rabbitmq/messaging-topology-operator#277",
    title: "a Tenant whose Secret went first can be deleted, and so can its namespace",
    symptom: "User and namespace stuck in Terminating because the Secret with its credentials had been deleted before",
    answer: "a missing Secret is a condition; deleting asks for nothing",
    async run(place) {
      const issuers = [{ name: "web", algorithms: ["HS256"], secretRef: { name: "jwt" } }];
      await place.apply({
        ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "jwt", namespace: place.ns, labels: { "nexus.dev/watch": "true" } } },
        stringData: { key: "0123456789abcdef0123456789abcdef" },
      });
      await settledFleet(place, { auth: { issuers } });
      await place.remove(Secret, "jwt");
      await place.until(Tenant, "acme", { type: "Stalled", status: "True", reason: "SecretNotFound" });
      await place.remove(Tenant, "acme");
      await place.eventually("the Tenant is gone", async () => (await place.get(Tenant, "acme")) === undefined);
      await namespaceGoes(place);
    },
  },
  {
    source: "rabbitmq/messaging-topology-operator#786",
    title: "the cluster's own credentials deleted first keep nothing from going",
    symptom: "users and permissions could not be deleted: the Secret of the cluster's default user was not found any more",
    answer: "credentials are made anew while the cluster is there, and asked for by nobody once it is not",
    async run(place) {
      await settledFleet(place);
      for (const name of ["live-admin-ca", "live-admin-tls", "live-admin-token"]) await place.remove(Secret, name);
      await namespaceGoes(place);
    },
  },
  {
    source: "rabbitmq/messaging-topology-operator#1183",
    title: "a cluster and all that belongs to it, deleted at the same time, are all gone",
    symptom: "permissions stuck in FailedCreateOrUpdate when the cluster they belong to was deleted at the same time",
    answer: "no order is needed; ten Tenants and their cluster go at once",
    async run(place) {
      const names = Array.from({ length: 10 }, (_, index) => `t${index}`);
      await place.fleet();
      await place.apply(...names.map((name) => tenant(place.ns, name)));
      for (const name of names) await place.until(Tenant, name, { type: "Ready", status: "True" });
      await Promise.all([place.remove(NexusCluster, "live"), ...names.map((name) => place.remove(Tenant, name))]);
      await place.eventually("no Tenant is left", async () => {
        const { items } = await place.api.list(Tenant, { namespace: place.ns });
        return items.length === 0 && (await place.get(Service, "live-server")) === undefined;
      });
    },
  },
  {
    source: "rabbitmq/messaging-topology-operator#195",
    title: "an object that was never accepted can be deleted",
    symptom: "a User whose creation had failed could not be deleted either, not even with --force",
    answer: "what never became part of a configuration leaves no trace",
    async run(place) {
      await place.apply(tenant(place.ns, "acme", { clusterRef: { name: "no-such" } }), template(place.ns));
      await place.until(Tenant, "acme", { type: "Accepted", status: "False", reason: "ReferenceNotPermitted" });
      await place.until(Template, "hello", { type: "Accepted", status: "False", reason: "TenantNotAccepted" });
      await Promise.all([place.remove(Tenant, "acme"), place.remove(Template, "hello")]);
      await place.eventually("both are gone", async () => !(await place.get(Tenant, "acme")) && !(await place.get(Template, "hello")));
    },
  },
  {
    source: "rabbitmq/messaging-topology-operator#624",
    title: "what belongs to a cluster that is made again is live on its pods",
    symptom: "a cluster deleted and made again came back empty, while its queues and users still said Ready",
    answer: "Tenants and Templates say ReferenceNotPermitted while the cluster is away, and are pushed to the new one",
    async run(place) {
      await settledFleet(place);
      await place.remove(NexusCluster, "live");
      await place.until(Tenant, "acme", { type: "Accepted", status: "False", reason: "ReferenceNotPermitted" });
      await place.until(Template, "hello", { type: "Ready", status: "False" });
      await place.eventually("its children are gone", async () => (await place.get(Service, "live-server")) === undefined);
      await place.eventually("its credentials are gone", async () => (await place.get(Secret, "live-admin-tls")) === undefined);
      await place.apply(cluster(place.ns));
      const kubelet = place.kubelet();
      await kubelet.runPods(1);
      await place.until(Template, "hello", { type: "Ready", status: "True" });
      expect([...kubelet.pods.values()].every((pod) => pod.entry("template:acme/hello"))).toBe(true);
    },
  },
  {
    source: "redpanda-data/redpanda#1043",
    title: "in a namespace that is going nothing is tried again and again",
    symptom: '"unable to create new content in namespace because it is being terminated", over and over',
    answer: "the API server's NamespaceTerminating ends the work on that key",
    async run(place) {
      await settledFleet(place);
      // Something foreign keeps the namespace, and the fleet's objects are deleted under the operator's hands.
      const finalizers = ["example.com/hold"];
      await place.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "hold", namespace: place.ns, finalizers } });
      await place.patch(NexusCluster, "live", { metadata: { finalizers } });
      const before = (await place.quiet()).length;
      await place.remove(Namespace, place.ns);
      await place.eventually("the Service is gone", async () => (await place.get(Service, "live-server")) === undefined);
      expect((await place.quiet(4_000)).length - before).toBeLessThan(20);
      await place.patch(NexusCluster, "live", { metadata: { finalizers: null } });
      await place.patch(KINDS.ConfigMap, "hold", { metadata: { finalizers: null } });
      await namespaceGoes(place);
    },
  },
  {
    source: "VictoriaMetrics/operator#953",
    title: "a child that somebody's finalizer holds is waited for, then made again",
    symptom: "a ServiceAccount deleted by mistake stayed with a deletionTimestamp and blocked the control plane",
    answer: "nothing is written to an object that is going; the rest of the fleet goes on",
    async run(place) {
      const kubelet = await settledFleet(place);
      const uid = (await place.get(Service, "live-server"))?.metadata.uid;
      await place.patch(Service, "live-server", { metadata: { finalizers: ["example.com/load-balancer"] } });
      await place.remove(Service, "live-server");
      await place.apply(template(place.ns, "other"));
      await place.eventually("a Template goes live meanwhile", () =>
        [...kubelet.pods.values()].every((pod) => pod.entry("template:acme/other")),
      );
      const held = await place.get(Service, "live-server");
      expect(held?.metadata.deletionTimestamp).toBeDefined();
      await place.quiet();
      expect((await place.get(Service, "live-server"))?.metadata.resourceVersion).toBe(held?.metadata.resourceVersion ?? "");
      await place.patch(Service, "live-server", { metadata: { finalizers: null } });
      await place.eventually("another one is there", async () => {
        const now = await place.get(Service, "live-server");
        return now && now.metadata.uid !== uid;
      });
    },
  },
];

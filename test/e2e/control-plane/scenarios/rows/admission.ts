// Why: the API server may refuse what we write: quotas, policies, limits. Users look at the status, never at our log.
import { expect } from "bun:test";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { cluster, template, tenant } from "../../../../support/resources.ts";
import type { Scenario } from "../scenario.ts";

const { Deployment, NexusCluster, Service, Template, Tenant } = KINDS;

export const ADMISSION: readonly Scenario[] = [
  {
    source: "google/kf#264",
    title: "a policy that rejects what we write is quoted in the status, and others go on",
    symptom: "webhooks refused what a reconciler made; the reason was in its log alone",
    answer: "Ready=False/ApiError with the API server's words; tried again, and well once the policy allows it",
    async run(place) {
      const name = place.ns;
      await place.apply(
        {
          apiVersion: "admissionregistration.k8s.io/v1",
          kind: "ValidatingAdmissionPolicy",
          metadata: { name },
          spec: {
            matchConstraints: {
              namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": place.ns } },
              resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["services"] }],
            },
            validations: [
              {
                expression: "has(object.metadata.labels) && 'cost-centre' in object.metadata.labels",
                message: "no Service without a cost centre",
              },
            ],
          },
        },
        {
          apiVersion: "admissionregistration.k8s.io/v1",
          kind: "ValidatingAdmissionPolicyBinding",
          metadata: { name },
          spec: { policyName: name, validationActions: ["Deny"] },
        },
      );
      const probe = { apiVersion: "v1", kind: "Service", metadata: { name: "probe", namespace: place.ns }, spec: { ports: [{ port: 1 }] } };
      await place.eventually("the policy works", async () => {
        try {
          await place.api.create(Service, probe);
          await place.remove(Service, "probe");
          return false;
        } catch (error) {
          return String(error).includes("cost centre");
        }
      });
      await place.apply(cluster(place.ns));
      const ready = await place.until(NexusCluster, "live", { type: "Ready", status: "False", reason: "ApiError" });
      expect(ready.message).toContain("no Service without a cost centre");
      await place.api.delete({
        kind: {
          group: "admissionregistration.k8s.io",
          version: "v1",
          kind: "",
          resource: "validatingadmissionpolicybindings",
          namespaced: false,
        },
        name,
      });
      await place.eventually("the Service is made", () => place.get(Service, "live-server"));
      await place.eventually(
        "the status says so",
        async () => (await place.condition(NexusCluster, "live", "Ready"))?.reason !== "ApiError",
      );
    },
  },
  {
    source: "cloudnative-pg/cloudnative-pg#1028",
    title: "an exceeded quota is said with its name and numbers, and is over when it is raised",
    symptom: "with services=50 of 50 used the operator only logged an error and the cluster hung",
    answer: "the refusal is in the status; the pass comes back by itself",
    async run(place) {
      const quota = (services: string) => ({
        apiVersion: "v1",
        kind: "ResourceQuota",
        metadata: { name: "few", namespace: place.ns },
        spec: { hard: { services } },
      });
      await place.apply(quota("0"));
      const { api, ns } = place;
      await place.eventually("the quota counts", async () => {
        const kind = { group: "", version: "v1", kind: "ResourceQuota", resource: "resourcequotas", namespaced: true };
        return JSON.stringify(await api.get({ kind, namespace: ns, name: "few" })).includes('"used":{"services"');
      });
      await place.apply(cluster(place.ns));
      const ready = await place.until(NexusCluster, "live", { type: "Ready", status: "False", reason: "ApiError" });
      expect(ready.message).toContain("exceeded quota: few");
      await place.apply(quota("5"));
      await place.eventually("the Service is made", () => place.get(Service, "live-server"));
    },
  },
  {
    source: "ray-project/kuberay#603",
    title: "pods that a quota does not let in are explained in the cluster's status",
    symptom: "the operator knew why no pod came (quota), the custom resource did not say it",
    answer: "the Deployment's own refusal (ReplicaFailure) is part of Ready's message",
    async run(place) {
      await place.apply({
        apiVersion: "v1",
        kind: "ResourceQuota",
        metadata: { name: "no-pods", namespace: place.ns },
        spec: { hard: { pods: "0" } },
      });
      await place.apply(cluster(place.ns));
      await place.eventually("Ready says why", async () => {
        const ready = await place.condition(NexusCluster, "live", "Ready");
        return ready?.status === "False" && ready.reason === "ReplicasNotReady" && ready.message.includes("exceeded quota: no-pods");
      });
    },
  },
  {
    source: "dragonflydb/dragonfly-operator#235",
    title: "a spec that Kubernetes refuses is said, and correcting it is enough",
    symptom: "requests above limits were applied, the pods were gone, and a corrected spec was not applied any more",
    answer: "the running pods stay as they are; the API server's words are in the status; the next spec is taken",
    async run(place) {
      await place.fleet();
      const before = (await place.get(Deployment, "live-server"))?.spec;
      const resources = (cpu: string) => ({ pods: { resources: { requests: { cpu }, limits: { cpu: "600m" } } } });
      await place.apply(cluster(place.ns, "live", resources("2")));
      const ready = await place.until(NexusCluster, "live", { type: "Ready", status: "False", reason: "ApiError" });
      expect(ready.message).toContain("must be less than or equal to cpu limit");
      expect((await place.get(Deployment, "live-server"))?.spec).toEqual(before ?? {});
      await place.apply(cluster(place.ns, "live", resources("500m")));
      await place.eventually("the corrected one is applied", async () =>
        JSON.stringify((await place.get(Deployment, "live-server"))?.spec).includes('"500m"'),
      );
      await place.eventually("and said", async () => (await place.condition(NexusCluster, "live", "Ready"))?.reason !== "ApiError");
    },
  },
  {
    source: "prometheus-operator/prometheus-operator#380",
    title: "one bad Template blocks no other",
    symptom: "one ServiceMonitor with a port number where a name belongs, and all targets were gone",
    answer: "each object is compiled for itself; a bad one is Stalled on its own status, its last good version stays",
    async run(place) {
      const kubelet = await place.fleet();
      await place.apply(
        tenant(place.ns),
        template(place.ns),
        template(place.ns, "bad", { engine: "Liquid", payload: { text: "{% if x %}" } }),
      );
      await place.until(Template, "bad", { type: "Stalled", status: "True", reason: "InvalidSpec" });
      await place.until(Template, "hello", { type: "Ready", status: "True" });
      await place.apply(template(place.ns, "hello", { payload: { text: "edited beside a bad one" } }));
      await place.eventually("the edit is live", () =>
        [...kubelet.pods.values()].every((pod) => JSON.stringify(pod.entry("template:acme/hello")).includes("edited beside")),
      );
      await place.until(NexusCluster, "live", { type: "Ready", status: "True" });
    },
  },
  {
    source: "prometheus-operator/prometheus-operator#4201",
    title: "a Tenant whose Secret does not exist blocks no other Tenant",
    symptom: "a ServiceMonitor that referred to a missing Secret stopped the whole sync; new rules were not taken either",
    answer: "the missing Secret is that Tenant's Stalled condition; everything else is configured",
    async run(place) {
      const kubelet = await place.fleet();
      const issuers = [{ name: "web", algorithms: ["HS256"], secretRef: { name: "no-such" } }];
      await place.apply(tenant(place.ns, "broken", { auth: { issuers } }), tenant(place.ns), template(place.ns));
      const stalled = await place.until(Tenant, "broken", { type: "Stalled", status: "True", reason: "SecretNotFound" });
      expect(stalled.message).toContain("no-such");
      await place.until(Template, "hello", { type: "Ready", status: "True" });
      expect([...kubelet.pods.values()].every((pod) => pod.entry("tenant:acme"))).toBe(true);
    },
  },
  {
    source: "kube-logging/logging-operator#837",
    title: "configuration larger than any one object may be is no problem",
    symptom: '"metadata.annotations: Too long": the whole configuration was kept in one annotation of one Secret',
    answer: "64 buckets, compressed; digests in annotations; server-side apply keeps no copy of what was applied",
    async run(place) {
      const kubelet = await place.fleet();
      await place.apply(tenant(place.ns));
      // Bytes that do not compress: 40 × 60 KB is more than a Secret holds.
      const names = Array.from({ length: 40 }, (_, index) => `big-${index}`);
      const noise = () => Buffer.from(crypto.getRandomValues(new Uint8Array(45_000))).toString("base64");
      for (const name of names) await place.apply(template(place.ns, name, { payload: { text: noise() } }));
      for (const name of names) await place.until(Template, name, { type: "Synced", status: "True" });
      expect([...kubelet.pods.values()].every((pod) => names.every((name) => pod.entry(`template:acme/${name}`)))).toBe(true);
      await place.eventually(
        "the boot copy is complete",
        async () => (await place.condition(NexusCluster, "live", "ConfigSynced"))?.reason === "PodsAcknowledged",
      );
      const { items } = await place.api.list(KINDS.Secret, { namespace: place.ns });
      for (const secret of items) expect(JSON.stringify(secret.metadata.annotations ?? {}).length).toBeLessThan(2_000);
    },
  },
];

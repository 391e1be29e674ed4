// Why: what others do to our children, by hand or by controller: put back, left alone, or not fought, and always said.
import { expect } from "bun:test";
import { KINDS, type Kind } from "@nexus/operator/loop/kinds.ts";
import { textOf } from "../../../../support/operator.ts";
import { cluster, template, tenant } from "../../../../support/resources.ts";
import type { Place } from "../place.ts";
import type { Scenario } from "../scenario.ts";

const { Deployment, NexusCluster, PodDisruptionBudget, Secret, Service, ServiceAccount, Template } = KINDS;

type Edit = { readonly kind: Kind; readonly path: string; readonly patch: object; readonly isBack: (live: object) => boolean };
export const at = (live: object, path: string): unknown =>
  path
    .split(".")
    .reduce<unknown>((value, name) => (typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined), live);

/** One rendered field of every kind of child. */
const EDITS: readonly Edit[] = [
  {
    kind: ServiceAccount,
    path: "automountServiceAccountToken",
    patch: { automountServiceAccountToken: true },
    isBack: (live) => at(live, "automountServiceAccountToken") === false,
  },
  {
    kind: Service,
    path: "spec.selector",
    patch: { spec: { selector: { "app.kubernetes.io/instance": "other" } } },
    isBack: (live) => JSON.stringify(at(live, "spec.selector")).includes('"live"'),
  },
  {
    kind: PodDisruptionBudget,
    path: "spec.maxUnavailable",
    patch: { spec: { maxUnavailable: 0 } },
    isBack: (live) => at(live, "spec.maxUnavailable") === "10%",
  },
  {
    kind: Deployment,
    path: "spec.minReadySeconds",
    patch: { spec: { minReadySeconds: 3 } },
    isBack: (live) => at(live, "spec.minReadySeconds") === 10,
  },
];

const containers = (live: object): { name: string; image: string; resources?: object }[] =>
  at(live, "spec.template.spec.containers") as { name: string; image: string }[]; // a Deployment always has them

const writesWithoutStatus = (place: Place, from: number) =>
  place
    .writes()
    .slice(from)
    .filter(({ objectRef }) => objectRef?.subresource !== "status" && objectRef?.resource !== "events")
    .map(textOf);

export const DRIFT: readonly Scenario[] = [
  {
    source: "fluxcd/kustomize-controller#982",
    title: "a field edited by hand is put back on every kind of child, and it is told which field and who wrote it",
    symptom: "edits by a tool with another field manager were not undone, and the object stayed in an unknown state",
    answer: "every rendered leaf is compared, whoever wrote it; an event and a condition name path and manager",
    async run(place) {
      await place.fleet();
      await place.quiet();
      for (const { kind, patch } of EDITS) await place.patch(kind, "live-server", patch, "node-fetch");
      for (const { kind, path, isBack } of EDITS) {
        await place.eventually(`${kind.kind} ${path} is back`, async () => isBack((await place.get(kind, "live-server")) ?? {}));
        await place.eventually(`an event tells of ${kind.kind} ${path}`, async () =>
          (await place.events("live")).some(
            ({ reason, note }) =>
              reason === "Drift" && note.includes(`${kind.kind} live-server`) && note.includes(path) && note.includes("node-fetch"),
          ),
        );
      }
      const drift = await place.until(NexusCluster, "live", { type: "Drift", status: "True", reason: "FieldsPutBack" });
      expect(drift.message).toContain("node-fetch");
      await place.until(NexusCluster, "live", { type: "Ready", status: "True" });
    },
  },
  {
    source: "bitnami/sealed-secrets#224",
    title: "children that somebody deletes come back, generated Secrets and boot copies too",
    symptom: "a deleted Secret only came back when something else changed or the controller restarted",
    answer: "a deletion is an event like any other",
    async run(place) {
      await place.fleet();
      await place.apply(tenant(place.ns), template(place.ns));
      await place.until(Template, "hello", { type: "Ready", status: "True" });
      await place.quiet(7_000);
      const { items } = await place.api.list(Secret, { namespace: place.ns });
      const secrets = items.map(({ metadata }) => metadata.name);
      expect(secrets.filter((name) => name.startsWith("live-boot-")).length).toBeGreaterThan(0);
      const children: readonly (readonly [Kind, string])[] = [
        ...secrets.map((name) => [Secret, name] as const),
        ...EDITS.filter(({ kind }) => kind !== Deployment).map(({ kind }) => [kind, "live-server"] as const),
      ];
      await Promise.all(children.map(([kind, name]) => place.remove(kind, name)));
      for (const [kind, name] of children) await place.eventually(`${kind.kind} ${name} is back`, () => place.get(kind, name));
    },
  },
  {
    source: "cert-manager/approver-policy#183",
    title: "certificate Secrets that were emptied are filled again",
    symptom: '"failed verifying CA keypair: failed to find any PEM data in certificate input", for ever, once the Secret had no data',
    answer: "what cannot be read as a certificate is made anew",
    async run(place) {
      await place.fleet();
      await place.quiet();
      for (const name of ["live-admin-ca", "live-admin-tls"]) await place.patch(Secret, name, { data: { "tls.crt": "", "tls.key": "" } });
      for (const name of ["live-admin-ca", "live-admin-tls"])
        await place.eventually(`${name} holds a certificate`, async () =>
          Buffer.from((await place.get(Secret, name))?.data?.["tls.crt"] ?? "", "base64")
            .toString()
            .includes("BEGIN CERTIFICATE"),
        );
    },
  },
  {
    source: "strimzi/strimzi-kafka-operator#648",
    title: "1000m of CPU is 1, and 1024Mi is 1Gi: no second rollout, no write",
    symptom: "a CPU limit written as 1000m made the operator roll the pods again and again",
    answer: "quantities are compared as quantities",
    async run(place) {
      const resources = { requests: { cpu: "1000m", memory: "1024Mi" }, limits: { cpu: "2000m", memory: "2048Mi" } };
      await place.fleet({ pods: { resources } });
      const before = (await place.quiet()).length;
      const { generation } = (await place.get(Deployment, "live-server"))?.metadata ?? {};
      await place.patch(NexusCluster, "live", { metadata: { annotations: { "example.com/look": "again" } } });
      await place.patch(Service, "live-server", { metadata: { annotations: { "example.com/look": "again" } } });
      await place.quiet();
      expect(writesWithoutStatus(place, before)).toEqual([]);
      expect((await place.get(Deployment, "live-server"))?.metadata.generation).toBe(generation ?? 0);
    },
  },
  {
    source: "VictoriaMetrics/operator#1084",
    title: "what the API server fills in is no difference, however much of the spec is used",
    symptom: "defaults that Kubernetes sets by itself were seen as drift, and the StatefulSet was made again in every pass",
    answer: "only rendered leaves are compared",
    async run(place) {
      const term = { matchExpressions: [{ key: "kubernetes.io/os", operator: "In", values: ["linux"] }] };
      const pods = {
        affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } } },
        tolerations: [{ key: "spot", operator: "Exists" }],
        topologySpreadConstraints: [
          { maxSkew: 2, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway", labelSelector: { matchLabels: { app: "x" } } },
        ],
        env: [
          { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          { name: "EMPTY", value: "" },
        ],
        labels: { team: "blue" },
        annotations: { "example.com/a": "1" },
      };
      await place.fleet({ pods, exposure: { service: { type: "NodePort", annotations: { "example.com/b": "2" } } } });
      const before = (await place.quiet()).length;
      for (const { kind } of EDITS) await place.patch(kind, "live-server", { metadata: { annotations: { "example.com/look": "again" } } });
      await place.quiet();
      expect(writesWithoutStatus(place, before)).toEqual([]);
    },
  },
  {
    source: "knative/serving#1362",
    title: "what the API server assigned once stays assigned when the spec changes",
    symptom: "the controller tried to reset a Service's clusterIP to empty in every pass, and was refused: field is immutable",
    answer: "assigned fields are never rendered, so never sent",
    async run(place) {
      await place.fleet({ exposure: { service: { type: "NodePort" } } });
      const before = (await place.get(Service, "live-server"))?.spec;
      await place.apply(cluster(place.ns, "live", { exposure: { service: { type: "NodePort", annotations: { "example.com/a": "1" } } } }));
      const after = await place.eventually("the annotation is there", async () => {
        const live = await place.get(Service, "live-server");
        return live?.metadata.annotations?.["example.com/a"] === "1" && live.spec;
      });
      expect(after.clusterIP).toBe(before?.clusterIP);
      expect(after.ports).toEqual(before?.ports);
      expect((await place.condition(NexusCluster, "live", "Ready"))?.reason).not.toBe("ApiError");
    },
  },
  {
    source: "zalando/postgres-operator#1291",
    title: "a sidecar somebody adds to the pod template is left alone and reported, and rolls nothing",
    symptom: 'with an injected sidecar the operator found "ports do not match" and failed over every 30 minutes',
    answer: "lists are compared by key, and only our entries; what else is there is told as Drift",
    async run(place) {
      await place.fleet();
      const sidecar = { name: "istio-proxy", image: "example.com/proxy:1", ports: [{ containerPort: 15090, name: "http-envoy-prom" }] };
      await place.api.apply(
        Deployment,
        {
          apiVersion: "apps/v1",
          kind: "Deployment",
          metadata: { name: "live-server", namespace: place.ns },
          spec: { template: { spec: { containers: [sidecar] } } },
        } as never,
        { manager: "sidecar-injector", force: false },
      );
      const drift = await place.until(NexusCluster, "live", { type: "Drift", status: "True", reason: "ForeignFields" });
      expect(drift.message).toContain("istio-proxy");
      const before = (await place.quiet()).length;
      const live = (await place.get(Deployment, "live-server")) ?? {};
      expect(containers(live).map(({ name }) => name)).toContain("istio-proxy");
      await place.patch(NexusCluster, "live", { metadata: { annotations: { "example.com/look": "again" } } });
      await place.quiet();
      expect(writesWithoutStatus(place, before)).toEqual([]);
    },
  },
  {
    source: "apecloud/kubeblocks#9267",
    title: "pods that an admission policy gave a sidecar are pods like any other",
    symptom: "the operator compared pods with its own spec, deleted those with an injected sidecar, and again, and again",
    answer: "pods belong to their Deployment; the operator reads their address and readiness only",
    async run(place) {
      const name = place.ns;
      await place.apply(
        {
          apiVersion: "admissionregistration.k8s.io/v1",
          kind: "MutatingAdmissionPolicy",
          metadata: { name },
          spec: {
            matchConstraints: {
              namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": place.ns } },
              resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
            },
            failurePolicy: "Fail",
            reinvocationPolicy: "Never",
            mutations: [
              {
                patchType: "ApplyConfiguration",
                applyConfiguration: {
                  expression:
                    'Object{spec: Object.spec{containers: [Object.spec.containers{name: "istio-proxy", image: "example.com/proxy:1"}]}}',
                },
              },
            ],
          },
        },
        {
          apiVersion: "admissionregistration.k8s.io/v1",
          kind: "MutatingAdmissionPolicyBinding",
          metadata: { name },
          spec: { policyName: name },
        },
      );
      const probe = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "probe", namespace: place.ns },
        spec: { containers: [{ name: "c", image: "example.com/c:1" }] },
      };
      await place.eventually("the policy works", async () => {
        await place.remove(KINDS.Pod, "probe");
        const made = await place.api.create(KINDS.Pod, probe);
        return JSON.stringify(made).includes("istio-proxy");
      });
      await place.fleet();
      const { items } = await place.api.list(KINDS.Pod, { namespace: place.ns, labelSelector: "app.kubernetes.io/instance=live" });
      expect(items.map((pod) => JSON.stringify(pod).includes("istio-proxy"))).toEqual([true]);
      const before = (await place.quiet()).length;
      await place.patch(NexusCluster, "live", { metadata: { annotations: { "example.com/look": "again" } } });
      await place.quiet();
      expect(writesWithoutStatus(place, before)).toEqual([]);
      expect(
        (await place.api.list(KINDS.Pod, { namespace: place.ns, labelSelector: "app.kubernetes.io/instance=live" })).items.map(
          ({ metadata }) => metadata.uid,
        ),
      ).toEqual(items.map(({ metadata }) => metadata.uid));
    },
  },
  {
    source: "prometheus-operator/prometheus-operator#510",
    title: "a LimitRange that changes our pods changes nothing for us",
    symptom: "where a namespace sets limits, other values than those asked for were on the pods, and nobody said why",
    answer: "the Deployment keeps what the spec says; what admission adds to pods is the namespace's business",
    async run(place) {
      const limits = [{ type: "Container", default: { cpu: "500m", memory: "256Mi" }, defaultRequest: { cpu: "5m", memory: "10Mi" } }];
      await place.apply({ apiVersion: "v1", kind: "LimitRange", metadata: { name: "defaults", namespace: place.ns }, spec: { limits } });
      await place.fleet();
      const { items } = await place.api.list(KINDS.Pod, { namespace: place.ns });
      expect(JSON.stringify(items)).toContain('"memory":"256Mi"');
      expect(JSON.stringify(containers((await place.get(Deployment, "live-server")) ?? {}))).not.toContain("256Mi");
      const before = (await place.quiet()).length;
      await place.patch(NexusCluster, "live", { metadata: { annotations: { "example.com/look": "again" } } });
      await place.quiet();
      expect(writesWithoutStatus(place, before)).toEqual([]);
    },
  },
];

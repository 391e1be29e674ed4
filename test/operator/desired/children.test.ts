// Why: what is rendered decides whether a fleet rolls; a byte that moves by itself would roll every one. The golden file is what
// users' clusters get: read its diff as they would feel it.
import { describe, expect, test } from "bun:test";
import { deployment, deploymentPods, notSupported } from "@nexus/operator/desired/children.ts";
import { service } from "@nexus/operator/desired/exposure/service.ts";
import type { renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import { childNames, INPUTS_ANNOTATION } from "@nexus/operator/desired/names.ts";
import { graceSeconds, imageOf } from "@nexus/operator/desired/pod-template.ts";
import { rendered } from "@nexus/operator/plan/rendered.ts";
import { canonicalJson } from "@nexus/protocol/canonical.ts";
import { configFields } from "@nexus/protocol/config.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { aCluster } from "../bundle/fixtures.ts";
import { BUILDERS, CLUSTERS, CONTEXT, renderAll } from "./fixtures.ts";

const full = (): NexusCluster => CLUSTERS.full?.() ?? aCluster();
const all = (cluster: NexusCluster) => Object.values(renderAll(cluster));
type Template = {
  readonly metadata: { readonly labels: Record<string, string>; readonly annotations: Record<string, string> };
  readonly spec: Record<string, unknown> & {
    readonly containers: readonly { readonly env: readonly { readonly name: string }[]; readonly volumeMounts: readonly unknown[] }[];
    readonly volumes: readonly { readonly projected: { readonly sources: readonly unknown[] } }[];
  };
};
const templateOf = (cluster: NexusCluster) => deploymentPods(cluster, CONTEXT).spec.template as Template; // what podTemplate renders
const inputs = (cluster: NexusCluster) => templateOf(cluster).metadata.annotations[INPUTS_ANNOTATION];

/** Of rules only the names, which silences and routes hold; of dashboards only the files: what is in them has tests of its own. */
function shortened({ prometheusRule, dashboards, ...rest }: ReturnType<typeof renderAll>): object {
  const { spec = {}, ...rule } = Object(prometheusRule);
  const { data = {}, ...map } = Object(dashboards);
  const groups = (spec.groups ?? []) as ReturnType<typeof renderGroups>; // as it is rendered
  const names = groups.map(({ name, rules }) => ({ name, rules: rules.map((one) => ("alert" in one ? one.alert : one.record)) }));
  return {
    ...rest,
    ...(prometheusRule ? { prometheusRule: { ...rule, groups: names } } : {}),
    ...(dashboards ? { dashboards: { ...map, files: Object.keys(data) } } : {}),
  };
}

describe("every rendering", () => {
  test.each(Object.keys(CLUSTERS))("of %s is the golden file's, 200 times the same bytes", async (name) => {
    const make = CLUSTERS[name] ?? aCluster;
    const json = canonicalJson(renderAll(make()));
    for (let i = 0; i < 200; i++) expect(canonicalJson(renderAll(make()))).toBe(json);
    const golden = new URL(`golden/${name}.json`, import.meta.url);
    const shown: unknown = JSON.parse(canonicalJson(shortened(renderAll(make()))));
    if (process.env.UPDATE_GOLDEN) await Bun.write(golden, `${JSON.stringify(shown, undefined, 2)}\n`);
    expect(shown).toEqual(await Bun.file(golden).json());
  });

  test("every builder has a cluster that asks for it", () => {
    const used = new Set(Object.values(CLUSTERS).flatMap((make) => Object.keys(renderAll(make()))));
    expect(Object.keys(BUILDERS).filter((name) => !used.has(name))).toEqual([]);
  });

  test("carries the labels by which it is found and the owner with whom it goes", () => {
    for (const make of Object.values(CLUSTERS)) {
      for (const { metadata } of all(make())) {
        expect(metadata.labels).toMatchObject({ "app.kubernetes.io/managed-by": "nexus-operator", "app.kubernetes.io/instance": "live" });
        expect(metadata.ownerReferences?.[0]).toMatchObject({ kind: "NexusCluster", controller: true, uid: "uid-live" });
      }
    }
  });
});

describe("pods", () => {
  test("run under the restricted profile, with nothing of the API server's", () => {
    const { spec } = templateOf(full());
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      containers: [{ securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } } }],
    });
  });

  test("have 64 optional boot files, fixed for ever, and every variable we set is a setting of the server", () => {
    const { containers, volumes } = templateOf(aCluster()).spec;
    expect(volumes[0]?.projected.sources).toHaveLength(64);
    const known = new Set(configFields().map((field) => field.env));
    expect(containers[0]?.env.map(({ name }) => name).filter((name) => !known.has(name))).toEqual([]);
  });

  test("get time to drain: grace and minReadySeconds follow drainSeconds", () => {
    expect(graceSeconds(full())).toBe(5 + 60 + 15);
    expect(deployment(full(), CONTEXT).spec).toMatchObject({ minReadySeconds: 65, progressDeadlineSeconds: 665 });
  });

  test("a user's labels never replace those that selectors use", () => {
    const { labels } = templateOf(full()).metadata;
    expect(labels).toMatchObject({ team: "blue", "app.kubernetes.io/name": "nexus" });
    expect(labels).toMatchObject(service(full(), CONTEXT).spec.selector);
  });

  test.each([
    ["image", { image: { tag: "9" } }, true],
    ["pods", { pods: { env: [{ name: "A", value: "b" }] } }, true],
    ["delivery.drainSeconds", { delivery: { drainSeconds: 31 } }, true],
    ["limits", { limits: { framesPerSecond: 7 } }, false],
    ["delivery.heartbeatSeconds", { delivery: { heartbeatSeconds: 7 } }, false],
    ["channels", { channels: [{ match: "a" }] }, false],
    ["tenancy", { tenancy: "Single" }, false],
    ["replicas", { replicas: 0 }, false],
    ["tls", { tls: { secretRef: { name: "public-tls" } } }, true],
    ["rollout", { rollout: { upgrades: "Automatic" } }, false],
    ["exposure", { exposure: { service: { type: "NodePort" } } }, false],
  ])("a change of %s rolls pods: %p %p", (_field, spec, rolls) => {
    const [before, after] = [aCluster(), aCluster(spec)];
    expect(canonicalJson(templateOf(before)) !== canonicalJson(templateOf(after))).toBe(rolls);
    expect(inputs(before) !== inputs(after)).toBe(rolls);
  });

  test("another released image is not the user's change: inputs stay, the rendering does not", () => {
    const other = deploymentPods(aCluster(), { ...CONTEXT, defaultImage: "nexus.dev/nexus:0.2.0" });
    const annotations = (other.spec.template as Template).metadata.annotations;
    expect(annotations[INPUTS_ANNOTATION]).toBe(inputs(aCluster()));
    expect(rendered(other, "podTemplate").digest).not.toBe(rendered(deploymentPods(aCluster(), CONTEXT), "podTemplate").digest);
  });
});

test("the size is in no rendering: applying one must never change it", () => {
  expect(JSON.stringify(all(full()))).not.toContain('"replicas"');
});

test.each([
  ["nexus.dev/nexus:1", {}, "nexus.dev/nexus:1"],
  ["nexus.dev/nexus:1", { tag: "2" }, "nexus.dev/nexus:2"],
  ["nexus.dev/nexus:1", { repository: "r.example:5000/n" }, "r.example:5000/n:1"],
  ["r.example:5000/nexus", { tag: "2" }, "r.example:5000/nexus:2"],
  ["r.example:5000/nexus", {}, "r.example:5000/nexus"],
  ["r.example:5000/nexus", { repository: "mine" }, "mine:latest"],
  [`n:1@sha256:${"a".repeat(64)}`, {}, `n:1@sha256:${"a".repeat(64)}`],
  [`n:1@sha256:${"a".repeat(64)}`, { tag: "2" }, "n:2"],
  ["n:1", { tag: "2", digest: `sha256:${"b".repeat(64)}` }, `n@sha256:${"b".repeat(64)}`],
])("image %s with %p is %s", (released, image, expected) => {
  expect(imageOf(aCluster({ image }), released)).toBe(expected);
});

test.each([
  [{}, []],
  [{ redis: { mode: "External", external: { topology: "Standalone", addresses: ["r:6379"], database: 0 } } }, []],
  [{ redis: { mode: "Managed", managed: {} }, autoscaling: { provider: "Nexus", maxReplicas: 5 } }, []],
  [{ exposure: { ingress: { host: "n.example.com" } }, tls: { secretRef: { name: "tls" } } }, []],
  [{ monitoring: { tracing: { endpoint: "http://otel:4318", samplePercent: 1 } } }, []],
])("%p is told as not supported: %p", (spec, fields) => {
  expect(notSupported(aCluster(spec))).toEqual(fields);
});

test("names of children are API", () => {
  const names = childNames("live");
  expect([names.server, names.adminCa, names.adminTls, names.adminToken, names.boot(0), names.boot(63)]).toEqual([
    "live-server",
    "live-admin-ca",
    "live-admin-tls",
    "live-admin-token",
    "live-boot-00",
    "live-boot-63",
  ]);
});

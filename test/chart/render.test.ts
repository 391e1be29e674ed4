// Why: what the chart renders is read by people before they install it, and compared by GitOps tools for ever. Golden files
// show every change; the rules themselves come from operator/src/kube/rights.ts and are compared with that.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { dashboardFile } from "@nexus/operator/desired/monitoring/dashboards/render.ts";
import { fixedDashboards } from "@nexus/operator/desired/monitoring/dashboards/sets.ts";
import { operatorRules } from "@nexus/operator/desired/monitoring/rules/operator.ts";
import { RUNBOOK_BASE_URL, renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import { rulesFor } from "@nexus/operator/kube/rights.ts";
import { parseOptions } from "@nexus/operator/options.ts";
import { parseAllDocuments, stringify } from "yaml";
import { valueRows } from "../../scripts/generate/chart/render.ts";
import { CHART, type Helm, openHelm, type Rendered, WITH_PROMETHEUS } from "../support/helm.ts";

setDefaultTimeout(60_000);

const root = join(import.meta.dir, "../..");
let helm: Helm;

beforeAll(async () => {
  helm = await openHelm();
}, 400_000);
afterAll(() => helm?.[Symbol.dispose]());

const WITHOUT_CRDS = { crds: { enabled: false } };
const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;

const CASES: Readonly<Record<string, { readonly values: object; readonly args?: readonly string[] }>> = {
  defaults: { values: WITHOUT_CRDS },
  "listed-namespaces": {
    values: { ...WITHOUT_CRDS, watch: { scope: "ListedNamespaces", namespaces: ["shop", "payments"], selector: "team=web" } },
  },
  everything: {
    values: {
      ...WITHOUT_CRDS,
      image: { repository: "registry.example/nexus", digest: DIGEST, pullPolicy: "Always", pullSecrets: [{ name: "registry" }] },
      serverImage: "registry.example/nexus:server",
      redisImage: "registry.example/valkey:8",
      replicas: 3,
      operatorId: "blue",
      workers: 16,
      leaderElection: { leaseSeconds: 30, renewSeconds: 20, retrySeconds: 4 },
      serviceAccount: { annotations: { "example.com/role": "nexus" } },
      flowControl: { priorityLevel: "workload-low" },
      networkPolicy: { metricsFrom: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } }] },
      monitoring: { labels: { release: "prometheus" }, intervalSeconds: 10, runbookBaseURL: "https://wiki.example/nexus/" },
      tracing: { endpoint: "http://otel.monitoring:4318", samplePercent: 25, headersSecret: "otel-headers" },
      resources: { requests: { cpu: "1" } },
      priorityClassName: "system-cluster-critical",
      nodeSelector: { "kubernetes.io/os": "linux" },
      tolerations: [{ key: "infra", operator: "Exists" }],
      affinity: { nodeAffinity: {} },
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "rack", whenUnsatisfiable: "DoNotSchedule" }],
      podLabels: { team: "platform" },
      podAnnotations: { "example.com/scrape": "yes" },
      extraEnv: [{ name: "NODE_EXTRA_CA_CERTS", value: "/etc/ca.pem" }],
      fullnameOverride: "blue",
    },
    args: WITH_PROMETHEUS,
  },
  nothing: {
    values: {
      ...WITHOUT_CRDS,
      rbac: { create: false, userRoles: false },
      serviceAccount: { create: false, name: "given" },
      admissionPolicy: "Disabled",
      flowControl: { mode: "Disabled" },
      podDisruptionBudget: { enabled: false },
      networkPolicy: { enabled: false },
      monitoring: { podMonitor: "Disabled", rules: "Disabled", dashboards: "Disabled" },
    },
    args: WITH_PROMETHEUS,
  },
};

/** Rules and dashboards have sources and tests of their own: a new right or panel is no change of the chart. */
const withoutRules = (object: Rendered): object => (isDashboards(object) ? { ...object, data: "as generated" } : withoutRights(object));
const isDashboards = ({ kind, metadata }: Rendered): boolean => kind === "ConfigMap" && metadata.name.endsWith("-dashboards");
const withoutRights = (object: Rendered): object =>
  object.kind.endsWith("Role") && JSON.stringify(object.metadata).includes("aggregate-to") === false && "rules" in object
    ? { ...object, rules: "as generated" }
    : object;

test.each(Object.entries(CASES))("renders what its golden file says: %s", async (name, { values, args = [] }) => {
  const objects = await helm.render(values, ...args);
  const text = objects.map((object) => `---\n${stringify(withoutRules(object), { lineWidth: 0, version: "1.1" })}`).join("");
  const file = join(import.meta.dir, "golden", `${name}.yaml`);
  if (process.env.UPDATE_GOLDEN === "1") await Bun.write(file, text);
  expect(text).toBe(existsSync(file) ? await Bun.file(file).text() : "no golden file: UPDATE_GOLDEN=1 writes it");
});

test("helm lint --strict has nothing to say, with any of the value sets", async () => {
  for (const { values } of Object.values(CASES)) {
    const file = `${process.env.TMPDIR ?? "/tmp"}/nexus-lint-${crypto.randomUUID()}.json`;
    await Bun.write(file, JSON.stringify(values));
    const { code, stdout, stderr } = await helm.run("lint", "--strict", CHART, "--values", file);
    await Bun.file(file).delete();
    expect({ code, output: `${stdout}${stderr}` }).toEqual({ code: 0, output: expect.stringContaining("0 chart(s) failed") });
  }
});

test("dashboards reach Grafana as they were written, with Grafana's own braces", async () => {
  const [map] = (await helm.render({}, ...WITH_PROMETHEUS)).filter(isDashboards);
  expect(map?.data).toEqual(Object.fromEntries(fixedDashboards().map((one) => [`${one.file}.json`, dashboardFile(one).text])));
  expect(map?.metadata.labels).toMatchObject({ grafana_dashboard: "1" });
  expect((await helm.render({})).filter(isDashboards)).toEqual([]);
  const base = "https://wiki.example/nexus";
  const [linked] = (await helm.render({ monitoring: { runbookBaseURL: `${base}/` } }, ...WITH_PROMETHEUS)).filter(isDashboards);
  expect(linked?.data).toEqual(Object.fromEntries(fixedDashboards().map((one) => [`${one.file}.json`, dashboardFile(one, base).text])));
});

const find = (objects: readonly Rendered[], kind: string, name: string) =>
  objects.filter((object) => object.kind === kind && object.metadata.name === name);

test("all namespaces: one ClusterRole with the rights of the list and no more", async () => {
  const objects = await helm.render({});
  const [role] = find(objects, "ClusterRole", "nexus-operator.nexus-system");
  expect(role?.rules).toEqual([...rulesFor("Cluster"), ...rulesFor("Watched")]);
  const [lease] = find(objects, "Role", "nexus-operator-lease");
  expect(lease?.rules).toEqual([...rulesFor("Release")]);
  expect(objects.filter(({ kind }) => kind === "ClusterRoleBinding").length).toBe(1);
});

test("listed namespaces: Roles there, and nothing that holds in the whole cluster", async () => {
  const objects = await helm.render({ watch: { scope: "ListedNamespaces", namespaces: ["shop", "payments"] } });
  expect(objects.filter(({ kind }) => kind === "ClusterRoleBinding")).toEqual([]);
  const roles = find(objects, "Role", "nexus-operator.nexus-system");
  expect(roles.map(({ metadata, rules }) => [metadata.namespace, rules])).toEqual(
    ["shop", "payments"].map((namespace) => [namespace, [...rulesFor("Listed"), ...rulesFor("Watched")]]),
  );
  const bindings = find(objects, "RoleBinding", "nexus-operator.nexus-system");
  expect(bindings.map(({ metadata, subjects }) => [metadata.namespace, subjects])).toEqual(
    ["shop", "payments"].map((namespace) => [namespace, [{ kind: "ServiceAccount", name: "nexus-operator", namespace: "nexus-system" }]]),
  );
  // What is left for the whole cluster is for users, and speaks of our kinds alone.
  const groups = objects
    .filter(({ kind }) => kind === "ClusterRole")
    .flatMap(({ rules }) => (rules as { readonly apiGroups: readonly string[] }[]).flatMap((rule) => rule.apiGroups)); // rbac.authorization.k8s.io/v1
  expect([...new Set(groups)]).toEqual(["nexus.dev"]);
});

/** An object without what Helm alone writes. */
const bare = ({ metadata, ...rest }: Rendered): object => {
  const { labels: _labels, ...named } = metadata;
  return { ...rest, metadata: named };
};

test("the plain manifests grant and narrow what the chart does", async () => {
  const rendered = await helm.render({ rbac: { userRoles: false } });
  const kinds = [
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
  ];
  const sorted = (objects: readonly Rendered[]) =>
    objects
      .filter(({ kind }) => kinds.includes(kind))
      .map((object): [string, object] => [`${object.kind}/${object.metadata.name}`, bare(object)])
      .sort(([a], [b]) => a.localeCompare(b));
  const files = ["rbac.yaml", "admission-policy.yaml"].map((name) => Bun.file(join(root, "operator/deploy", name)).text());
  const plain = (await Promise.all(files)).flatMap((text) => parseAllDocuments(text).map((one) => one.toJS() as Rendered));
  expect(sorted(rendered)).toEqual(sorted(plain));
});

test("the plain manifests run the same pods: probes, ports, security, arguments", async () => {
  type Spec = {
    readonly spec: {
      readonly template: { readonly spec: { readonly [field: string]: unknown; readonly containers: readonly Record<string, unknown>[] } };
    };
  };
  const podOf = (object: unknown) => {
    const { containers, ...pod } = (object as Spec).spec.template.spec; // apps/v1 Deployment
    const { env: _env, ...container } = containers[0] ?? {};
    return { container, security: pod.securityContext, grace: pod.terminationGracePeriodSeconds };
  };
  const [plain] = parseAllDocuments(await Bun.file(join(root, "operator/deploy/deployment.yaml")).text()).map((one) => one.toJS());
  const [rendered] = find(await helm.render({}), "Deployment", "nexus-operator");
  expect(podOf(rendered)).toEqual(podOf(plain));
});

test("the CRDs are those of crds/, kept when the release goes unless told otherwise", async () => {
  const files = readdirSync(join(root, "crds")).sort();
  expect(files.length).toBe(3);
  const wanted = await Promise.all(
    files.map(async (name) => parseAllDocuments(await Bun.file(join(root, "crds", name)).text())[0]?.toJS() as Rendered),
  );
  const crds = async (values: object) => (await helm.render(values)).filter(({ kind }) => kind === "CustomResourceDefinition");
  const kept = (object: Rendered): unknown => ({
    ...object,
    metadata: { ...object.metadata, annotations: { ...Object(object.metadata.annotations), "helm.sh/resource-policy": "keep" } },
  });
  const byName = (objects: readonly Rendered[]) => [...objects].sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  expect(byName(await crds({}))).toEqual(byName(wanted).map(kept) as Rendered[]);
  expect(byName(await crds({ crds: { keep: false } }))).toEqual(byName(wanted));
  expect(await crds({ crds: { enabled: false } })).toEqual([]);
});

test.each([
  ["a name nobody knows", { replicaCount: 3 }, "additional properties 'replicaCount' not allowed"],
  ["a name nobody knows, further in", { image: { tags: "1" } }, "at '/image': additional properties 'tags' not allowed"],
  ["a number as text", { replicas: "two" }, "at '/replicas': got string, want integer"],
  ["too many", { replicas: 9 }, "at '/replicas': maximum: got 9, want 5"],
  [
    "a tag in the repository",
    { image: { repository: "reg.io:5000/nexus:1.0" } },
    "at '/image/repository': 'reg.io:5000/nexus:1.0' does not match",
  ],
  ["a short digest", { image: { digest: "sha256:abc" } }, "at '/image/digest': 'sha256:abc' does not match pattern"],
  ["a scope", { watch: { scope: "Namespaced" } }, "at '/watch/scope': value must be one of 'Cluster', 'ListedNamespaces'"],
  ["a namespace", { watch: { scope: "ListedNamespaces", namespaces: ["Shop"] } }, "at '/watch/namespaces/0': 'Shop' does not match"],
  ["a switch", { admissionPolicy: true }, "at '/admissionPolicy'"],
  ["runbooks nowhere", { monitoring: { runbookBaseURL: "wiki/nexus" } }, "at '/monitoring/runbookBaseURL'"],
  ["no namespaces", { watch: { scope: "ListedNamespaces" } }, "watch.namespaces must name at least one"],
  ["namespaces for nothing", { watch: { namespaces: ["shop"] } }, "watch.namespaces is only for watch.scope ListedNamespaces"],
  ["a Lease that ends before it is renewed", { leaderElection: { leaseSeconds: 10 } }, "renewSeconds must be less than"],
  ["no account", { serviceAccount: { create: false } }, "serviceAccount.name must name the one to use"],
])("wrong values are refused with what is wrong: %s", async (_what, values, words) => {
  await expect(helm.render(values)).rejects.toThrow(words);
});

test("the rules are those of the operator's code, with this release's job and runbooks", async () => {
  const rule = async (values: object) =>
    (await helm.render({ ...WITHOUT_CRDS, ...values }, ...WITH_PROMETHEUS)).find(({ kind }) => kind === "PrometheusRule");
  const groups = (job: string, runbooks: string) => ({ groups: renderGroups(operatorRules({ job }), runbooks) });
  expect((await rule({}))?.spec).toEqual(groups("nexus-system/nexus-operator", RUNBOOK_BASE_URL));
  const named = { fullnameOverride: "blue", monitoring: { runbookBaseURL: "https://wiki.example/nexus/" } };
  expect((await rule(named))?.spec).toEqual(groups("nexus-system/blue", "https://wiki.example/nexus"));
});

test("the operator reads every setting that the chart passes on", async () => {
  const objects = await helm.render(CASES.everything?.values ?? {});
  const names = [
    ...JSON.stringify([...objects, ...(await helm.render(CASES["listed-namespaces"]?.values ?? {}))]).matchAll(/NEXUS_OPERATOR_([A-Z_]+)/g),
  ];
  const flags = new Map(names.map(([, name = ""]) => [`--${name.toLowerCase().replaceAll("_", "-")}`, ""]));
  expect(flags.size).toBeGreaterThan(10);
  expect(parseOptions({ env: {}, flags })).toMatchObject({ ok: true });
  flags.set("--leese-name", "");
  expect(parseOptions({ env: {}, flags })).toMatchObject({ ok: false });
});

test("every value does something", async () => {
  const templates = readdirSync(join(CHART, "templates"), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const texts = await Promise.all(templates.map((entry) => Bun.file(join(entry.parentPath, entry.name)).text()));
  const all = texts.join("\n");
  // `.Values.a.b`, or `.b` inside `with .Values.a`.
  const isUsed = (path: readonly string[]) =>
    all.includes(`.Values.${path.join(".")}`) ||
    (path.length === 2 && all.includes(`with .Values.${path[0]}`) && new RegExp(`[ (]\\.${path[1]}\\b`).test(all));
  const unused = valueRows()
    .filter(({ isGroup }) => !isGroup)
    .map(({ path }) => path)
    .filter((path) => !isUsed(path));
  expect(unused).toEqual([]);
});

test.each([
  ["nexus", "nexus-operator"],
  ["nexus-operator", "nexus-operator"],
  ["notify", "notify-nexus-operator"],
])("release %s makes %s", async (release, name) => {
  const text = await helm.text("template", release, CHART, "--show-only", "templates/deployment.yaml");
  expect(parseAllDocuments(text)[0]?.toJS()).toMatchObject({ metadata: { name } });
});

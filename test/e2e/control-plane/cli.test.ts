// Why: the commands that ask a cluster, as a person calls them, against a real API server with our operator at work. What a plan
// says is what then happens; what an explanation names is what mends it. None of them may write.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readYaml } from "@nexus/cli/files/yaml.ts";
import type { RunningOperator } from "@nexus/operator/main.ts";
import { compare } from "@nexus/operator/plan/compare.ts";
import type { KubeObject, Manifest } from "@nexus/operator/plan/object.ts";
import { stringify } from "yaml";
import { type Finished, nexus, Running } from "../../cli/dev-process.ts";
import { isWrite } from "../../support/cluster/audit.ts";
import { ensureBinaries } from "../../support/cluster/binaries.ts";
import { unavailableTier } from "../../support/cluster/tiers.ts";
import { eventually } from "../../support/eventually.ts";
import { fakeKubelet } from "../../support/fake-kubelet.ts";
import { installPublished, MONITORING } from "../../support/kube/published-crds.ts";
import { type Stage, settled, startStage } from "../../support/operator.ts";
import { cluster, template, tenant } from "../../support/resources.ts";

setDefaultTimeout(60_000);
const reason = await unavailableTier("control-plane");
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

let stage: Stage;
let operator: RunningOperator & AsyncDisposable;
const IMAGE = ["--server-image", "nexus.dev/nexus:test"];

if (reason === undefined) {
  beforeAll(async () => {
    stage = await startStage();
    await installPublished(stage.plane, "newest", MONITORING); // a rendering is for a cluster that has the kinds of prometheus-operator
    operator = await stage.operator();
  }, 300_000);
  afterAll(async () => {
    await operator?.[Symbol.asyncDispose]();
    await stage?.[Symbol.asyncDispose]();
  });
}

async function namespace(name: string): Promise<string> {
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  return name;
}
const cli = (args: readonly string[], input?: string): Promise<Finished> => nexus(args, { KUBECONFIG: stage.plane.adminKubeconfig }, input);
const yaml = (...objects: readonly object[]) => objects.map((object) => stringify(object, { version: "1.1" })).join("---\n");
/** A command that has come to say so. */
const says = (args: readonly string[], text: string) =>
  eventually(
    `nexus ${args.join(" ")} says ${text}`,
    async () => {
      const { out, err } = await cli(args);
      if (!out.includes(text)) throw new Error(out + err);
      return out;
    },
    { timeoutMs: 30_000, intervalMs: 200 },
  );

test.skipIf(reason !== undefined)("explain walks the references to the first broken link, and what it says mends it", async () => {
  const ns = await namespace("why");
  await stage.plane.apply(template(ns));
  await says(["explain", "template/hello", "-n", ns], "First broken link: Tenant why/acme: does not exist");
  const issuer = { name: "own", algorithms: ["HS256"], secretRef: { name: "jwt" } };
  await stage.plane.apply(tenant(ns, "acme", { auth: { issuers: [issuer] } }));
  await says(["explain", "template/hello", "-n", ns], "First broken link: NexusCluster why/live: does not exist");
  await stage.plane.apply(cluster(ns));
  // Nobody schedules here: the pod has no node.
  const waiting = await says(["explain", "nxtpl/hello", "-n", ns], "waits for a node");
  expect(waiting).toContain("  ok     Lease nexus-operator: an operator leads");
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  await stage.until("nexuscluster/live", ns, { type: "Ready", status: "True" });
  const secret = await says(["explain", "tenant/acme", "-n", ns], "First broken link: Secret why/jwt: does not exist");
  expect(secret).toContain("What to do: Create it with key key.");
  await stage.kubectl("create", "secret", "generic", "jwt", "-n", ns, "--from-literal=other=x");
  await says(["explain", "tenant/acme", "-n", ns], "has no content under key key (spec.auth.issuers[0].secretRef names it)");
  await stage.kubectl("delete", "secret", "jwt", "-n", ns);
  await stage.kubectl("create", "secret", "generic", "jwt", "-n", ns, `--from-literal=key=${"k".repeat(40)}`);
  const ready = await says(["explain", "template/hello", "-n", ns, "-o", "json"], '"ready": true');
  expect(ready).not.toContain("k".repeat(40));
  expect((await cli(["explain", "template/hello", "-n", ns])).code).toBe(0);
  const missing = await cli(["explain", "template/helo", "-n", ns]);
  expect(missing).toMatchObject({ code: 1, err: expect.stringContaining("Template why/helo does not exist; did you mean hello?") });
});

test.skipIf(reason !== undefined)("status shows one cluster with what belongs to it, and what is not Ready", async () => {
  const ns = await namespace("look");
  await stage.plane.apply([cluster(ns), tenant(ns), template(ns), template(ns, "bad", { engine: "Liquid", payload: { a: "{% if %}" } })]);
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  await stage.until("template/hello", ns, { type: "Ready", status: "True" });
  await stage.until("template/bad", ns, { type: "Ready", status: "False" });
  const { code, out } = await cli(["status", "live", "-n", ns]);
  expect(code).toBe(0);
  expect(out).toMatch(
    /NAMESPACE +CLUSTER +READY +REASON +PODS +CONNECTIONS +SYNCED +REDIS +AUTOSCALING +AGE\nlook +live +True +AllReplicasReady +1\/1 +0 +1\/1 +NotRequested/,
  );
  expect(out).toMatch(/look +acme +True +Reconciled +acme +look\/live +no/);
  expect(out).toMatch(/look +bad +False +InvalidSpec +look\/acme/);
  expect(out).toContain("1 of 2 templates are Ready.");
  expect((await cli(["status", "-n", ns, "--check"])).code).toBe(1);
  const json = await cli(["status", "-A", "-o", "json"]);
  expect(JSON.parse(json.out)).toContainEqual(expect.objectContaining({ kind: "Tenant", namespace: ns, name: "acme", ready: "True" }));
  expect(await cli(["status", "none", "-n", ns])).toMatchObject({ code: 1, err: "nexus: NexusCluster look/none does not exist\n" });
  await using watching = new Running(["status", "live", "-n", ns, "--watch"], { KUBECONFIG: stage.plane.adminKubeconfig });
  await watching.says("out", `Template ${ns}/bad  Ready=False  InvalidSpec`);
  await stage.plane.apply(template(ns, "bad"));
  await watching.says("out", `Template ${ns}/bad  Ready=True`);
  expect(watching.out).not.toContain(`Template ${ns}/hello`);
  expect((await watching.end("SIGINT")).code).toBe(0);
});

test.skipIf(reason !== undefined)("render prints what the operator then makes, without a secret", async () => {
  const ns = await namespace("made");
  const objects = [cluster(ns, "live", { limits: { frameBytes: 4096 } }), tenant(ns), template(ns)];
  const rendered = await cli(["render", "-", ...IMAGE], yaml(...objects));
  expect(rendered).toMatchObject({ code: 0, err: "" });
  expect((await cli(["render", "-", ...IMAGE], yaml(...objects))).out).toBe(rendered.out);
  await stage.plane.apply(objects);
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  await stage.until("template/hello", ns, { type: "Ready", status: "True" });
  const documents = readYaml(rendered.out).documents.map(({ value }) => value as Manifest); // render writes objects only
  const listed = "deployments,services,serviceaccounts,secrets,pdb,networkpolicies,configmaps,podmonitors,prometheusrules";
  await eventually("the boot copies are written, and as many objects are there as were rendered", async () => {
    const made = await stage.kubectl("get", listed, "-n", ns, "-l", "app.kubernetes.io/managed-by=nexus-operator", "-o", "name");
    return made.trim().split("\n").length === documents.length;
  });
  for (const wanted of documents) {
    const live = (await stage.get(`${wanted.kind.toLowerCase()}/${wanted.metadata.name}`, ns)) as unknown as KubeObject | undefined;
    expect(live, `${wanted.kind} ${wanted.metadata.name}`).toBeDefined();
    if (!live || wanted.kind === "Secret") continue;
    const { managedFields: _, ownerReferences: __, ...metadata } = live.metadata;
    const { ownerReferences: ___, annotations: ____, ...own } = wanted.metadata;
    const spec = wanted.kind === "NetworkPolicy" ? {} : { spec: wanted.spec }; // the operator under test has no pods of its own
    const { apiVersion } = wanted;
    expect(compare({ apiVersion, kind: wanted.kind, metadata: own, ...spec } as Manifest, { ...live, metadata }, "x").differences).toEqual(
      [],
    );
  }
  for (const document of documents.filter(({ kind }) => kind === "Secret"))
    expect(Object.values(Object(document.stringData)).every((value) => value === "<made by the operator>")).toBe(true);
});

test.skipIf(reason !== undefined)("plan says what would change, whether pods roll, and writes nothing", async () => {
  const ns = await namespace("plan");
  const spec = { limits: { frameBytes: 4096 } };
  const fresh = await cli(["plan", "-", "-n", ns, ...IMAGE], yaml(cluster(ns, "live", spec)));
  expect(fresh.code).toBe(2);
  expect(fresh.out).toContain("+ NexusCluster plan/live (-:1)");
  expect(fresh.out).toContain("  + Deployment plan/live-server");
  await stage.plane.apply([cluster(ns, "live", spec), tenant(ns), template(ns)]);
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  await stage.until("template/hello", ns, { type: "Ready", status: "True" });
  await settled(stage, 3_000);
  const before = (await stage.plane.auditEvents()).filter((event) => isWrite(event) && event.user.username.includes("admin")).length;

  const same = await cli(["plan", "-", ...IMAGE], yaml(cluster(ns, "live", spec), tenant(ns), template(ns)));
  expect(same).toMatchObject({ code: 0, out: "0 to create, 0 to change, 3 unchanged.\n" });
  // A field that was applied and is in the file no more goes back to its default.
  const live = await cli(["plan", "-", ...IMAGE], yaml(cluster(ns, "live", { channels: [{ match: "a.*" }] })));
  expect(live.code).toBe(2);
  expect(live.out).toContain("~ spec.limits.frameBytes: 4096 → 65536   # Takes effect live.");
  expect(live.out).toMatch(/\+ spec\.channels: \[\{.*"match":"a\.\*".*\}\] {3}# Takes effect live\./);
  expect(live.out).toContain("No pod is replaced.");
  const rolls = await cli(["plan", "-", ...IMAGE], yaml(cluster(ns, "live", { ...spec, pods: { labels: { team: "a" } } })));
  expect(rolls.out).toContain('+ spec.pods.labels.team: "a"   # Rolls pods.');
  expect(rolls.out).toContain("  ~ Deployment plan/live-server");
  expect(rolls.out).toContain('+ spec.template.metadata.labels.team: "a"');
  expect(rolls.out).toContain("Pods are replaced: NexusCluster plan/live.");
  const refused = await cli(["plan", "-", ...IMAGE], yaml(tenant(ns, "acme", { tenantId: "other" }), template(ns)));
  expect(refused.code).toBe(1);
  expect(refused.out).toContain("! Tenant plan/acme (-:1): refused: spec.tenantId: ");
  expect(refused.out).toContain("0 to create, 0 to change, 1 unchanged, 1 refused.");

  const events = (await stage.plane.auditEvents()).filter((event) => isWrite(event) && event.user.username.includes("admin"));
  expect(events.slice(before).filter(({ requestURI }) => !requestURI.includes("dryRun=All"))).toEqual([]);
  expect((await stage.get("nexuscluster/live", ns))?.metadata.generation).toBe(1);
});

test.skipIf(reason !== undefined)("without an operator, rights or a cluster, the commands say so", async () => {
  const ns = await namespace("nobody");
  await stage.plane.apply(cluster(ns));
  const stranger = await stage.plane.kubeconfigFor("stranger");
  const refused = await nexus(["status", "-n", ns], { KUBECONFIG: stranger });
  expect(refused.code).toBe(1);
  expect(refused.err).toContain("not allowed; ask for this right: ");
  const nowhere = await nexus(["status", "--kubeconfig", "/no/such/file"]);
  expect(nowhere).toMatchObject({ code: 1, err: expect.stringContaining("no cluster to talk to (/no/such/file)") });
  const context = await nexus(["status", "--context", "elsewhere"], { KUBECONFIG: stage.plane.adminKubeconfig });
  expect(context).toMatchObject({ code: 1, err: expect.stringContaining("context elsewhere") });
});

test.skipIf(reason !== undefined)("drain evicts a server pod, waits for the next one, and touches nothing else", async () => {
  const ns = await namespace("drained");
  await stage.plane.apply(cluster(ns));
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  await stage.until("nexuscluster/live", ns, { type: "Ready", status: "True" });
  const names = async () => (await stage.kubectl("get", "pods", "-n", ns, "-o", "name")).trim().split("\n");
  const [pod = ""] = await names();
  await eventually("the budget is known", async () => (await cli(["drain", pod, "-n", ns, "--dry-run"])).code === 0);
  expect(await names()).toEqual([pod]);
  const draining = cli(["drain", pod, "-n", ns, "--timeout", "15"]);
  await eventually("another pod is there", async () => !(await names()).includes(pod));
  await kubelet.runPods(1);
  const { code, out, err } = await draining;
  expect(out).toContain(`Pod ${ns}/${pod.replace("pod/", "")} drained\n1 of 1 pods drained.`);
  expect(err).toContain("gone, waiting until the fleet is whole");
  expect(code).toBe(0);
  expect(await cli(["drain", "--node", "nowhere"])).toMatchObject({ code: 1, err: "nexus: Node nowhere does not exist\n" });
});

test.skipIf(reason !== undefined)("a support bundle holds what helps and none of the secrets that were planted", async () => {
  const ns = await namespace("bundle");
  const planted = (where: string) => `PLANTED-${where}-9f8e7d`;
  await stage.kubectl("create", "secret", "generic", "jwt", "-n", ns, `--from-literal=key=${planted("secret")}-${"k".repeat(32)}`);
  await stage.kubectl("create", "configmap", "stranger", "-n", ns, `--from-literal=x=${planted("configmap")}`);
  const env = [
    { name: "DATABASE", value: planted("variable") },
    { name: "MODE", valueFrom: { secretKeyRef: { name: "jwt", key: "key" } } },
  ];
  const annotations = { "example.com/password": planted("annotation"), "example.com/url": `https://u:${planted("url")}@x` };
  await stage.plane.apply([
    cluster(ns, "live", { pods: { env, annotations } }),
    tenant(ns, "acme", {
      auth: {
        apiKeys: [{ name: "backend", scopes: ["publish"] }],
        issuers: [{ name: "i", algorithms: ["HS256"], secretRef: { name: "jwt" } }],
      },
    }),
    // Somebody wrote the value of a Secret where it does not belong.
    template(ns, "hello", { payload: { text: `Bearer ${planted("secret")}-${"k".repeat(32)}` } }),
    template(ns, "bad", { engine: "Liquid", payload: { a: "{% if %}" } }),
  ]);
  await using kubelet = fakeKubelet(stage, ns, "live");
  await kubelet.runPods(1);
  await stage.until("tenant/acme", ns, { type: "Ready", status: "True" });
  await stage.until("template/bad", ns, { type: "Ready", status: "False" });
  const before = (await stage.plane.auditEvents()).length;
  const file = join(stage.plane.directory, "bundle.tar.gz");
  const { code, err } = await cli(["support-bundle", "-n", ns, "-o", file]);
  expect(code).toBe(0);
  const text = Buffer.from(Bun.gunzipSync(await Bun.file(file).bytes())).toString("latin1");
  const secrets = JSON.parse(await stage.kubectl("get", "secrets", "-n", ns, "-o", "json")) as {
    items: { data?: Record<string, string> }[];
  };
  const values = secrets.items.flatMap(({ data = {} }) =>
    Object.values(data).flatMap((value) => [value, Buffer.from(value, "base64").toString("latin1")]),
  );
  expect(values.length).toBeGreaterThan(8);
  for (const value of values) expect(text.includes(value.trim()), "a value of a Secret is in the bundle").toBe(false);
  expect(text).not.toContain("PLANTED");
  for (const part of [
    "nexusclusters.yaml",
    "tenants.yaml",
    "templates.yaml",
    "children/deployments.yaml",
    "events.txt",
    "explain/template-bad.txt",
    "secrets.yaml",
    "versions.yaml",
    "operator/leases.yaml",
  ])
    expect(text).toContain(`/${part}`);
  expect(text).toContain("First broken link: Template bundle/bad");
  expect(err).toContain("left out: live-server-");
  const wrote = (await stage.plane.auditEvents())
    .slice(before)
    .filter((event) => isWrite(event) && event.user.username.includes("admin") && event.objectRef?.namespace === ns);
  expect(wrote).toEqual([]);
});

test.skipIf(reason !== undefined)(
  "log-level asks each ready pod of a fleet by kubectl exec, and tells of those that do not take it",
  async () => {
    const ns = await namespace("loud");
    await stage.plane.apply(cluster(ns));
    expect(await cli(["log-level", "debug", "live", "-n", ns])).toMatchObject({ code: 1, err: expect.stringContaining("no ready pod") });
    await using kubelet = fakeKubelet(stage, ns, "live");
    await kubelet.runPods(1);
    await stage.until("nexuscluster/live", ns, { type: "Ready", status: "True" });
    const folder = mkdtempSync(join(tmpdir(), "nexus-kubectl-"));
    try {
      const asked = join(folder, "asked");
      const script = (code: number) => `#!/bin/sh\necho "$@" >> ${asked}\necho "kubectl's own words" >&2\nexit ${code}\n`;
      writeFileSync(join(folder, "kubectl"), script(0), { mode: 0o755 });
      const run = () =>
        nexus(["log-level", "debug", "live", "-n", ns, "--minutes", "5"], {
          KUBECONFIG: stage.plane.adminKubeconfig,
          PATH: `${folder}:/bin:/usr/bin`,
        });
      expect(await run()).toMatchObject({
        code: 0,
        out: expect.stringMatching(/^Pod loud\/live-server-\S+ logs at debug for 5 minutes\.\n$/),
        err: "",
      });
      const words = (await Bun.file(asked).text()).trim();
      expect(words).toMatch(/^exec -n loud live-server-\S+ -c server -- \/usr\/bin\/nexus log-level debug --minutes 5$/);
      writeFileSync(join(folder, "kubectl"), script(1), { mode: 0o755 });
      expect(await run()).toMatchObject({ code: 1, out: "", err: expect.stringContaining("kubectl's own words") });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test.skipIf(reason !== undefined)("kubectl nexus is the same program", async () => {
  const { kubectl } = await ensureBinaries(["kubectl"]);
  const folder = mkdtempSync(join(tmpdir(), "nexus-kubectl-"));
  try {
    symlinkSync(join(import.meta.dir, "../../../cli/bin/kubectl-nexus.ts"), join(folder, "kubectl-nexus"));
    symlinkSync(process.execPath, join(folder, "bun"));
    const env = { PATH: `${folder}:${process.env.PATH ?? ""}`, KUBECONFIG: stage.plane.adminKubeconfig, NO_COLOR: "1" };
    const run = (...args: readonly string[]) => Bun.spawnSync([kubectl, "nexus", ...args], { env });
    const status = run("status", "-n", "nowhere");
    expect({ code: status.exitCode, out: status.stdout.toString() }).toEqual({
      code: 0,
      out: "No NexusCluster, Tenant or Template here.\n",
    });
    expect(run("explain", "--help").stdout.toString()).toContain("Usage: kubectl nexus explain KIND/NAME [flags]");
    expect(run("plan").exitCode).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

// Why: the doctor against a real API server, from an installation in which nothing works to one in which everything does, and back:
// each thing that is missing is named with what mends it. It must never have written anything.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { parseArgs } from "@nexus/cli/args.ts";
import { type Check, hasFailed } from "@nexus/cli/doctor/check.ts";
import { checkInstallation } from "@nexus/cli/doctor/installation.ts";
import { processIo } from "@nexus/cli/io.ts";
import { connect, KUBE_OPTIONS } from "@nexus/cli/kube/connect.ts";
import { type Finished, nexus } from "../../cli/dev-process.ts";
import { isWrite } from "../../support/cluster/audit.ts";
import { unavailableTier } from "../../support/cluster/tiers.ts";
import { eventually } from "../../support/eventually.ts";
import { fakeKubelet } from "../../support/fake-kubelet.ts";
import { freePort } from "../../support/free-port.ts";
import { type Stage, startStage } from "../../support/operator.ts";
import { cluster, tenant } from "../../support/resources.ts";

setDefaultTimeout(90_000);
const reason = await unavailableTier("control-plane");
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

let stage: Stage;
if (reason === undefined) {
  beforeAll(async () => {
    stage = await startStage();
  }, 300_000);
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]();
  });
}

const NS = "sick";
const doctor = (args: readonly string[], kubeconfig = stage.plane.adminKubeconfig): Promise<Finished> =>
  nexus(["doctor", ...args], { KUBECONFIG: kubeconfig });

async function checks(args: readonly string[], kubeconfig?: string): Promise<{ readonly code: number; readonly checks: readonly Check[] }> {
  const { code, out, err } = await doctor([...args, "-o", "json"], kubeconfig);
  if (err !== "") throw new Error(err);
  return { code, checks: (JSON.parse(out) as { checks: Check[] }).checks }; // the command's own shape
}
const about = (all: readonly Check[], what: string): Check => {
  const found = all.find((one) => one.what.includes(what));
  if (!found) throw new Error(`no check is about ${what}: ${all.map((one) => one.what).join("; ")}`);
  return found;
};

test.skipIf(reason !== undefined)("where there is no cluster to ask, that is the one line", async () => {
  const none = await checks(["--kubeconfig", "/no/such/file"]);
  expect(none).toMatchObject({ code: 1, checks: [{ what: "kubeconfig", outcome: "fail" }] });
  const text = await Bun.file(stage.plane.adminKubeconfig).text();
  const deaf = join(stage.plane.directory, "deaf.kubeconfig");
  await Bun.write(deaf, text.replace(/(https:\/\/[\w.]+):\d+/g, `$1:${await freePort()}`));
  const away = await checks([], deaf);
  expect(away).toMatchObject({
    code: 1,
    checks: [{ what: "API server", outcome: "fail", seen: expect.stringContaining("did not answer") }],
  });
});

test.skipIf(reason !== undefined)("without an operator: who leads, what it would have made, and what is missing of it", async () => {
  await stage.plane.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: NS } }, cluster(NS)]);
  const { code, checks: all } = await checks(["-n", NS]);
  expect(code).toBe(1);
  expect(about(all, "API server clock").outcome).toBe("ok");
  expect(about(all, "CRDs").outcome).toBe("ok");
  expect(about(all, "optional kind PodMonitor").seen).toContain("not installed");
  expect(about(all, "Lease")).toMatchObject({ outcome: "fail", seen: "no operator leads" });
  expect(all.find(({ what }) => what === "operator")).toMatchObject({
    outcome: "fail",
    seen: "is not installed",
    fix: expect.stringContaining("helm install"),
  });
  for (const what of ["Deployment", "configuration of", "certificate of the admin CA", "certificate of the admin port", "boot copy of"])
    expect(about(all, what)).toMatchObject({ outcome: "fail" });
  expect(all.filter(({ outcome, fix = "" }) => outcome === "fail" && fix.length < 10)).toEqual([]);
});

test.skipIf(reason !== undefined)(
  "with one, everything is well; its Deployment, rights, names, clocks and dates are looked at",
  async () => {
    await using _operator = await stage.operator();
    await stage.plane.apply([cluster(NS, "live", { exposure: { ingress: { host: "nobody.invalid" } } }), tenant(NS)]);
    await using kubelet = fakeKubelet(stage, NS, "live");
    await kubelet.runPods(1);
    await stage.until("nexuscluster/live", NS, { type: "Ready", status: "True" });
    await eventually(
      "the boot copy is written",
      async () => about((await checks(["live", "-n", NS])).checks, "boot copy").outcome === "ok",
      { timeoutMs: 60_000, intervalMs: 500 },
    );
    const before = (await stage.plane.auditEvents()).length;
    const well = await checks(["live", "-n", NS]);
    expect(well.checks.filter(({ outcome }) => outcome === "fail")).toEqual([]);
    expect(well.code).toBe(0);
    expect(about(well.checks, "Lease").outcome).toBe("ok");
    expect(about(well.checks, "certificate of the admin port")).toMatchObject({
      outcome: "ok",
      seen: expect.stringContaining("good until"),
    });
    expect(about(well.checks, "DNS nobody.invalid")).toMatchObject({ outcome: "warn" });
    // Nobody can proxy to a pod on the loopback: said, with what to do instead.
    expect(about(well.checks, "Pod sick/live-server")).toMatchObject({ outcome: "warn", fix: expect.stringContaining("--settings") });
    expect(well.checks.find(({ what }) => what === "operator")).toMatchObject({
      outcome: "warn",
      seen: expect.stringContaining("has no Deployment"),
    });

    const deployment = (serviceAccountName: string, replicas: number) => ({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: {
        name: "nexus-operator",
        namespace: "nexus-system",
        labels: { "app.kubernetes.io/name": "nexus-operator", "app.kubernetes.io/version": "0.0.1" },
      },
      spec: {
        replicas,
        selector: { matchLabels: { app: "x" } },
        template: {
          metadata: { labels: { app: "x" } },
          spec: { serviceAccountName, containers: [{ name: "operator", image: "nexus.dev/nexus:test" }] },
        },
      },
    });
    await stage.plane.apply(deployment("nexus-operator", 2));
    const there = (await checks(["-n", NS])).checks;
    expect(about(there, "nexus-system/nexus-operator rights")).toMatchObject({
      outcome: "ok",
      seen: expect.stringMatching(/^\d+ rights are granted$/),
    });
    expect(about(there, "nexus-system/nexus-operator release")).toMatchObject({ outcome: "warn", seen: expect.stringContaining("0.0.1") });
    expect(there.find(({ what }) => what === "operator nexus-system/nexus-operator")).toMatchObject({
      outcome: "fail",
      seen: "0 of 2 replicas ready",
    });
    await stage.plane.apply(deployment("nobody", 0));
    const nobody = (await checks(["-n", NS])).checks;
    expect(about(nobody, "nexus-system/nexus-operator rights")).toMatchObject({
      outcome: "fail",
      seen: expect.stringContaining("not granted: "),
    });
    expect(nobody.find(({ what }) => what === "operator nexus-system/nexus-operator")).toMatchObject({
      outcome: "fail",
      seen: "is scaled to 0",
    });
    await stage.kubectl("delete", "deployment", "nexus-operator", "-n", "nexus-system");

    // In another time: the API server's clock is off, the certificates have ended, and nobody has led for long.
    const parsed = parseArgs({ line: "", about: "", options: KUBE_OPTIONS, examples: [] }, [
      "-n",
      NS,
      "--kubeconfig",
      stage.plane.adminKubeconfig,
    ]);
    if (!parsed.ok) throw new Error(parsed.errors.join());
    const outside = { resolve: async () => ["192.0.2.1"], nowMs: () => Date.now() + 3 * 365 * 86_400_000 };
    const late = await checkInstallation(() => connect(parsed.args, processIo("nexus")), { name: "live", isEverywhere: false }, outside);
    expect(hasFailed(late)).toBe(true);
    expect(about(late, "API server clock")).toMatchObject({ outcome: "fail", seen: expect.stringContaining("behind this machine") });
    expect(about(late, "certificate of the admin port")).toMatchObject({ outcome: "fail", seen: expect.stringContaining("ended on") });
    expect(about(late, "Lease")).toMatchObject({ outcome: "fail" });
    expect(about(late, "DNS nobody.invalid")).toMatchObject({ outcome: "ok", seen: "192.0.2.1" });

    const wrote = (await stage.plane.auditEvents())
      .slice(before)
      .filter((event) => isWrite(event) && /^nexus-cli/.test(event.userAgent ?? ""));
    expect(wrote.map(({ objectRef }) => objectRef?.resource).filter((resource) => !/subjectaccessreviews$/.test(resource ?? ""))).toEqual(
      [],
    );
  },
);

test.skipIf(reason !== undefined)("who may see little is told what is left out, and what cannot be done without", async () => {
  const stranger = await stage.plane.kubeconfigFor("stranger");
  const none = await checks(["-n", NS], stranger);
  expect(none.code).toBe(1);
  expect(about(none.checks, "your rights")).toMatchObject({ outcome: "fail", seen: expect.stringContaining("list nexusclusters") });
  await stage.kubectl(
    "create",
    "clusterrole",
    "looks",
    "--verb=get,list",
    "--resource=nexusclusters.nexus.dev,tenants.nexus.dev,templates.nexus.dev,pods,deployments.apps",
  );
  await stage.kubectl("create", "clusterrolebinding", "looks", "--clusterrole=looks", "--user=stranger");
  const some = await checks(["-n", NS], stranger);
  expect(about(some.checks, "your rights")).toMatchObject({ outcome: "warn", seen: expect.stringContaining("get secrets") });
  expect(about(some.checks, "Lease")).toMatchObject({ outcome: "skip" });
  expect(about(some.checks, "certificates of")).toMatchObject({ outcome: "skip", seen: "not allowed to read Secrets" });
  expect(about(some.checks, "Pod sick/live-server")).toMatchObject({ outcome: "skip", seen: expect.stringContaining("pods/proxy") });
});

test.skipIf(reason !== undefined)("definitions that are older than the program, or not there", async () => {
  const crd = JSON.parse(await stage.kubectl("get", "crd", "templates.nexus.dev", "-o", "json")) as {
    spec: {
      versions: { served: boolean; schema: { openAPIV3Schema: { properties: { spec: { properties: Record<string, unknown> } } } } }[];
    };
  };
  delete crd.spec.versions[0]?.schema.openAPIV3Schema.properties.spec.properties.ttlSeconds;
  await stage.plane.apply(crd);
  const seen = async (what: string, words: string) =>
    await eventually(
      `${what} ${words}`,
      async () => {
        const { code, checks: all } = await checks(["-n", NS]);
        const { outcome, seen: says, fix = "" } = about(all, what);
        return code === 1 && outcome === "fail" && says.includes(words) && fix.includes("kubectl apply");
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
  await seen("CRD Template", "ttlSeconds");
  const unserved = JSON.stringify([{ op: "replace", path: "/spec/versions/0/served", value: false }]);
  await stage.kubectl("patch", "crd", "templates.nexus.dev", "--type=json", "-p", unserved);
  await seen("CRDs", "not served: Template");
});

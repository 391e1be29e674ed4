// Why: who will not give away every Secret of a cluster lists the namespaces. Then there are Roles there and nothing else, and the
// operator must do its whole work with them: no list of namespaces, no cluster-wide watch, no request that is denied.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { runCheck } from "@nexus/operator/check.ts";
import { unavailableBinaries } from "../../support/cluster/binaries.ts";
import { rightsOf } from "../../support/cluster/rights-log.ts";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import { CHART, type Helm, openHelm } from "../../support/helm.ts";
import { type Stage, startStage } from "../../support/operator.ts";
import { cluster, template, tenant } from "../../support/resources.ts";

setDefaultTimeout(120_000);

const reason = unavailableBinaries(["helm"]);
if (reason) process.stderr.write(`skipped: ${reason}\n`);

const RELEASE = "nexus-system";
const LISTED = "one,two";

describe.skipIf(reason !== undefined)("an operator of two namespaces", () => {
  let stage: Stage;
  let helm: Helm;
  let kubelet: FakeKubelet;
  let account: string;

  beforeAll(async () => {
    stage = await startStage({ bare: true });
    helm = await openHelm(stage.plane.adminKubeconfig);
    for (const name of [RELEASE, "one", "two", "three"]) await stage.kubectl("create", "namespace", name);
    await stage.kubectl("label", "namespace", "two", "team=web");
    const values = ["--set", "watch.scope=ListedNamespaces", "--set", `watch.namespaces={${LISTED}}`];
    await helm.text("install", "nexus", CHART, "--namespace", RELEASE, ...values);
    await stage.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s");
    account = await stage.plane.kubeconfigFor(`system:serviceaccount:${RELEASE}:nexus-operator`, [], "token");
    kubelet = fakeKubelet(stage, "one", "live");
  }, 400_000);
  afterAll(async () => {
    await kubelet?.[Symbol.asyncDispose]();
    helm?.[Symbol.dispose]();
    await stage?.[Symbol.asyncDispose]();
  });

  const can = async (...args: string[]) =>
    (await stage.plane.kubectl(["--kubeconfig", account, "auth", "can-i", "-q", ...args])).code === 0;

  test("has no right outside of them", async () => {
    expect(await can("get", "secrets", "-n", "one")).toBe(true);
    for (const [verb = "", ...rest] of [
      ["get", "secrets", "-n", "three"],
      ["list", "secrets", "-A"],
      ["list", "namespaces"],
      ["get", "secrets", "-n", RELEASE],
      ["list", "nexusclusters.nexus.dev", "-A"],
    ])
      expect([verb, ...rest, await can(verb, ...rest)]).toEqual([verb, ...rest, false]);
  });

  test("serves a fleet with a Tenant of each, chosen by label, and asks for nothing it may not have", async () => {
    await using _operator = await stage.operator({ "--namespace": LISTED });
    const open = { allowedNamespaces: { from: "Selector", selector: { matchLabels: { team: "web" } } } };
    const far = { clusterRef: { name: "live", namespace: "one" } };
    await stage.plane.apply([
      cluster("one", "live", open),
      tenant("one"),
      template("one"),
      tenant("two", "acme", far),
      template("two"),
      cluster("three", "unseen"),
    ]);
    await kubelet.runPods(1);
    for (const namespace of ["one", "two"]) await stage.until("template/hello", namespace, { type: "Ready", status: "True" }, 30_000);
    const [pod] = [...kubelet.pods.values()];
    expect(pod?.entry("template:acme/hello")).toBeDefined();
    expect(pod?.entry("template:two.acme/hello")).toBeDefined();
    // An edit in either is heard of.
    await stage.plane.apply(template("two", "hello", { payload: { text: "edited" } }));
    await eventually("the edit is live", () => JSON.stringify(pod?.entry("template:two.acme/hello")).includes("edited"));
    await stage.kubectl("delete", "template", "-n", "one", "hello");
    await eventually("the deletion too", () => pod?.entry("template:acme/hello") === undefined);
    expect((await stage.get("nexuscluster/unseen", "three"))?.status?.conditions).toBeUndefined();
    expect(rightsOf(await stage.plane.auditEvents()).denied).toEqual([]);
  });

  test("nexus operator check asks for the listed namespaces, and names one where the Role is missing", async () => {
    const flags = [`--lease-namespace=${RELEASE}`, "--lease-seconds=3", "--renew-seconds=2", "--retry-seconds=1"];
    const lines: string[] = [];
    await runCheck([...flags, `--namespace=${LISTED}`], { KUBECONFIG: account }, (line) => lines.push(line));
    expect(lines).toContainEqual(expect.stringMatching(/^ok .*rights are granted/));
    await runCheck([...flags, "--namespace=one,three"], { KUBECONFIG: account }, (line) => lines.push(line));
    expect(lines).toContainEqual(expect.stringMatching(/^FAILED .*not granted: .* in three/));
  });
});

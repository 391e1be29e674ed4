// Why: the chart is installed, upgraded and removed by the real Helm on a real API server, and an operator runs under exactly
// what the release granted. No pods run here: test/e2e/chart.test.ts has those. The tests go on from each other, as a user would.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { runCheck } from "@nexus/operator/check.ts";
import { parseDocument } from "yaml";
import { unavailableBinaries } from "../../support/cluster/binaries.ts";
import { rightsOf } from "../../support/cluster/rights-log.ts";
import { eventually } from "../../support/eventually.ts";
import { type FakeKubelet, fakeKubelet } from "../../support/fake-kubelet.ts";
import { CHART, type Helm, openHelm } from "../../support/helm.ts";
import { installPublished, MONITORING } from "../../support/kube/published-crds.ts";
import { type Seen, type Stage, startStage } from "../../support/operator.ts";
import { cluster, template, tenant } from "../../support/resources.ts";

setDefaultTimeout(120_000);

const reason = unavailableBinaries(["helm"]);
if (reason) process.stderr.write(`skipped: ${reason}\n`);

const RELEASE = "nexus-system";
const NAMESPACE = "shop";
/** The first chart there was, packaged then. */
const PREVIOUS = join(import.meta.dir, "../../chart/fixtures/nexus-0.0.9.tgz");

describe.skipIf(reason !== undefined)("the chart on an API server", () => {
  let stage: Stage;
  let helm: Helm;
  let kubelet: FakeKubelet;
  let account: string;

  beforeAll(async () => {
    stage = await startStage({ bare: true });
    helm = await openHelm(stage.plane.adminKubeconfig);
    kubelet = fakeKubelet(stage, NAMESPACE, "live");
    await stage.kubectl("create", "namespace", NAMESPACE);
    await stage.kubectl("create", "namespace", RELEASE);
    const modes = ["enforce", "warn"].map((mode) => `pod-security.kubernetes.io/${mode}=restricted`);
    await stage.kubectl("label", "namespace", RELEASE, ...modes);
  }, 400_000);
  afterAll(async () => {
    await kubelet?.[Symbol.asyncDispose]();
    helm?.[Symbol.dispose]();
    await stage?.[Symbol.asyncDispose]();
  });

  const deployment = async (): Promise<Seen> => {
    const found = await stage.get("deployment/live-server", NAMESPACE);
    if (!found) throw new Error("there is no Deployment live-server");
    return found;
  };
  const podUids = async () => (await stage.kubectl("get", "pods", "-n", NAMESPACE, "-o", "jsonpath={.items[*].metadata.uid}")).split(" ");

  test("helm install of the previous chart: nothing is warned of, its pods pass the Restricted profile", async () => {
    const { code, stderr } = await helm.run("install", "nexus", PREVIOUS, "--namespace", RELEASE);
    expect({ code, warnings: stderr.split("\n").filter((line) => /warn/i.test(line)) }).toEqual({ code: 0, warnings: [] });
    await stage.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s");
    await eventually("both pods were let in", async () => {
      const names = await stage.kubectl("get", "pods", "-n", RELEASE, "-l", "app.kubernetes.io/name=nexus-operator", "-o", "name");
      return names.trim().split("\n").length === 2;
    });
    account = await stage.plane.kubeconfigFor(`system:serviceaccount:${RELEASE}:nexus-operator`, [], "token");
  });

  test("helm upgrade to this chart: CRDs are the new ones, no server pod moves, and nothing of the fleet is written", async () => {
    {
      await using _operator = await stage.operator();
      await stage.plane.apply([cluster(NAMESPACE), tenant(NAMESPACE), template(NAMESPACE)]);
      await kubelet.runPods(1);
      await stage.until("template/hello", NAMESPACE, { type: "Ready", status: "True" }, 30_000);
    }
    const before = { deployment: await deployment(), pods: await podUids() };
    await helm.text("upgrade", "nexus", CHART, "--namespace", RELEASE, "--set", "replicas=3");
    for (const file of readdirSync(join(CHART, "../../crds"))) {
      const text = await Bun.file(join(CHART, "../../crds", file)).text();
      const { metadata, spec } = parseDocument(text).toJS() as { metadata: { name: string }; spec: object }; // our own file
      expect(JSON.parse(await stage.kubectl("get", "crd", metadata.name, "-o", "json"))).toMatchObject({
        metadata: { annotations: { "helm.sh/resource-policy": "keep", "meta.helm.sh/release-name": "nexus" } },
        spec,
      });
    }
    {
      await using _operator = await stage.operator({ "--server-image": "nexus.dev/nexus:newer" });
      // Whoever applies a change sees it live: the new operator leads, and the fleet was not touched for that.
      await stage.plane.apply(template(NAMESPACE, "hello", { payload: { text: "after the upgrade" } }));
      await eventually("the edit is live", () =>
        JSON.stringify([...kubelet.pods.values()].map((pod) => pod.entry("template:acme/hello"))).includes("after the upgrade"),
      );
      const held = await eventually("the new rendering is held", async () => {
        const found = await stage.get("nexuscluster/live", NAMESPACE);
        return found?.status?.pendingRollout;
      });
      expect(held).toMatchObject({ fields: expect.arrayContaining([expect.stringContaining("image")]) });
    }
    const after = { deployment: await deployment(), pods: await podUids() };
    expect(after.pods).toEqual(before.pods);
    expect(after.deployment.metadata.generation).toBe(before.deployment.metadata.generation);
    expect(after.deployment.spec).toEqual(before.deployment.spec);
  });

  test("where prometheus-operator is served the release brings PodMonitor and rules, and the operator may watch its kinds", async () => {
    await installPublished(stage.plane, "newest", MONITORING);
    const { code, stderr } = await helm.run("upgrade", "nexus", CHART, "--namespace", RELEASE);
    expect({ code, unknown: stderr.split("\n").filter((line) => /unknown field/i.test(line)) }).toEqual({ code: 0, unknown: [] });
    const made = await stage.kubectl("get", "podmonitors,prometheusrules", "-n", RELEASE, "-o", "name");
    expect(made.trim().split("\n").sort()).toEqual([
      "podmonitor.monitoring.coreos.com/nexus-operator",
      "prometheusrule.monitoring.coreos.com/nexus-operator",
    ]);
    await using _operator = await stage.operator();
    await eventually("both are watched", async () => {
      const { used } = rightsOf(await stage.plane.auditEvents());
      const watched = used.filter(({ verb, group }) => verb === "watch" && group === "monitoring.coreos.com");
      return watched.length === 2;
    });
    expect(rightsOf(await stage.plane.auditEvents()).denied).toEqual([]);
  });

  test("nexus operator check says that all is well while somebody leads, and what is wrong otherwise", async () => {
    const check = async () => {
      const lines: string[] = [];
      const flags = [`--lease-namespace=${RELEASE}`, "--lease-seconds=5", "--renew-seconds=4", "--retry-seconds=1"];
      const code = await runCheck(flags, { KUBECONFIG: account }, (line) => lines.push(line));
      return { code, lines };
    };
    {
      await using _operator = await stage.operator({ "--lease-seconds": "5", "--renew-seconds": "4", "--retry-seconds": "1" });
      await eventually(
        "it is well",
        async () => {
          const { code, lines } = await check();
          if (code !== 0) throw new Error(lines.join("\n"));
          return lines.every((line) => line.startsWith("ok  "));
        },
        { timeoutMs: 60_000 },
      );
    }
    expect(await check()).toEqual({ code: 1, lines: expect.arrayContaining([expect.stringMatching(/^FAILED.*nobody (holds|renewed)/)]) });
    await stage.kubectl("delete", "clusterrolebinding", "nexus-operator.nexus-system");
    const { code, lines } = await check();
    expect(code).toBe(1);
    expect(lines.join("\n")).toMatch(/FAILED.*rights are granted: not granted: .*create deployments\.apps/);
    await helm.text("upgrade", "nexus", CHART, "--namespace", RELEASE);
  });

  test("the operator's requests have a level of their own, its Lease that of elections", async () => {
    const levels = JSON.parse(await stage.kubectl("get", "flowschema", "-o", "json")) as {
      items: { metadata: { name: string; uid: string }; status: { conditions: { type: string; status: string }[] } }[];
    };
    const uidOf = (name: string) => levels.items.find(({ metadata }) => metadata.name === name)?.metadata.uid;
    const { users } = JSON.parse(await Bun.file(account).text()) as { users: { user: { token: string } }[] };
    const schemaOf = async (path: string) => {
      const answer = await fetch(`${stage.plane.server}${path}`, {
        headers: { authorization: `Bearer ${users[0]?.user.token}` },
        tls: { ca: stage.plane.caPem },
      });
      await answer.text();
      return answer.headers.get("x-kubernetes-pf-flowschema-uid");
    };
    const lease = `/apis/coordination.k8s.io/v1/namespaces/${RELEASE}/leases/nexus-operator`;
    await eventually("the schemas are in force", async () => (await schemaOf(lease)) === uidOf("nexus-operator.nexus-system.lease"));
    expect(await schemaOf(`/api/v1/namespaces/${NAMESPACE}/secrets?limit=1`)).toBe(uidOf("nexus-operator.nexus-system") ?? "none");
    const dangling = levels.items.filter(({ metadata }) => metadata.name.startsWith("nexus-")).flatMap(({ status }) => status.conditions);
    expect(dangling.filter(({ type, status }) => type === "Dangling" && status !== "False")).toEqual([]);
  });

  test("helm uninstall takes the operator and its rights, and leaves CRDs, objects and fleets", async () => {
    const pods = await podUids();
    await helm.text("uninstall", "nexus", "--namespace", RELEASE, "--wait");
    expect((await stage.kubectl("get", "crd", "-o", "name")).match(/nexus\.dev/g)?.length).toBe(3);
    expect((await stage.get("nexuscluster/live", NAMESPACE))?.metadata.name).toBe("live");
    expect(await podUids()).toEqual(pods);
    const left = await stage.kubectl(
      "get",
      "clusterrole,clusterrolebinding,flowschema,prioritylevelconfiguration,validatingadmissionpolicy",
      "-o",
      "name",
    );
    expect(left.split("\n").filter((line) => line.includes("nexus"))).toEqual([]);
    // And it comes back, over the CRDs that stayed.
    await helm.text("install", "nexus", CHART, "--namespace", RELEASE);
    await helm.text("uninstall", "nexus", "--namespace", RELEASE, "--wait");
  });
});

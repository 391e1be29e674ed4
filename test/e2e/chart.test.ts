// Why: what a platform team does with the chart, on a real node with real pods: install, helm test, upgrade under open sockets,
// approve what was held, uninstall. Nobody who is connected may notice any of it but the approval. The tests go on from each other.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { buildImage } from "../../scripts/image.ts";
import { unavailableBinaries } from "../support/cluster/binaries.ts";
import { type NodeCluster, startNodeCluster } from "../support/cluster/node.ts";
import { containerdSocket } from "../support/cluster/node-config.ts";
import { denyOnPurpose } from "../support/cluster/rights-log.ts";
import { unavailableTier } from "../support/cluster/tiers.ts";
import { eventually } from "../support/eventually.ts";
import { CHART, type Helm, openHelm } from "../support/helm.ts";
import { Listener } from "../support/listener.ts";
import { type Backend, backend, mintToken } from "../support/quickstart.ts";

const root = join(import.meta.dir, "../..");
const reason = (await unavailableTier("node")) ?? unavailableBinaries(["helm"]);
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

const RELEASE = "nexus-system";
const NAMESPACE = "shop";
const NEW = "nexus.dev/nexus:0.1.0";
/** The same program under the name that the chart of before asks for: another image to Kubernetes. */
const OLD = "nexus.dev/nexus:0.0.9";
const PREVIOUS = join(root, "test/chart/fixtures/nexus-0.0.9.tgz");

type Pod = {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
  readonly status: { readonly containerStatuses?: readonly { readonly restartCount: number; readonly ready: boolean }[] };
};

describe.skipIf(reason !== undefined)("the chart on a real node", () => {
  let cluster: NodeCluster;
  let helm: Helm;
  let api: Backend;
  let listener: Listener;

  async function kubectl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr.trim()}`);
    return stdout;
  }
  const servers = async (): Promise<readonly Pod[]> => {
    const text = await kubectl("get", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=server", "-o", "json");
    const { items } = JSON.parse(text) as { readonly items: readonly Pod[] }; // v1 PodList
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  };
  /** What must not change: which pods there are, and that none began anew. */
  const standing = async () =>
    (await servers()).map(({ metadata, status }) => [metadata.uid, status.containerStatuses?.map(({ restartCount }) => restartCount)]);
  const arrives = async (order: string) => {
    const sent = await api.post("send", { target_user_id: "ada", template_id: "order-shipped", variables: { order, name: "Ada" } });
    expect(sent).toMatchObject({ status: 200, body: { delivered_to: 1 } });
    expect(JSON.stringify((await listener.next("notification")).payload)).toContain(order);
  };
  const connect = async () => Listener.open(`${api.socketUrl}/ws?token=${await mintToken(api.jwtSecret, "ada")}`);

  beforeAll(async () => {
    cluster = await startNodeCluster();
    helm = await openHelm(cluster.adminKubeconfig);
    const archive = await buildImage({ name: NEW });
    await cluster.importImage(archive.path);
    const tag = ["ctr", "-a", containerdSocket(cluster.directory), "-n", "k8s.io", "images", "tag", NEW, OLD];
    expect(await cluster.exec(tag)).toMatchObject({ code: 0 });
    await kubectl("create", "namespace", RELEASE);
    await kubectl("label", "namespace", RELEASE, "pod-security.kubernetes.io/enforce=restricted");
  }, 600_000);
  afterAll(async () => {
    await listener?.[Symbol.asyncDispose]();
    helm?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  }, 60_000);

  test("helm install --wait of the previous chart, and the quickstart becomes Ready", async () => {
    await helm.text("install", "nexus", PREVIOUS, "--namespace", RELEASE, "--wait", "--timeout", "90s");
    await kubectl("create", "namespace", NAMESPACE);
    const secret = crypto.randomUUID() + crypto.randomUUID();
    await kubectl("create", "secret", "generic", "-n", NAMESPACE, "quickstart-jwt", `--from-literal=key=${secret}`);
    await kubectl("apply", "-n", NAMESPACE, "-k", join(root, "examples/quickstart"));
    const ready = ["nexuscluster/quickstart", "tenant/default", "template/order-shipped"];
    await kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", ...ready, "--timeout=90s");
    expect((await servers()).map(({ spec }) => spec.containers[0]?.image)).toEqual([OLD]);
    api = await backend(kubectl, NAMESPACE, secret);
    listener = await connect();
    await arrives("A-1");
  }, 240_000);

  test("helm upgrade --wait: no server pod moves, nobody is disconnected, and what is new is held", async () => {
    const before = await standing();
    await helm.text("upgrade", "nexus", CHART, "--namespace", RELEASE, "--wait", "--timeout", "120s");
    const digest = await eventually(
      "the new operator says what it holds back",
      async () =>
        (await kubectl("get", "-n", NAMESPACE, "nexuscluster/quickstart", "-o", "jsonpath={.status.pendingRollout.digest}")).trim(),
      { timeoutMs: 60_000 },
    );
    expect(await standing()).toEqual(before);
    await arrives("A-2");
    await kubectl(
      "patch",
      "-n",
      NAMESPACE,
      "nexuscluster/quickstart",
      "--type=merge",
      "-p",
      JSON.stringify({ spec: { rollout: { approve: digest } } }),
    );
    await eventually(
      "the approved rollout is through",
      async () => {
        const pods = await servers();
        return (
          pods.length === 1 && pods[0]?.spec.containers[0]?.image === NEW && pods[0].status.containerStatuses?.every(({ ready }) => ready)
        );
      },
      { timeoutMs: 90_000 },
    );
    await listener[Symbol.asyncDispose]();
    listener = await eventually("ada is back", () => connect().catch(() => undefined), { timeoutMs: 30_000 });
    await eventually("she is served", async () => {
      await arrives("A-3");
      return true;
    });
  }, 360_000);

  test("helm test asks the installed operator, and says what it found", async () => {
    const { code, stdout, stderr } = await helm.run("test", "nexus", "--namespace", RELEASE, "--logs", "--timeout", "90s");
    expect({ code, text: `${stdout}${stderr}` }).toEqual({ code: 0, text: expect.stringMatching(/Phase:\s+Succeeded/) });
    expect(stdout).toMatch(/ok {6}\d+ rights are granted/);
  }, 120_000);

  test("helm uninstall: the operator is gone, people are still served, the objects are still there", async () => {
    const before = await standing();
    denyOnPurpose(cluster, { since: new Date().toISOString() }); // its rights go while it still runs
    await helm.text("uninstall", "nexus", "--namespace", RELEASE, "--wait", "--timeout", "90s");
    await eventually("its pods are gone", async () => (await kubectl("get", "pods", "-n", RELEASE, "-o", "name")).trim() === "", {
      timeoutMs: 60_000,
    });
    expect(await standing()).toEqual(before);
    await arrives("A-4");
    expect((await kubectl("get", "nexus", "-n", NAMESPACE, "-o", "name")).trim().split("\n").length).toBe(3);
  }, 180_000);
});

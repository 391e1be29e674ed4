// Why: the promise on the first page of the README, kept word by word on a real node: a stranger applies YAML, our operator
// starts our image, a backend posts a templated notification and it arrives on a WebSocket outside the pods. One cluster
// for the whole file; the tests run in order, as a user would go on.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { dirname, join } from "node:path";
import { buildImage } from "../../scripts/image.ts";
import { nexus } from "../cli/dev-process.ts";
import { ensureBinaries } from "../support/cluster/binaries.ts";
import { type NodeCluster, startNodeCluster } from "../support/cluster/node.ts";
import { denyOnPurpose } from "../support/cluster/rights-log.ts";
import { unavailableTier } from "../support/cluster/tiers.ts";
import { eventually } from "../support/eventually.ts";
import { Listener } from "../support/listener.ts";
import { type Backend, backend, mintToken } from "../support/quickstart.ts";

const root = join(import.meta.dir, "../..");
const reason = await unavailableTier("node");
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

const IMAGE = "nexus.dev/nexus:0.1.0";
const NAMESPACE = "shop";
const OPERATOR = "nexus-system";
const OBJECTS = ["nexuscluster/quickstart", "tenant/default", "template/order-shipped"];
const figures: string[] = [];

let cluster: NodeCluster;
let api: Backend;

/** Runs kubectl and gives its output; a failure is an error with kubectl's words. */
async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr.trim()}`);
  return stdout;
}

async function get<T>(...args: string[]): Promise<T> {
  // The API server answers objects of the kind that was asked for.
  return JSON.parse(await kubectl("get", "-n", NAMESPACE, "-o", "json", ...args)) as T;
}

type WithStatus = { status?: { conditions?: { type: string; status: string; reason: string; message: string }[] } };
const condition = async (object: string, type: string) =>
  (await get<WithStatus>(object)).status?.conditions?.find((one) => one.type === type);

const waitReady = () =>
  Promise.all(OBJECTS.map((object) => kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", object, "--timeout=60s")));

/** A Service leads to a pod that is Ready a moment later than the pod is. */
const connect = (user: string): Promise<Listener> =>
  eventually(`${user} connects`, async () => await Listener.open(`${api.socketUrl}/ws?token=${await mintToken(api.jwtSecret, user)}`));

const orderShipped = (order: string, user: string) => ({
  target_user_id: user,
  template_id: "order-shipped",
  variables: { order, name: "Ada" },
});

const operatorDeployment = `${root}/operator/deploy`;

describe.skipIf(reason !== undefined)("the quickstart on a real node", () => {
  beforeAll(async () => {
    cluster = await startNodeCluster();
    const archive = await buildImage({ name: IMAGE });
    await cluster.importImage(archive.path);
    figures.push(`image: ${(archive.bytes / 1e6).toFixed(0)} MB`);
  }, 300_000);

  afterAll(async () => {
    process.stderr.write(`${figures.map((line) => `measured: ${line}`).join("\n")}\n`);
    await cluster?.[Symbol.asyncDispose]();
  }, 60_000);

  test("kubectl apply of CRDs, operator and example becomes Ready", async () => {
    await kubectl("apply", "-f", join(root, "crds"));
    await kubectl("apply", "-k", operatorDeployment);
    await kubectl("rollout", "status", "-n", OPERATOR, "deployment/nexus-operator", "--timeout=60s");
    await kubectl("create", "namespace", NAMESPACE);
    const began = performance.now();
    const secret = crypto.randomUUID() + crypto.randomUUID();
    await kubectl("create", "secret", "generic", "-n", NAMESPACE, "quickstart-jwt", `--from-literal=key=${secret}`);
    await kubectl("apply", "-n", NAMESPACE, "-k", join(root, "examples/quickstart"));
    await waitReady();
    figures.push(`kubectl apply to Ready: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    api = await backend(kubectl, NAMESPACE, secret);
  }, 180_000);

  test("a client outside the pods receives the rendered template", async () => {
    await using listener = await connect("ada");
    listener.send({ type: "Subscribe", payload: { channels: ["orders"] } });
    expect((await listener.next("subscribed")).payload).toEqual(["orders"]);
    const sent = await api.post("send", orderShipped("A-1", "ada"));
    expect(sent).toMatchObject({ status: 200, body: { success: true, delivered_to: 1, queued: false } });
    const frame = await listener.next("notification");
    expect(frame.id).toBe(sent.body.notification_id);
    expect(JSON.stringify(frame.payload)).toContain("A-1");
    const toChannel = await api.post("channel", { channel: "orders", event_type: "order.new", payload: { order: "A-2" } });
    expect(toChannel.body).toMatchObject({ success: true, channel: "orders", delivered_to: 1 });
    expect((await listener.next("notification")).payload).toEqual({ order: "A-2" });
  });

  test("a wrong key and a wrong token are refused", async () => {
    expect((await api.post("send", orderShipped("A-1", "ada"), "wrong")).status).toBe(401);
    const upgrade = await fetch(`${api.url}/ws?token=nonsense`, { headers: { connection: "upgrade", upgrade: "websocket" } });
    expect(upgrade.status).toBe(401);
  });

  test("an applied template change is what the next send renders, within 2 s", async () => {
    await using listener = await connect("grace");
    const template = await get<{ spec: { payload: Record<string, unknown> } }>("template/order-shipped");
    const began = performance.now();
    await cluster.apply({
      apiVersion: "nexus.dev/v1alpha1",
      kind: "Template",
      metadata: { name: "order-shipped", namespace: NAMESPACE },
      spec: { ...template.spec, payload: { text: "changed: {{order}}" } },
    });
    await eventually(
      "the new text is rendered",
      async () => {
        await api.post("send", orderShipped("B-7", "grace"));
        return JSON.stringify((await listener.next("notification")).payload) === JSON.stringify({ text: "changed: B-7" });
      },
      { timeoutMs: 2000, intervalMs: 20 },
    );
    figures.push(`template edit (kubectl apply and all) to rendered: ${(performance.now() - began).toFixed(0)} ms`);
    const synced = await eventually("Synced follows", async () => {
      const one = await condition("template/order-shipped", "Synced");
      return one?.status === "True" ? one : undefined;
    });
    expect(synced.reason).not.toBe("");
  });

  test("the doctor finds nothing wrong, and pods change their log level by kubectl exec", async () => {
    const { kubectl: binary } = await ensureBinaries(["kubectl"]);
    const env = { KUBECONFIG: cluster.adminKubeconfig, PATH: `${dirname(binary)}:${process.env.PATH ?? ""}` };
    const doctor = await nexus(["doctor", "-n", NAMESPACE, "--output", "json"], env);
    expect({ code: doctor.code, err: doctor.err }).toEqual({ code: 0, err: "" });
    // Its own answer: what the API server's way to a pod brought back.
    const { checks } = JSON.parse(doctor.out) as { checks: { what: string; outcome: string; seen: string }[] };
    const clock = checks.find(({ what }) => /^Pod .*quickstart-server.* clock$/.test(what));
    expect(clock).toMatchObject({ outcome: "ok", seen: "agrees with this machine" });
    for (const who of [["quickstart", "-n", NAMESPACE], ["--operator"]])
      expect(await nexus(["log-level", "debug", ...who, "--minutes", "1"], env)).toMatchObject({ code: 0, err: "" });
    expect(await kubectl("logs", "-n", NAMESPACE, "deployment/quickstart-server")).toContain('"event":"log.level_changed"');
    expect(await kubectl("logs", "-n", OPERATOR, "-l", "app.kubernetes.io/name=nexus-operator", "--tail=-1")).toContain(
      '"event":"log.level_changed"',
    );
  }, 60_000);

  test("a second replica is refused with the reason", async () => {
    const { code, stderr } = await cluster.kubectl(["scale", "-n", NAMESPACE, "nexuscluster/quickstart", "--replicas=2"]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/redis\.mode/);
    expect(stderr).toMatch(/replicas/);
  });

  test("a pod deleted under load drains, tells its clients, and comes back", async () => {
    // All fifty come from one address; a limit takes effect without a restart.
    await kubectl(
      "patch",
      "-n",
      NAMESPACE,
      "nexuscluster/quickstart",
      "--type=merge",
      "-p",
      '{"spec":{"limits":{"upgradesPerMinutePerAddress":0}}}',
    );
    const listeners = await Promise.all(Array.from({ length: 50 }, (_, i) => connect(`load-${i}`)));
    const [before = ""] = await pods();
    const load = startLoad();
    await kubectl("delete", "pod", "-n", NAMESPACE, before, "--wait=false");
    const shutdowns = await Promise.all(listeners.map((listener) => listener.next("shutdown", 60_000)));
    expect(shutdowns[0]).toMatchObject({ reason: "Server shutting down" });
    const closes = await Promise.all(listeners.map((listener) => listener.closed(60_000)));
    expect(new Set(closes.map(({ code }) => code))).toEqual(new Set([4000]));
    const spread = Math.max(...closes.map(({ at }) => at)) - Math.min(...closes.map(({ at }) => at));
    figures.push(`drain of 50 sessions: closed over ${(spread / 1000).toFixed(1)} s`);
    expect(spread).toBeGreaterThan(1000);
    await eventually("another pod is ready", async () => (await pods()).some((name) => name !== before), { timeoutMs: 90_000 });
    await using listener = await connect("ada");
    await eventually("sends reach it again", async () => {
      await api.post("send", orderShipped("C-1", "ada"));
      return (await listener.next("notification", 1000)) !== undefined;
    });
    await load.stop();
    expect(load.unexpected).toEqual([]);
  }, 180_000);

  test("a hand-edited image is put back, a foreign environment entry is left and reported", async () => {
    const name = "deployment/quickstart-server";
    type Deployment = { spec: { template: { spec: { containers: { image: string; env?: { name: string }[] }[] } } } };
    const image = async () => (await get<Deployment>(name)).spec.template.spec.containers[0]?.image;
    await kubectl("set", "image", "-n", NAMESPACE, name, "server=nexus.dev/other:1");
    await eventually("the image is put back", async () => (await image()) === IMAGE, { timeoutMs: 30_000 });
    await kubectl("set", "env", "-n", NAMESPACE, name, "FOREIGN=1");
    const drift = await eventually("the foreign entry is reported", async () => {
      const text = await kubectl("get", "-n", NAMESPACE, "nexuscluster/quickstart", "-o", "yaml");
      const events = await kubectl("get", "events", "-n", NAMESPACE, "-o", "yaml");
      return /FOREIGN/.test(text + events) ? text + events : undefined;
    });
    expect(drift).toMatch(/Drift/);
    const env = (await get<Deployment>(name)).spec.template.spec.containers[0]?.env ?? [];
    expect(env.map((one) => one.name)).toContain("FOREIGN");
  }, 120_000);

  test("deleting the namespace of cluster, tenant and template finishes and leaves nothing", async () => {
    const began = performance.now();
    await kubectl("delete", "namespace", NAMESPACE, "--timeout=120s");
    figures.push(`namespace deletion: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    expect((await cluster.kubectl(["get", "namespace", NAMESPACE])).stderr).toContain("NotFound");
    const left = await kubectl("get", "nexusclusters,tenants,templates", "-A", "-o", "name");
    expect(left.trim()).toBe("");
  }, 180_000);

  test("deleting a namespace with the operator in it finishes too", async () => {
    await kubectl("create", "secret", "generic", "-n", OPERATOR, "quickstart-jwt", `--from-literal=key=${crypto.randomUUID()}`);
    await kubectl("apply", "-n", OPERATOR, "-k", join(root, "examples/quickstart"));
    for (const object of OBJECTS) await kubectl("wait", "-n", OPERATOR, "--for=condition=Ready", object, "--timeout=60s");
    denyOnPurpose(cluster, { since: new Date().toISOString() }); // its rights go while it still runs
    await kubectl("delete", "namespace", OPERATOR, "--timeout=120s");
    expect((await cluster.kubectl(["get", "namespace", OPERATOR])).stderr).toContain("NotFound");
  }, 240_000);
});

async function pods(): Promise<string[]> {
  const found = await get<{
    items: { metadata: { name: string; deletionTimestamp?: string }; status: { conditions?: { type: string; status: string }[] } }[];
  }>("pods", "-l", "app.kubernetes.io/component=server");
  return found.items
    .filter((pod) => !pod.metadata.deletionTimestamp && pod.status.conditions?.some((one) => one.type === "Ready" && one.status === "True"))
    .map((pod) => pod.metadata.name);
}

/** Sends ten a second until stopped; while the only pod is away, refused connections and 503 are what a backend expects. */
function startLoad(): { readonly unexpected: string[]; stop(): Promise<void> } {
  const unexpected: string[] = [];
  let running = true;
  const loop = async () => {
    for (let i = 0; running; i++) {
      try {
        const { status } = await api.post("send", orderShipped(`L-${i}`, `load-${i % 50}`));
        if (status !== 200 && status !== 503) unexpected.push(`status ${status}`);
      } catch (error) {
        if (!(error instanceof Error)) unexpected.push(String(error));
      }
      await Bun.sleep(100);
    }
  };
  const ended = loop();
  return {
    unexpected,
    stop: async () => {
      running = false;
      await ended;
    },
  };
}

// Why: a certificate of the public port travels through a Secret, a kubelet and a mounted file before a server takes it; only a
// node shows that the whole way works while somebody is connected.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SUBPROTOCOL } from "@nexus/protocol/frames.ts";
import { type Authority, createAuthority } from "../support/cluster/pki.ts";
import { unavailableTier } from "../support/cluster/tiers.ts";
import { eventually } from "../support/eventually.ts";
import { type KubeFleet, type NodeStage, startNodeStage } from "../support/node-stage.ts";
import { PUBLIC_NAME, serialOf } from "../support/tls-files.ts";
import { WsClient } from "../support/ws-client.ts";

const reason = await unavailableTier("node");
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

let stage: NodeStage;
let fleet: KubeFleet;
let authority: Authority;

async function writeSecret(): Promise<void> {
  const { certPem, keyPem } = await authority.issue({ commonName: PUBLIC_NAME, hosts: [PUBLIC_NAME] });
  const metadata = { name: "public-tls", namespace: fleet.namespace, labels: { "nexus.dev/watch": "true" } };
  const stringData = { "tls.crt": certPem, "tls.key": keyPem };
  await stage.cluster.apply({ apiVersion: "v1", kind: "Secret", metadata, type: "kubernetes.io/tls", stringData });
}

describe.skipIf(reason !== undefined)("a fleet with a certificate of its own", () => {
  beforeAll(async () => {
    authority = await createAuthority("test public");
    stage = await startNodeStage();
    // A spread with a broker, so that the roll onto TLS never leaves the Service without a pod.
    fleet = await stage.fleet("tls", { delivery: { drainSeconds: 5 } });
  }, 300_000);
  afterAll(async () => await stage?.[Symbol.asyncDispose]());

  test("is rolled onto TLS once the Secret is there, and renews it under an open socket without a restart", async () => {
    await stage.patch(fleet, { tls: { secretRef: { name: "public-tls" } } });
    const [plain] = await stage.pods(fleet);
    await stage.kubectl("wait", "-n", fleet.namespace, "--for=condition=Stalled", `nexuscluster/${fleet.name}`, "--timeout=60s");
    expect((await stage.pods(fleet)).map(({ name }) => name)).toEqual([plain?.name ?? ""]);
    await writeSecret();
    const before = await eventually("the Service speaks TLS", () => serialOf(fleet.url, authority.certPem), { timeoutMs: 120_000 });
    await stage.untilReady(fleet);
    const staying = async () => (await stage.pods(fleet)).filter(({ isLeaving }) => !isLeaving);
    await eventually("the plain pod leaves", async () => (await staying()).every(({ name }) => name !== plain?.name), {
      timeoutMs: 60_000,
    });

    const at = `${fleet.url}/ws?token=${fleet.boot.tokenOf("ann")}`;
    const connect = () => WsClient.connect(at, { protocols: [SUBPROTOCOL], tls: { ca: authority.certPem, servername: PUBLIC_NAME } });
    await using socket = await eventually("the Service leads to the new pods alone", connect);
    await socket.next("connected");
    const pods = await staying();
    await writeSecret();
    // A kubelet looks at its Secrets about once a minute, and at once when a pod changes.
    for (const { name } of pods) await stage.kubectl("annotate", "-n", fleet.namespace, `pod/${name}`, "example.com/look=now");
    const renewed = async () => (await serialOf(fleet.url, authority.certPem)) !== before;
    await eventually("new connections get the new certificate", renewed, { timeoutMs: 150_000, intervalMs: 250 });
    await socket.ask({ type: "Ping", id: "1" }, "pong"); // served by the listener of the old one
    expect((await staying()).map(({ name, restarts }) => [name, restarts])).toEqual(pods.map(({ name }) => [name, 0]));
  }, 400_000);
});

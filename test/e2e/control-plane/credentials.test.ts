// Why: an authority near its end is replaced under a running fleet: pods that still serve the old certificate are told as before,
// and what is trusted shrinks again when nothing of the old one is left. Here with real TLS between a real operator and pods.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { createAuthority, isIssuedBy, issueLeaf, type KeyPair } from "@nexus/operator/kube/certificates.ts";
import { PREVIOUS_UNTIL_ANNOTATION } from "@nexus/operator/loop/admin-authority.ts";
import { STEP_AT_ANNOTATION } from "@nexus/operator/loop/admin-token.ts";
import { adminServerName } from "@nexus/protocol/admin.ts";
import { eventually } from "../../support/eventually.ts";
import { fakeKubelet } from "../../support/fake-kubelet.ts";
import { type Stage, startStage } from "../../support/operator.ts";
import { cluster, tenant } from "../../support/resources.ts";

setDefaultTimeout(90_000);

const NS = "credentials";
const DAY_MS = 24 * 3600 * 1000;
const PAST = "2020-01-01T00:00:00Z";

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NS } });
});
afterAll(async () => await stage?.[Symbol.asyncDispose]());

const text = async (secret: string, key: string): Promise<string> =>
  Buffer.from((await stage.get(`secret/${secret}`, NS))?.data?.[key] ?? "", "base64").toString();

async function write(secret: string, { certPem, keyPem }: KeyPair): Promise<void> {
  const [crt, key] = [certPem, keyPem].map((pem) => Buffer.from(pem).toString("base64"));
  const data = { "tls.crt": crt, "tls.key": key };
  await stage.kubectl("patch", `secret/${secret}`, "-n", NS, "--type=merge", "-p", JSON.stringify({ data }));
}

/** A limit of acme's that no push before had. */
async function edit(connections: number): Promise<void> {
  await stage.plane.apply(tenant(NS, "acme", { quotas: { connections } }));
  await stage.until("tenant/acme", NS, { type: "Synced", status: "True" });
}

test("an authority that ends soon is replaced, and pods with a certificate of the old one are told as before", async () => {
  await stage.plane.apply([cluster(NS), tenant(NS)]);
  {
    await using operator = await stage.operator();
    expect(operator.url).toStartWith("http");
    await eventually("the pods are asked for", () => stage.get("deployment/live-server", NS), { timeoutMs: 20_000 });
  }
  // As it would be 600 days later, with a certificate that was renewed in time.
  const old = await createAuthority("old", Date.now() - 600 * DAY_MS);
  await write("live-admin-ca", old);
  await write("live-admin-tls", await issueLeaf(old, adminServerName("live", NS)));
  await using kubelet = fakeKubelet(stage, NS, "live");
  const running = kubelet.runPods(1);
  await eventually("a pod serves the old certificate", () => kubelet.pods.size === 1, { timeoutMs: 20_000 });

  await using operator = await stage.operator();
  expect(operator.url).toStartWith("http");
  await running; // a leader confirmed it: old certificate, new authority
  const authority = await text("live-admin-ca", "tls.crt");
  expect(authority).not.toBe(old.certPem);
  expect((await text("live-admin-ca", "previous.crt")).trim()).toBe(old.certPem.trim());
  expect(isIssuedBy(await text("live-admin-tls", "tls.crt"), authority)).toBe(true);
  expect(new X509Certificate(authority).validToDate.getTime()).toBeGreaterThan(Date.now() + 700 * DAY_MS);
  await edit(11);

  // A pod that starts now serves the new one; after the overlap nothing else is trusted.
  await stage.kubectl("delete", "pods", "-n", NS, "--all", "--grace-period=0", "--force");
  await kubelet.runPods(1);
  await edit(12);
  await stage.kubectl("annotate", "secret/live-admin-ca", "-n", NS, "--overwrite", `${PREVIOUS_UNTIL_ANNOTATION}=${PAST}`);
  await eventually("the old one is trusted no more", async () => (await text("live-admin-ca", "previous.crt")) === "", {
    timeoutMs: 20_000,
  });
  expect(await text("live-admin-ca", "tls.crt")).toBe(authority);
  await edit(13);

  // A token that is due gets a second one beside it, which nobody uses before every pod could read it.
  const token = (await text("live-admin-token", "token")).trim();
  await stage.kubectl("annotate", "secret/live-admin-token", "-n", NS, "--overwrite", `${STEP_AT_ANNOTATION}=${PAST}`);
  const lines = await eventually(
    "a second token",
    async () => {
      const now = (await text("live-admin-token", "token")).trim().split("\n");
      return now.length === 2 ? now : undefined;
    },
    { timeoutMs: 20_000 },
  );
  expect(lines[0]).toBe(token);
  await edit(14);
});

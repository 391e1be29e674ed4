import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { createAuthority } from "../support/cluster/pki.ts";

test("issues server certificates that verify against the authority for their hosts only", async () => {
  const authority = await createAuthority("test-ca");
  const { certPem, keyPem } = await authority.issue({ commonName: "api", hosts: ["localhost", "127.0.0.1"] });
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", tls: { cert: certPem, key: keyPem }, fetch: () => new Response("ok") });
  expect(await (await fetch(`https://127.0.0.1:${server.port}/`, { tls: { ca: authority.certPem } })).text()).toBe("ok");
  const other = await createAuthority("test-ca");
  await expect(fetch(`https://127.0.0.1:${server.port}/`, { tls: { ca: other.certPem } })).rejects.toThrow(/certificate|verif/i);
  expect(new X509Certificate(certPem).checkHost("example.org")).toBeUndefined();
});

test("writes user and groups where Kubernetes reads them", async () => {
  const { certPem } = await (await createAuthority("test-ca")).issue({ commonName: "alice", organizations: ["dev", "ops"] });
  expect(new X509Certificate(certPem).subject).toBe("O=dev\nO=ops\nCN=alice");
});

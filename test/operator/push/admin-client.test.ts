// Why: the token opens every server of a cluster; it may only ever reach one that proves to be it.
import { describe, expect, test } from "bun:test";
import { createAdminClient } from "@nexus/operator/kube/admin-client.ts";
import type { AdminTarget, PushText } from "@nexus/operator/loop/push-ports.ts";
import { adminServerName } from "@nexus/protocol/admin.ts";
import { bucketOf, bundleDigest, EMPTY_BUCKET, makeBucket } from "@nexus/protocol/bundle.ts";
import { createAuthority } from "../../support/cluster/pki.ts";
import { adminAuthority, startFakePod } from "../../support/fake-pod.ts";
import { CLUSTER, entryOf } from "./stage.ts";

const client = createAdminClient({ userAgent: "nexus-test" });
const CALL = { timeoutMs: 5000 };

async function stage(ip = "127.0.0.1", serverName?: string) {
  const { authority, access } = await adminAuthority(CLUSTER);
  const pod = await startFakePod({
    authority,
    token: access.token,
    cluster: CLUSTER,
    ip,
    ...(serverName === undefined ? {} : { serverName }),
  });
  const target: AdminTarget = { ...access, ip: pod.ip, port: pod.port };
  return { pod, target, [Symbol.asyncDispose]: () => pod[Symbol.asyncDispose]() };
}

const pushOf = (count: number): PushText => {
  const entries = Array.from({ length: 2000 }, (_, index) => entryOf(`t${index}`))
    .filter((entry) => bucketOf(entry.id) === 5)
    .slice(0, count);
  const bucket = makeBucket(5, entries);
  const digests = Array.from({ length: 64 }, (_, index) => (index === 5 ? bucket.digest : EMPTY_BUCKET));
  const push = { index: 5, from: EMPTY_BUCKET, to: bucket.digest, full: false, entriesJson: JSON.stringify(entries), removed: [] };
  return { format: 1, term: "1", sequence: 1, digest: bundleDigest(digests), buckets: [push] };
};

describe.each(["127.0.0.1", "::1"])("over %s", (ip) => {
  test("the right authority and name get through, compressed or not", async () => {
    await using one = await stage(ip);
    expect(await client.status(one.target, CALL)).toMatchObject({ cluster: CLUSTER, term: "0" });
    expect(await client.push(one.target, pushOf(1), CALL)).toMatchObject({ kind: "taken", result: { rejected: [] } });
    expect(await client.push(one.target, { ...pushOf(20), sequence: 2 }, CALL)).toMatchObject({ kind: "mismatch" });
    expect(await client.push(one.target, { ...pushOf(20), sequence: 0 }, CALL)).toEqual({
      kind: "stale",
      stale: { term: "1", sequence: 2 },
    });
  });

  test("another authority is refused, also on a connection that was good before", async () => {
    await using one = await stage(ip);
    await client.status(one.target, CALL);
    const { certPem } = await createAuthority("somebody else");
    await expect(client.status({ ...one.target, caPem: certPem }, CALL)).rejects.toMatchObject({ reason: "Network" });
    expect(one.pod.asked).toBe(1);
  });

  test("another cluster's name is refused, also on a connection that was good before", async () => {
    await using one = await stage(ip);
    await client.status(one.target, CALL);
    const wrong = { ...one.target, serverName: adminServerName("other", "prod") };
    await expect(client.push(wrong, pushOf(1), CALL)).rejects.toThrow("ERR_TLS_CERT_ALTNAME_INVALID");
    expect(one.pod.received).toEqual([]);
  });

  test("a certificate for the address instead of the name is refused", async () => {
    await using one = await stage(ip, ip);
    await expect(client.status(one.target, CALL)).rejects.toMatchObject({ reason: "Network" });
  });
});

test("while an authority is replaced, old and new are both trusted", async () => {
  await using one = await stage();
  const { certPem } = await createAuthority("the next one");
  for (const caPem of [certPem + one.target.caPem, `${one.target.caPem}\n${certPem}`]) {
    expect(await client.status({ ...one.target, caPem }, CALL)).toMatchObject({ cluster: CLUSTER });
  }
  await expect(client.status({ ...one.target, caPem: "" }, CALL)).rejects.toThrow("the cluster's CA holds no certificate");
});

test("a wrong token is told apart, a silent server times out, and a caller may give up", async () => {
  await using one = await stage();
  await expect(client.status({ ...one.target, token: "wrong" }, CALL)).rejects.toMatchObject({ reason: "Refused", status: 401 });
  one.pod.mute(true);
  await expect(client.status(one.target, { timeoutMs: 100 })).rejects.toMatchObject({ reason: "Timeout" });
  const giveUp = new AbortController();
  const asked = client.status(one.target, { timeoutMs: 5000, signal: giveUp.signal });
  giveUp.abort();
  await expect(asked).rejects.toMatchObject({ reason: "Aborted" });
});

test("an answer of another shape is no answer, and no error says the token", async () => {
  const { authority, access } = await adminAuthority(CLUSTER);
  const { certPem, keyPem } = await authority.issue({ commonName: "admin", hosts: [access.serverName] });
  const answers = [
    () => Response.json({ digest: 5 }),
    () => new Response("<html>"),
    () => Response.redirect("https://127.0.0.1:1/"),
    () => new Response("x".repeat(5_000_000)),
  ];
  let turn = 0;
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, tls: { cert: certPem, key: keyPem }, fetch: () => answers[turn++]!() });
  const target = { ...access, ip: "127.0.0.1", port: server.port ?? 0 };
  for (const reason of ["Malformed", "Malformed", "Network", "Malformed"]) {
    const error = await client.status(target, CALL).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toMatchObject({ reason });
    expect(Bun.inspect(error)).not.toContain(access.token);
  }
  await server.stop(true);
});

test("a proxy of the environment is not used", async () => {
  await using one = await stage();
  const script = `
    import { createAdminClient } from "@nexus/operator/kube/admin-client.ts";
    const target = JSON.parse(await Bun.stdin.text());
    console.log((await createAdminClient({ userAgent: "t" }).status(target, { timeoutMs: 5000 })).cluster);`;
  const proxy = "http://127.0.0.1:1";
  const env = { ...process.env, HTTPS_PROXY: proxy, https_proxy: proxy, HTTP_PROXY: proxy, http_proxy: proxy, NO_PROXY: "", no_proxy: "" };
  const child = Bun.spawn([process.execPath, "-e", script], {
    cwd: import.meta.dir,
    env,
    stdin: new Blob([JSON.stringify(one.target)]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect([out.trim(), err]).toEqual([CLUSTER, ""]);
});

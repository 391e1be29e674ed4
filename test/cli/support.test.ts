// Why: a support bundle must hold no secret, wherever one was put: decided by plain values here, by a whole archive in the
// control-plane tier. Its format is one that others read.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRedactor } from "@nexus/cli/support/redact.ts";
import { tarOf } from "@nexus/cli/support/tar.ts";
import { extract } from "tar-stream";
import { startScriptedApi, status } from "../support/kube/scripted-api.ts";
import { nexus } from "./dev-process.ts";

const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl";

describe("texts", () => {
  const { text } = createRedactor(["hunter2 and more\n"]);
  test.each([
    ["a token in a log", `user connected token=${JWT} ok`, JWT],
    ["a key of ours", "authorization with nxk_AbC-123_x failed", "nxk_AbC"],
    ["an address with a password", "dial postgres://nexus:p4ss@db:5432/x?y=1", "p4ss"],
    ["a user without a password", "redis://justtoken@redis:6379", "justtoken"],
    ["a header", "Authorization: Bearer abcdef.123456", "abcdef"],
    ["JSON", '{"password":"s3cr3t","apiKey": "k-1"}', "s3cr3t"],
    ["JSON with another key", '{"apiKey": "k-12345"}', "k-12345"],
    ["a query", "GET /ws?channel=a&token=opaque123 101", "opaque123"],
    ["a setting of Redis", "requirepass foobared", "foobared"],
    ["a private key", "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----", "MHc"],
    ["a private key that was cut", "-----BEGIN PRIVATE KEY-----\nMIIE", "MIIE"],
    ["a value of a Secret", "the words hunter2 and more stood here", "hunter2"],
    ["its base64", `data: ${Buffer.from("hunter2 and more\n").toString("base64")}`, "aHVudGVy"],
    ["its form in a URL", "x=hunter2%20and%20more", "hunter2"],
  ])("%s is taken out", (_name, input, secret) => {
    expect(text(input)).not.toContain(secret);
    expect(text(input)).toContain("<redacted>");
  });

  test("what is no secret stays", () => {
    for (const input of [
      "https://idp.example.com/jwks",
      "PodsAcknowledged: 3/3 pods have it",
      "Secret jwt with key key is missing",
      "automountServiceAccountToken: false",
      "volumes:\n  - secret:\n      name: live-admin-token\n",
      "connected to redis:6379",
    ])
      expect(text(input)).toBe(input);
  });
});

describe("objects", () => {
  test("Secrets show their keys, variables of others nothing, references stay", () => {
    const { object } = createRedactor([]);
    const shown = object({
      kind: "List",
      metadata: {
        managedFields: [1],
        annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}", "x/api-key": "abc", note: "y" },
      },
      items: [{ kind: "Secret", metadata: { name: "s" }, data: { a: "eA==" }, stringData: { b: "x" } }],
      env: [
        { name: "NEXUS_CLUSTER", value: "a/b" },
        { name: "NEXUS_ADMIN_TOKEN_FILE", value: "/var/run/token" },
        { name: "NEXUS_REDIS_PASSWORD", value: "p" },
        { name: "COLOUR", value: "blue" },
        { name: "FROM", valueFrom: { secretKeyRef: { name: "s", key: "password" } } },
      ],
      passwordSecretRef: { name: "redis-password", key: "password" },
      config: { password: "inline" },
    });
    expect(shown).toEqual({
      kind: "List",
      metadata: { annotations: { "x/api-key": "<redacted>", note: "y" } },
      items: [{ kind: "Secret", metadata: { name: "s" }, keys: ["a", "b"] }],
      env: [
        { name: "NEXUS_CLUSTER", value: "a/b" },
        { name: "NEXUS_ADMIN_TOKEN_FILE", value: "/var/run/token" },
        { name: "NEXUS_REDIS_PASSWORD", value: "<redacted>" },
        { name: "COLOUR", value: "<redacted>" },
        { name: "FROM", valueFrom: { secretKeyRef: { name: "s", key: "password" } } },
      ],
      passwordSecretRef: { name: "redis-password", key: "password" },
      config: { password: "<redacted>" },
    });
  });
});

/** Every file of an archive, read by somebody else's reader. */
async function unpacked(archive: Uint8Array): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const reader = extract();
  reader.end(archive);
  for await (const entry of reader) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(Buffer.from(chunk as Uint8Array)); // entries are byte streams
    files.set(entry.header.name, Buffer.concat(chunks).toString());
  }
  return files;
}

test("the archive is one that others read, long paths and empty files too", async () => {
  const long = `${"folder/".repeat(15)}${"n".repeat(90)}.txt`;
  const files = [
    { path: "a.txt", text: "ä\n" },
    { path: "empty", text: "" },
    { path: long, text: "x".repeat(1024) },
  ];
  expect([...(await unpacked(tarOf(files, 1_700_000_000)))]).toEqual(files.map(({ path, text }) => [path, text]));
  expect(() => tarOf([{ path: "x".repeat(300), text: "" }], 0)).toThrow(RangeError);
});

type Listed = Readonly<Record<string, readonly object[]>>;

/** An API server with a few objects, logs and what else is asked for; whatever is not there is empty. */
async function api(objects: Listed, texts: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), "nexus-support-"));
  const server = await startScriptedApi(({ path }) => {
    if (path === "/version") return Response.json({ gitVersion: "v1.36.3" });
    const text = texts[path];
    if (text !== undefined) return new Response(text);
    if (/\/(log|proxy\/metrics)$/.test(path)) return status(404, "NotFound");
    return Response.json({ metadata: { resourceVersion: "1" }, items: objects[path.split("/").at(-1) ?? ""] ?? [] });
  });
  const kubeconfig = join(folder, "config");
  writeFileSync(
    kubeconfig,
    `apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: "${server.server}", insecure-skip-tls-verify: true}}]\nusers: [{name: u, user: {token: t0k3n-of-the-caller}}]\n`,
  );
  return {
    folder,
    kubeconfig,
    seen: server.seen,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

/** As the operator renders them: the public port first. */
const SERVER_PORTS = [
  { name: "http", containerPort: 8081 },
  { name: "ops", containerPort: 9090 },
];

test("logs are taken with a bound, also of the container before, and cleaned; the caller's own token is nowhere", async () => {
  const pod = {
    metadata: { name: "live-server-1", namespace: "shop", uid: "1", labels: { "app.kubernetes.io/name": "nexus" } },
    spec: { containers: [{ name: "server", ports: SERVER_PORTS }] },
    status: { containerStatuses: [{ name: "server", restartCount: 1 }] },
  };
  const base = "/api/v1/namespaces/shop/pods/live-server-1";
  const log = `started\nredis password=swordfish\n${"x".repeat(100)}\n`.repeat(3);
  await using server = await api(
    { pods: [pod], secrets: [{ metadata: { name: "s" }, data: { key: Buffer.from("planted-value").toString("base64") } }] },
    {
      [`${base}/log`]: `${log}planted-value\n`,
      "/api/v1/namespaces/shop/pods/live-server-1%3A9090/proxy/metrics": "nexus_sessions 3\n",
    },
  );
  const file = join(server.folder, "b.tar.gz");
  const { code, out, err } = await nexus([
    "support-bundle",
    "-n",
    "shop",
    "--kubeconfig",
    server.kubeconfig,
    "-o",
    file,
    "--log-lines",
    "7",
  ]);
  expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/: \d+ files, \d+ secrets taken out/) });
  const files = await unpacked(Bun.gunzipSync(await Bun.file(file).bytes()));
  const all = [...files.values()].join("\n");
  const find = (name: string) => [...files].find(([path]) => path.endsWith(name))?.[1] ?? "";
  expect(find("logs/live-server-1/server.log")).toContain("redis password=<redacted>");
  expect(find("server.previous.log")).toContain("started");
  expect(find("server.metrics")).toBe("nexus_sessions 3\n");
  for (const secret of ["swordfish", "planted-value", "t0k3n-of-the-caller"]) expect(all).not.toContain(secret);
  expect(find("README.txt")).toContain("Secrets: the content of 1");
  expect(err).toContain("left out: Secrets: the content of 1");
  const asked = server.seen.filter(({ path }) => path.endsWith("/log"));
  expect(asked.every(({ query }) => query.get("tailLines") === "7")).toBe(true);
  expect(server.seen.every(({ method }) => method === "GET")).toBe(true);
});

describe("drain", () => {
  const pod = (name: string) => ({
    metadata: { name, namespace: "shop", uid: name, labels: { "app.kubernetes.io/instance": "live" } },
    spec: {},
  });

  test("a budget that is used up is told of, and nothing was evicted", async () => {
    const refusing = await startScriptedApi(({ path, method }) => {
      if (method === "POST")
        return status(
          429,
          "TooManyRequests",
          { details: { causes: [{ reason: "DisruptionBudget", message: "needs 2 healthy pods" }] } },
          { "retry-after": "10" },
        );
      return Response.json({ metadata: { resourceVersion: "1" }, items: path.endsWith("/pods") ? [pod("a")] : [] });
    });
    const folder = mkdtempSync(join(tmpdir(), "nexus-drain-"));
    try {
      const kubeconfig = join(folder, "config");
      writeFileSync(
        kubeconfig,
        `apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u, namespace: shop}}]\nclusters: [{name: c, cluster: {server: "${refusing.server}", insecure-skip-tls-verify: true}}]\nusers: [{name: u, user: {token: t}}]\n`,
      );
      const refused = await nexus(["drain", "a", "--dry-run", "--kubeconfig", kubeconfig]);
      expect(refused).toEqual({ code: 1, out: "0 of 1 pods may be drained now.\n", err: "Pod shop/a: needs 2 healthy pods\n" });
      expect(refusing.seen.find(({ method }) => method === "POST")?.query.get("dryRun")).toBe("All");
      const stranger = await nexus(["drain", "b", "--kubeconfig", kubeconfig]);
      expect(stranger).toMatchObject({ code: 1, err: "nexus: Pod shop/b is no server pod of a NexusCluster (there are a)\n" });
    } finally {
      await refusing[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    [["drain"], "POD, or --node: exactly one of them"],
    [["drain", "a", "--node", "n"], "POD, or --node: exactly one of them"],
    [["drain", "a", "--timeout", "soon"], "--timeout: must be a whole number from 1 to 86400"],
    [["support-bundle", "--log-lines", "0"], "--log-lines: must be a whole number from 1 to 100000"],
  ])("%p is a wrong call", async (argv, says) => {
    expect(await nexus(argv)).toMatchObject({ code: 2, err: expect.stringContaining(says) });
  });
});

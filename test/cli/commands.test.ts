// Why: every command as people call it: right calls work, wrong ones name the flag and end with 2.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "@nexus/cli/main.ts";
import { jwtVerify } from "jose";
import { nexus, post, quickstartCopy, Running, startDev } from "./dev-process.ts";

describe("wrong calls", () => {
  test.each([
    [["vresion"], "no such command: vresion; did you mean version?"],
    [["token"], "--user: is required"],
    [["token", "--user", "a"], "--secret: is required (or NEXUS_JWT_SECRET in the environment)"],
    [["token", "--user", "a", "--secret", "s", "--expires", "soon"], "--expires: must be a whole number of seconds"],
    [["token", "--user", "a", "--secret", "s", "--algorithm", "RS256"], "--algorithm: must be"],
    [["send", "--url", "http://x", "--key", "k"], "exactly one of them"],
    [["send", "--url", "http://x", "--key", "k", "--user", "a", "--event", "e", "--payload", "{"], "--payload: must be JSON"],
    [["send", "--url", "http://x", "--key", "k", "--user", "a", "--template", "t", "--var", "x"], "--var: must be"],
    [["send", "--url", "127.0.0.1:8081", "--key", "k", "--user", "a", "--event", "e", "--payload", "1"], "--url: must be an address"],
    [["init", "--cluster", "a".repeat(41)], "--cluster: must be at most 40"],
    [["init", "--cluster", "1st"], "begin with a letter"],
    [["listen", "--url", "nowhere", "--token", "t"], "--url: must be an address"],
    [["listen", "--url", "http://x", "--token", "t", "--output", "xml"], "--output: must be text or json"],
    [["validate"], "PATH: at least one file or folder"],
    [["dev", "--prot", "1"], "--prot: no such flag; did you mean --port?"],
    [["dev", "--port", "many"], "--http-port: must be a whole number from 0 to 65535"],
    [["dev", "--http-host", "0.0.0.0"], "nexus dev listens on loopback only"],
    [["dev", "/no/such/folder"], "/no/such/folder: no such file or folder"],
    [["server", "--http-prot", "1"], "--http-prot: no such setting"],
  ])("%p", async (argv, says) => {
    const { code, out, err } = await nexus(argv);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(says);
  });
});

test("help lists what is there, and each command explains itself", async () => {
  const { code, out } = await nexus(["help"]);
  expect(code).toBe(0);
  for (const name of ["dev", "server", "operator", "token", "send", "listen", "validate", "rules", "doctor", "version"])
    expect(out).toContain(`\n  ${name} `);
  for (const name of ["dev", "token", "send", "listen", "validate"])
    expect((await nexus(["help", name])).out).toContain(`Usage: nexus ${name}`);
});

test("token mints what any verifier accepts, and never repeats the secret", async () => {
  const args = [
    "token",
    "--user",
    "ada",
    "--tenant",
    "acme",
    "--role",
    "a",
    "--role",
    "b",
    "--channel",
    "orders.*",
    "--issuer",
    "i",
    "--audience",
    "x",
    "--expires",
    "60",
  ];
  const { out, code } = await nexus(args, { NEXUS_JWT_SECRET: "text secret" });
  expect(code).toBe(0);
  const { payload } = await jwtVerify(out.trim(), new TextEncoder().encode("text secret"), {
    issuer: "i",
    audience: "x",
    algorithms: ["HS256"],
  });
  expect(payload).toMatchObject({ sub: "ada", tenant_id: "acme", roles: ["a", "b"], channels: ["orders.*"] });
  expect(Number(payload.exp) - Number(payload.iat)).toBe(60);
});

test("validate names file, line, field and what would be right; other objects are still looked at", async () => {
  const folder = mkdtempSync(join(tmpdir(), "nexus-validate-"));
  try {
    writeFileSync(
      join(folder, "a.yaml"),
      "apiVersion: nexus.dev/v1alpha1\nkind: Tenant\nmetadata: {name: a}\nspec:\n  clusterRef: {name: q}\n  suspended: 'no'\n  quota: {}\n---\nkind: ConfigMap\n",
    );
    writeFileSync(join(folder, "b.yaml"), "a: [\n");
    writeFileSync(
      join(folder, "c.yml"),
      "apiVersion: nexus.dev/v1alpha1\nkind: Tenant\nmetadata: {name: a}\nspec: {clusterRef: {name: q}}\n",
    );
    const spec = "spec: {tenantRef: {name: a}, eventType: e, engine: Liquid,\n  payload: {list: [1,\n    'x {{ a | nope }}']}}\n";
    writeFileSync(join(folder, "d.yaml"), `apiVersion: nexus.dev/v1alpha1\nkind: Template\nmetadata: {name: t}\n${spec}`);
    const { code, out, err } = await nexus(["validate", folder]);
    expect(code).toBe(1);
    expect(err).toContain(`${folder}/d.yaml:6:5: spec.payload.list[1]: undefined filter: nope (line 1, column 3)`);
    expect(err).toContain(`${folder}/a.yaml:6:3: spec.suspended: must be true or false`);
    expect(err).toContain(`${folder}/a.yaml:7:3: spec.quota: no such field; did you mean quotas?`);
    expect(err).toContain(`${folder}/b.yaml:`);
    expect(err).toContain(`${folder}/c.yml:3:12: metadata.name: Tenant default/a is in ${folder}/a.yaml:3 already`);
    expect(out).toContain("3 objects in 4 files, 5 problems, 1 warning; 1 of other kinds not looked at.");
  } finally {
    rmSync(folder, { recursive: true });
  }
  const nothing = await nexus(["validate", "docs/adr"]);
  expect(nothing).toMatchObject({ code: 0, err: "docs/adr: warning: no NexusCluster, Tenant or Template in it\n" });
  expect((await nexus(["validate", "--strict", "docs/adr"])).code).toBe(1);
  const fine = await nexus(["validate", "examples/quickstart"]);
  expect({ code: fine.code, err: fine.err }).toEqual({ code: 0, err: "" });
});

test("send and listen meet: a template with variables, direct content, a channel, JSON output", async () => {
  using folder = quickstartCopy();
  await using dev = await startDev([folder.path]);
  const [tenant] = dev.ready.tenants;
  const env = { NEXUS_URL: dev.ready.url, NEXUS_API_KEY: tenant?.api_key ?? "" };
  const token = (await nexus(["token", "--user", "ada", "--secret", tenant?.jwt_secret ?? ""])).out.trim();
  await using listener = new Running(["listen", "--channel", "orders.1", "--output", "json", "--count", "3"], {
    ...env,
    NEXUS_TOKEN: token,
  });
  await listener.says("err", "subscribed to orders.1");
  const sent = await nexus(["send", "--user", "ada", "--template", "order-shipped", "--var", "order=A-1", "--var", "parcels:=3"], env);
  expect(JSON.parse(sent.out)).toMatchObject({ success: true, delivered_to: 1 });
  await nexus(["send", "--channel", "orders.1", "--event", "e", "--payload", '{"a":[1]}', "--priority", "High"], env);
  await nexus(["send", "--broadcast", "--event", "all", "--payload", "null"], env);
  expect(await listener.child.exited).toBe(0);
  const lines = (await listener.says("out", /"all"/))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toMatchObject([
    { event_type: "order.shipped", stream: "user", payload: { title: "Hello there, order A-1 is on its way", parcels: 3 } },
    { event_type: "e", stream: "channel:orders.1", payload: { a: [1] }, metadata: { priority: "High" } },
    { event_type: "all", stream: "broadcast", payload: null },
  ]);
  const refused = await nexus(["send", "--user", "ada", "--template", "nope"], env);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain(
    "the server answered 400: unknown_template: The tenant has no such template (/template_id: names no template of the tenant) [request ",
  );
  const stranger = await nexus(["listen", "--token", "not.a.token"], env);
  expect(stranger.code).toBe(1);
  expect(stranger.err).toContain("the server refused the token");
  expect((await post(dev.ready, "send", { target_user_id: "ada", event_type: "e", payload: 1 })).status).toBe(200);
});

test("a server process loads neither the operator nor its Kubernetes client", async () => {
  const probe = `
    const { main } = await import(${JSON.stringify(join(import.meta.dir, "../../cli/src/main.ts"))});
    await import("@nexus/server/main.ts");
    const loaded = Object.keys(require.cache);
    const foreign = loaded.filter((path) => /client-node|\\/operator\\/src\\/|\\/cli\\/src\\/dev/.test(path));
    console.log(JSON.stringify({ foreign, own: loaded.some((path) => path.endsWith("server/src/main.ts")), main: typeof main }));`;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", probe], { cwd: join(import.meta.dir, "../..") });
  expect(JSON.parse(stdout.toString())).toEqual({ foreign: [], own: true, main: "function" });
});

test("every command has help with an example, for kubectl too, and a place in docs/cli.md", async () => {
  const docs = await Bun.file(join(import.meta.dir, "../../docs/cli.md")).text();
  const help = async (program: string, ...argv: readonly string[]) => {
    let text = "";
    const out = (one: string) => {
      text += `${one}\n`;
    };
    const io = { out, err: out, env: {}, colour: false, program, input: async () => "" };
    expect(await main(argv, io)).toBe(0);
    return text;
  };
  const names = [...(await help("nexus", "help")).matchAll(/^ {2}([a-z-]+) {2,}/gm)].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(12);
  for (const name of names) expect(docs).toContain(`\`${name}\``);
  const plain = ["server", "operator", "version"];
  for (const program of ["nexus", "kubectl nexus"])
    for (const name of names.filter((one) => !plain.includes(one))) {
      const text = await help(program, name, "--help");
      expect(text).toContain(`Usage: ${program} ${name}`);
      expect(text).toMatch(new RegExp(`Examples:\\n  ${program} ${name}\\b`));
    }
});

test("without a kubeconfig, commands that ask a cluster say what is missing", async () => {
  const home = { HOME: "/nonexistent", KUBECONFIG: "", KUBERNETES_SERVICE_HOST: "" };
  const err = "nexus: no cluster to talk to: there is no kubeconfig (--kubeconfig, KUBECONFIG or ~/.kube/config)\n";
  expect(await nexus(["status"], home)).toEqual({ code: 1, out: "", err });
});

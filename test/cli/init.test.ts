// Why: what a new user starts from has to be right under any names, and must not cost him a file.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXAMPLE_NAMES, STARTERS, starterFiles } from "@nexus/cli/init/starters.ts";
import { nexus, startDev } from "./dev-process.ts";

const root = join(import.meta.dir, "../..");

function aFolder() {
  const path = mkdtempSync(join(tmpdir(), "nexus-init-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

describe.each([...STARTERS])("from %s", (from) => {
  test("without other names the files are the example's, byte for byte", () => {
    const files = starterFiles(from, EXAMPLE_NAMES[from]);
    for (const [name, text] of Object.entries(files)) expect(text).toBe(readFileSync(join(root, "examples", from, name), "utf8"));
    const inExample = readdirSync(join(root, "examples", from)).filter((name) => name.endsWith(".yaml"));
    expect(Object.keys(files).sort()).toEqual(inExample.sort());
  });

  // Names that are words of the files: nothing but the names may change.
  test.each([
    ["chat", "shop", "apps"],
    ["name", "default", "kind"],
    ["default", "quickstart", "live"],
    ["acme", "live", "nexus"],
  ])("as cluster %s, tenant %s, namespace %s they are valid and lead to each other", async (cluster, tenant, namespace) => {
    using folder = aFolder();
    const made = await nexus(["init", folder.path, "--from", from, "--cluster", cluster, "--tenant", tenant, "-n", namespace]);
    expect(made).toMatchObject({ code: 0 });
    expect(made.out.trim().split("\n").sort()).toEqual(
      readdirSync(folder.path)
        .map((name) => join(folder.path, name))
        .sort(),
    );
    const checked = await nexus(["validate", "--strict", folder.path]);
    expect({ code: checked.code, err: checked.err }).toEqual({ code: 0, err: "" });
    const read = (name: string) => Bun.YAML.parse(readFileSync(join(folder.path, name), "utf8"));
    expect(read("cluster.yaml")).toMatchObject({ metadata: { name: cluster } });
    expect(read("tenant.yaml")).toMatchObject({ metadata: { name: tenant }, spec: { clusterRef: { name: cluster } } });
    expect(read("template.yaml")).toMatchObject({ spec: { tenantRef: { name: tenant } } });
    expect(read("kustomization.yaml")).toMatchObject({ namespace });
  });
});

test("what is there is not written over, and nothing is written beside it", async () => {
  using folder = aFolder();
  writeFileSync(join(folder.path, "tenant.yaml"), "mine\n");
  const refused = await nexus(["init", folder.path]);
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.err).toContain(`${join(folder.path, "tenant.yaml")}: is there already`);
  expect(readdirSync(folder.path)).toEqual(["tenant.yaml"]);
  expect(readFileSync(join(folder.path, "tenant.yaml"), "utf8")).toBe("mine\n");
  expect((await nexus(["init", folder.path, "--force"])).code).toBe(0);
  expect(readFileSync(join(folder.path, "tenant.yaml"), "utf8")).toContain("kind: Tenant");
});

test.each([
  [["--cluster", "My Cluster"], "--cluster: must be at most 40"],
  [["--tenant", "x-"], "--tenant: must be lower-case letters"],
  [["--from", "kit"], "--from: must be quickstart or production"],
  [["a", "b"], "b: only one FOLDER"],
])("%p is called wrongly", async (argv, says) => {
  const { code, err } = await nexus(["init", ...argv]);
  expect(code).toBe(2);
  expect(err).toContain(says);
});

test("nexus dev runs what was written", async () => {
  using folder = aFolder();
  expect((await nexus(["init", folder.path, "--tenant", "shop"])).code).toBe(0);
  await using dev = await startDev([folder.path]);
  expect(dev.ready.tenants.map(({ tenant_id }) => tenant_id)).toEqual(["shop"]);
});

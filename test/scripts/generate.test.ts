// Why: a generated file that somebody edits, or forgets to write, must be named before it is released.
import { expect, test } from "bun:test";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { drifted, GENERATED } from "../../scripts/generate.ts";

const root = join(import.meta.dir, "../..");

test("--check passes on the tree as it is", async () => {
  const child = Bun.spawn([process.execPath, "scripts/generate.ts", "--check"], { cwd: root, stderr: "pipe" });
  expect({ code: await child.exited, stderr: await new Response(child.stderr).text() }).toEqual({ code: 0, stderr: "" });
});

test("an edited and a missing file are named, others are not", async () => {
  const copy = await mkdtemp(join(tmpdir(), "nexus-generate-"));
  try {
    for (const { path } of GENERATED) await cp(join(root, path), join(copy, path));
    expect(await drifted(copy)).toEqual([]);
    await writeFile(join(copy, "crds/nexus.dev_tenants.yaml"), "edited\n");
    await rm(join(copy, "docs/reference/template.md"));
    expect(await drifted(copy)).toEqual(["crds/nexus.dev_tenants.yaml", "docs/reference/template.md"]);
  } finally {
    await rm(copy, { recursive: true });
  }
});

test("a CRD reads the same as YAML 1.1 and as YAML 1.2, and carries no predicate", () => {
  for (const { path, render } of GENERATED.filter((one) => one.path.startsWith("crds/"))) {
    const [old, recent] = (["1.1", "1.2"] as const).map((version) => parseAllDocuments(render(), { version }).map((one) => one.toJS()));
    expect({ path, value: old }).toEqual({ path, value: recent });
    expect(render()).not.toMatch(/^\s*(holds|onUpdate|about):/m);
  }
});

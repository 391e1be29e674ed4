// Why: `nexus validate` gives the verdict an API server gives, for every case of the list the real API server is tested with,
// and says where, which field and what would be right, in every format.
import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkObject } from "@nexus/cli/files/check.ts";
import { loadFiles } from "@nexus/cli/files/load.ts";
import { githubLine } from "@nexus/cli/files/report.ts";
import { stringify } from "yaml";
import { CASES, objectOf } from "../protocol/resources/cases.ts";
import { nexus } from "./dev-process.ts";
import { METADATA_CASES, objectWith } from "./metadata-cases.ts";

function folder(files: Readonly<Record<string, string>>) {
  const path = mkdtempSync(join(tmpdir(), "nexus-validate-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}
const verdict = async (object: object) => {
  const loaded = await loadFiles(["-"], async () => stringify(object, { version: "1.1" }));
  expect(loaded.problems).toEqual([]);
  return loaded.objects.flatMap((one) => {
    const checked = checkObject(one);
    return checked.ok ? [] : checked.problems;
  });
};

describe("the verdict of the API server", () => {
  test.each(CASES.map((one) => [`${one.kind}: ${one.name}`, one] as const))("%s", async (_name, one) => {
    const problems = await verdict(objectOf(one, "case"));
    if (!one.bad) expect(problems).toEqual([]);
    else {
      const { field, says } = one.bad;
      expect(problems.length).toBeGreaterThan(0);
      expect(problems.map((problem) => problem.field).join("\n")).toContain(field);
      expect(problems.map(({ message }) => message).join("\n")).toContain(says);
      for (const { line, column } of problems) expect([line, column].every((at) => at !== undefined && at > 0)).toBe(true);
    }
  });

  test.each(METADATA_CASES.map((one) => [one.name, one] as const))("metadata: %s", async (_name, { metadata, bad }) => {
    const problems = await verdict(objectWith(metadata));
    if (bad === undefined) expect(problems).toEqual([]);
    else expect(problems.map(({ field = "" }) => field.startsWith(bad))).toEqual([true]);
  });
});

const CLUSTER =
  "apiVersion: nexus.dev/v1alpha1\nkind: NexusCluster\nmetadata: {name: live, namespace: infra}\nspec: {redis: {mode: None}ALLOWED}\n";
const cluster = (allowed = "") => CLUSTER.replace("ALLOWED", allowed === "" ? "" : `, allowedNamespaces: ${allowed}`);
const tenant = (name: string, extra = "") =>
  `apiVersion: nexus.dev/v1alpha1\nkind: Tenant\nmetadata: {name: ${name}, namespace: shop}\nspec:\n  clusterRef: {name: live, namespace: infra}\n${extra}`;
const TEMPLATE =
  "apiVersion: nexus.dev/v1alpha1\nkind: Template\nmetadata: {name: hello, namespace: shop}\nspec:\n  tenantRef: {name: acme}\n  eventType: e\n  payload: {a: b}\n";

describe("references between files", () => {
  test("what is only in the cluster is a warning, with --strict a problem", async () => {
    using files = folder({ "a.yaml": tenant("acme"), "b.yaml": TEMPLATE.replace("acme", "other") });
    const { code, err, out } = await nexus(["validate", files.path]);
    expect(code).toBe(0);
    expect(err).toContain(`${files.path}/a.yaml:5:3: spec.clusterRef: warning: NexusCluster infra/live is not in these files`);
    expect(err).toContain(`${files.path}/b.yaml:5:3: spec.tenantRef: warning: Tenant shop/other is not in these files`);
    expect(out).toContain("2 objects in 2 files, 0 problems, 2 warnings");
    expect((await nexus(["validate", "--strict", files.path])).code).toBe(1);
  });

  test("a reference that the operator would refuse is a problem", async () => {
    using files = folder({ "a.yaml": cluster(), "b.yaml": tenant("acme"), "c.yaml": TEMPLATE });
    const { code, err } = await nexus(["validate", files.path]);
    expect(code).toBe(1);
    expect(err).toContain(
      "b.yaml:5:3: spec.clusterRef: NexusCluster infra/live does not exist or does not allow objects of this namespace",
    );
    expect(err).not.toContain("c.yaml");
  });

  test("namespaces in the files decide a selector; unknown ones are a warning", async () => {
    const selecting = cluster("{from: Selector, selector: {matchLabels: {team: a}}}");
    using files = folder({ "a.yaml": selecting, "b.yaml": tenant("acme"), "c.yaml": TEMPLATE });
    expect((await nexus(["validate", files.path])).err).toContain("its namespace is not in these files");
    const namespace = (team: string) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: ${team}}}\n`;
    writeFileSync(join(files.path, "n.yaml"), namespace("b"));
    expect((await nexus(["validate", files.path])).code).toBe(1);
    writeFileSync(join(files.path, "n.yaml"), namespace("a"));
    expect(await nexus(["validate", files.path])).toMatchObject({ code: 0, err: "" });
  });

  test("two objects with one id are told of, also when their owner is elsewhere", async () => {
    using files = folder({ "a.yaml": tenant("acme"), "b.yaml": tenant("twin", "  tenantId: acme\n") });
    const { code, err } = await nexus(["validate", files.path]);
    expect(code).toBe(1);
    expect(err).toContain(`b.yaml:6:3: spec.tenantId: the id of a Tenant is taken by acme (${files.path}/a.yaml:4)`);
  });
});

describe("folders of test data", () => {
  const wrong = tenant("acme", "  suspend: true\n");
  function withTestData() {
    const files = folder({ "cluster.yaml": cluster() });
    const cases = join(files.path, "argo", "testdata");
    mkdirSync(cases, { recursive: true });
    for (const name of ["new.yaml", "degraded.yaml"]) writeFileSync(join(cases, name), wrong);
    return { ...files, cases };
  }

  test("are left out below a folder, which is said, and read when given by name", async () => {
    using files = withTestData();
    const around = await nexus(["validate", "-o", "json", files.path]);
    expect([around.code, JSON.parse(around.out)]).toMatchObject([0, { valid: true, objects: 1, files: 1, leftOut: [files.cases] }]);
    const both = await nexus(["validate", "-o", "json", files.path, `${files.cases}/`]);
    expect([both.code, JSON.parse(both.out)]).toMatchObject([1, { valid: false, objects: 3, files: 3, leftOut: [] }]);
  });

  test("are named by a command that goes on with the rest", async () => {
    using files = withTestData();
    const { code, out, err } = await nexus(["rules", files.path]);
    expect({ code, err }).toEqual({
      code: 0,
      err: `nexus: not read, as it is test data: ${files.cases}; give such a folder by name to have it read\n`,
    });
    expect(out).toContain("alert: NexusFleetDown");
  });
});

describe("formats", () => {
  const bad = "apiVersion: nexus.dev/v1alpha1\nkind: Tenant\nmetadata: {name: a}\nspec:\n  clusterRef: {name: c}\n  suspend: true\n";

  test("json is one document with every place", async () => {
    const { code, out, err } = await nexus(["validate", "-o", "json", "-n", "shop", "-"], {}, bad);
    expect({ code, err }).toEqual({ code: 1, err: "" });
    expect(JSON.parse(out)).toEqual({
      valid: false,
      objects: 1,
      files: 1,
      leftOut: [],
      findings: [
        { severity: "error", file: "-", line: 6, column: 3, field: "spec.suspend", message: "no such field; did you mean suspended?" },
      ],
    });
  });

  test("github's annotations carry the place, and no text can forge another", async () => {
    const { out } = await nexus(["validate", "--output=github", "-"], {}, bad);
    expect(out).toContain("::error file=-,line=6,col=3,title=spec.suspend::spec.suspend: no such field; did you mean suspended?\n");
    const line = githubLine({ severity: "error", file: "a,b:c", message: "50%\n::error::forged" });
    expect(line).toBe("::error file=a%2Cb%3Ac::50%25%0A::error::forged");
  });

  test("another format is a wrong call", async () => {
    const { code, err } = await nexus(["validate", "-o", "xml", "x"]);
    expect(code).toBe(2);
    expect(err).toContain("--output: must be text, json or github");
  });
});

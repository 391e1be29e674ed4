// Why: what people copy has to be right: every example passes our own check with no open reference, and renders.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { validate } from "@nexus/cli/commands/validate.ts";
import { loadFiles } from "@nexus/cli/files/load.ts";
import { readFileSet } from "@nexus/cli/files/set.ts";
import { renderObjects } from "@nexus/cli/render/objects.ts";
import { isOurs } from "@nexus/protocol/resources/schema.ts";
import { FULL } from "./full.ts";

const root = join(import.meta.dir, "../..");
const context = { operatorId: "default", defaultImage: "nexus.dev/nexus:0.1.0" };
const input = async () => JSON.stringify({ apiVersion: "v1", kind: "List", items: FULL });
const options = { namespace: "default", input };

test.each(["examples/quickstart", "examples/production"])("%s is right, and its references lead somewhere", async (folder) => {
  const { problems, warnings, placed } = await readFileSet([join(root, folder)], options);
  expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
  expect(placed.map(({ resource }) => resource.kind).sort()).toEqual(["NexusCluster", "Template", "Tenant"]);
});

test("a kustomization lists every file beside it", async () => {
  for (const folder of ["examples/quickstart", "examples/production"]) {
    const { objects, files } = await loadFiles([join(root, folder)]);
    const listed = objects.find(({ value }) => value.kind === "Kustomization")?.value.resources;
    const others = files.map((file) => file.split("/").at(-1)).filter((name) => name !== "kustomization.yaml");
    expect(listed).toBeArray();
    expect([listed].flat().sort()).toEqual(others.sort());
  }
});

test.each([["examples/quickstart"], ["examples/production"], ["-"]])("%s renders, twice the same, without a secret", async (path) => {
  const { placed, problems } = await readFileSet([path === "-" ? path : join(root, path)], options);
  expect(problems).toEqual([]);
  const resources = placed.map(({ resource }) => resource);
  const [once, again] = [await renderObjects(resources, context), await renderObjects(resources, context)];
  expect(again).toEqual(once);
  expect(once.notes).toEqual([]);
  const text = JSON.stringify(once.objects);
  expect(text).not.toMatch(/BEGIN|nxk_|placeholder/);
  expect(once.objects.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(["Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "Secret"]),
  );
  if (path === "-")
    expect(once.objects.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["HorizontalPodAutoscaler", "Ingress", "HTTPRoute", "Certificate"]),
    );
});

test("nothing of ours is left unread in the examples", async () => {
  const { objects, problems, leftOut } = await loadFiles([join(root, "examples")]);
  expect(problems).toEqual([]);
  expect(objects.filter(({ value }) => isOurs(value)).length).toBe(6);
  expect(leftOut.length).toBe(3); // states that Argo CD's tests ask about
});

test("the examples all together are right too, and what was not read of them is said", async () => {
  const said = { out: [] as string[], err: [] as string[] };
  const io = {
    ...{ out: (text: string) => void said.out.push(text), err: (text: string) => void said.err.push(text) },
    ...{ env: {}, colour: false, program: "nexus", input: async () => "" },
  };
  expect(await validate([join(root, "examples")], io)).toBe(0);
  expect(said.err).toEqual([]);
  expect(said.out.join("\n")).toContain("0 problems; 10 of other kinds not looked at; 3 folders of test data not read.");
});

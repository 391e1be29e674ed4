// Why: what people copy has to be right: every example passes our own check with no open reference, and renders.
import { expect, test } from "bun:test";
import { join } from "node:path";
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
  const { objects, problems } = await loadFiles([join(root, "examples")]);
  expect(problems).toEqual([]);
  // Recorded states are objects of ours too.
  expect(objects.filter(({ value, file }) => isOurs(value) && !file.includes("testdata")).length).toBe(6);
});

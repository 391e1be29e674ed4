// Why: Argo CD's own layout of health tests, run with the Lua it runs them with; and that the ConfigMap people copy holds the same
// scripts, and the examples point at what is there.
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readYaml } from "@nexus/cli/files/yaml.ts";
import { ensureBinaries, unavailableBinaries } from "../support/cluster/binaries.ts";
import { argoHealthOf, kstatusOf } from "../support/wait-tools.ts";
import { CUSTOMIZATIONS, OUR_KINDS, STATES } from "./record.ts";

setDefaultTimeout(30_000);
const reason = unavailableBinaries(["argo-lua", "kstatus"]);
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);
const gitops = join(import.meta.dir, "../../examples/gitops");

const parse = async (path: string): Promise<Record<string, unknown>> =>
  readYaml(await Bun.file(path).text()).documents[0]?.value as Record<string, unknown>; // files of ours, objects all
type HealthTest = { readonly healthStatus: { readonly status: string; readonly message: string }; readonly inputPath: string };

describe.skipIf(reason !== undefined).each(OUR_KINDS)("the health of a %s", (kind) => {
  beforeAll(async () => {
    await ensureBinaries(["argo-lua", "kstatus"]);
  }, 300_000);
  const folder = join(CUSTOMIZATIONS, kind);
  const script = join(folder, "health.lua");

  test("every recorded state has the verdict the test file says", async () => {
    const { tests } = (await parse(join(folder, "health_test.yaml"))) as { tests: readonly HealthTest[] }; // Argo CD's layout
    expect(tests.map(({ inputPath }) => inputPath)).toEqual(Object.keys(STATES).map((name) => `testdata/${name}.yaml`));
    const states = await Promise.all(tests.map(({ inputPath }) => parse(join(folder, inputPath))));
    expect(await argoHealthOf(script, states)).toEqual(tests.map(({ healthStatus }) => healthStatus));
    const verdicts = ["Progressing", "Progressing", "Healthy", "Progressing", "Degraded", "Suspended"];
    expect(tests.map(({ healthStatus }) => healthStatus.status)).toEqual(verdicts);
    // Flux knows no pause: what was ready and is paused stays as it was.
    const flux = (await kstatusOf(states)).map(({ status }) => status);
    expect(flux.slice(0, 5)).toEqual(["InProgress", "InProgress", "Current", "InProgress", "Failed"]);
  });

  test("what no operator would write is still an answer", async () => {
    const odd = [
      { metadata: {} },
      { metadata: { generation: 1 }, status: { observedGeneration: 1, conditions: [] } },
      { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } },
    ];
    expect((await argoHealthOf(script, odd)).map(({ status }) => status)).toEqual(["Progressing", "Progressing", "Progressing"]);
  });

  test("the ConfigMap holds the same script", async () => {
    const { data } = (await parse(join(gitops, "argocd/argocd-cm.yaml"))) as { data: Record<string, string> }; // a ConfigMap
    expect(data[`resource.customizations.health.nexus.dev_${kind}`]).toBe(await Bun.file(script).text());
  });
});

test("the Application and the Kustomization point at a folder that is there, and ask for no exceptions", async () => {
  const root = join(gitops, "../..");
  const application = (await parse(join(gitops, "argocd/application.yaml"))) as {
    spec: { source: { path: string }; ignoreDifferences?: unknown };
  };
  const kustomization = (await parse(join(gitops, "flux/kustomization.yaml"))) as {
    spec: { path: string; wait: boolean; sourceRef: { name: string } };
  };
  const source = (await parse(join(gitops, "flux/source.yaml"))) as { metadata: { name: string } };
  expect(application.spec.ignoreDifferences).toBeUndefined();
  expect(kustomization.spec.wait).toBe(true);
  expect(kustomization.spec.sourceRef.name).toBe(source.metadata.name);
  for (const { path } of [application.spec.source, kustomization.spec])
    expect(existsSync(join(root, path, "kustomization.yaml"))).toBe(true);
});

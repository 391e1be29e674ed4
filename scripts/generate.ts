// Why: everything that is written from protocol/ in one list; `--check` fails on a file that is not what it would write.
// It must never write outside the files listed here.
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { dashboardFile } from "../operator/src/desired/monitoring/dashboards/render.ts";
import { fixedDashboards } from "../operator/src/desired/monitoring/dashboards/sets.ts";
import { GROUP, KINDS, type Kind } from "../protocol/resources/names.ts";
import { plainPolicies, policySpec } from "./generate/admission-policy.ts";
import { chartReadme } from "./generate/chart/readme.ts";
import { crdTemplate, crdTemplatePath, valuesSchema, valuesYaml } from "./generate/chart/render.ts";
import { operatorRulesFile } from "./generate/chart/rules.ts";
import { configReference } from "./generate/config-reference.ts";
import { crdYaml } from "./generate/crd.ts";
import { logReference } from "./generate/log-reference.ts";
import { metricsReference } from "./generate/metrics-reference.ts";
import { plainRoles, rightsFile, rightsReference } from "./generate/rbac.ts";
import { resourceReference } from "./generate/resource-reference.ts";
import { RUNBOOK_INDEX, runbookIndex } from "./generate/runbook-index.ts";
import { failureReference, restReference, socketReference } from "./generate/wire-reference.ts";

export type Generated = { readonly path: string; readonly render: () => string };

const kinds: readonly Kind[] = ["NexusCluster", "Tenant", "Template"];

export const GENERATED: readonly Generated[] = [
  ...kinds.map((kind) => ({ path: `crds/${GROUP}_${KINDS[kind].plural}.yaml`, render: () => crdYaml(kind) })),
  ...kinds.map((kind) => ({ path: `docs/reference/${KINDS[kind].singular}.md`, render: () => resourceReference(kind) })),
  { path: "docs/reference/rest.md", render: restReference },
  { path: "docs/reference/websocket.md", render: socketReference },
  { path: "docs/reference/failures.md", render: failureReference },
  { path: "docs/reference/configuration.md", render: configReference },
  { path: "docs/reference/metrics.md", render: metricsReference },
  { path: "docs/reference/logs.md", render: logReference },
  { path: "docs/reference/rights.md", render: rightsReference },
  { path: RUNBOOK_INDEX, render: () => runbookIndex() },
  { path: "operator/deploy/rbac.yaml", render: plainRoles },
  { path: "operator/deploy/admission-policy.yaml", render: plainPolicies },
  ...(["pods", "secrets"] as const).map((name) => ({ path: `charts/nexus/files/policies/${name}.yaml`, render: () => policySpec(name) })),
  { path: "charts/nexus/files/monitoring/rules.yaml", render: operatorRulesFile },
  ...fixedDashboards().map((one) => ({ path: `charts/nexus/files/dashboards/${one.file}.json`, render: () => dashboardFile(one).text })),
  { path: "charts/nexus/values.yaml", render: valuesYaml },
  { path: "charts/nexus/values.schema.json", render: valuesSchema },
  { path: "charts/nexus/README.md", render: chartReadme },
  ...kinds.map((kind) => ({ path: crdTemplatePath(kind), render: () => crdTemplate(kind) })),
  ...(["Watched", "Cluster", "Listed", "Release"] as const).map((reach) => ({
    path: `charts/nexus/files/rights/${reach.toLowerCase()}.yaml`,
    render: () => rightsFile(reach),
  })),
];

/** Paths whose file differs from what would be written. */
export async function drifted(root: string): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const { path, render } of GENERATED) {
    const file = Bun.file(join(root, path));
    if (!(await file.exists()) || (await file.text()) !== render()) wrong.push(path);
  }
  return wrong;
}

async function main(): Promise<number> {
  const root = join(import.meta.dir, "..");
  const wrong = await drifted(root);
  if (process.argv.includes("--check")) {
    for (const path of wrong) process.stderr.write(`${path} is not what npm run generate writes\n`);
    return wrong.length === 0 ? 0 : 1;
  }
  for (const { path, render } of GENERATED) {
    if (!wrong.includes(path)) continue;
    await mkdir(dirname(join(root, path)), { recursive: true });
    await Bun.write(join(root, path), render());
    process.stderr.write(`wrote ${path}\n`);
  }
  return 0;
}

if (import.meta.main) process.exit(await main());

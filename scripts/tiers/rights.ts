// Why: a right that nobody uses is a gift to whoever steals the operator's token, and a request that is denied is a bug nobody
// sees. After the tiers this compares what was granted with what the clusters' audit logs say. It must never call a right
// unused when only a part of the tests ran.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RIGHTS, resourceOf } from "../../operator/src/kube/rights.ts";
import { NOTHING, type Tally } from "./tally.ts";

/** `resource` with its subresource, as rules spell it: `deployments/scale`. */
export type RightUse = {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
};
/** What the operators of one cluster did, each once. */
export type RightsOfCluster = { readonly used: readonly RightUse[]; readonly denied: readonly RightUse[] };

/** The tiers that together use every right. */
export const RIGHTS_TIERS: readonly string[] = ["control-plane", "node"];

/** Why the tiers that ran do not show which rights are never used, or undefined. */
export function partOfRights(tallies: ReadonlyMap<string, Tally>): string | undefined {
  for (const name of RIGHTS_TIERS) {
    const tally = tallies.get(name);
    if (!tally || tally.passed === 0) return `the tier ${name} did not run`;
    if (tally.failed > 0) return `tests of the tier ${name} failed`;
    if (tally.skipped > 0) return `tests of the tier ${name} were skipped`;
  }
  return undefined;
}

/** What the list of rights grants, one verb each. */
export const granted = (): readonly RightUse[] =>
  RIGHTS.flatMap(({ kinds, subresource, verbs }) =>
    kinds.flatMap((kind) => verbs.map((verb) => ({ verb, group: kind.group, resource: resourceOf(kind, subresource) }))),
  );

const keyOf = ({ verb, group, resource }: RightUse): string => `${verb} ${resource}${group === "" ? "" : `.${group}`}`;

/** Sentences about what is wrong; `partial`: why unused rights cannot be judged, undefined when everything ran. */
export function judgeRights(
  grants: readonly RightUse[],
  clusters: readonly RightsOfCluster[],
  partial: string | undefined,
): readonly string[] {
  const used = new Set(clusters.flatMap((cluster) => cluster.used.map(keyOf)));
  const denied = clusters.flatMap((cluster) => cluster.denied);
  const words = new Set(
    denied.map((use) => `denied: ${keyOf(use)}${use.namespace ? ` in ${use.namespace}` : ""}${use.name ? ` (${use.name})` : ""}`),
  );
  const unused = partial === undefined ? grants.map(keyOf).filter((key) => !used.has(key)) : [];
  return [...[...words].sort(), ...[...new Set(unused)].sort().map((key) => `granted and never used: ${key}`)];
}

/** Reads what the clusters of a run left. @throws Error naming a cluster that left no summary: its uses are unknown */
export function readRights(folder: string): readonly RightsOfCluster[] {
  const names = readdirSync(folder);
  const lost = names.filter((name) => name.endsWith(".started") && !names.includes(name.replace(/started$/, "json")));
  if (lost.length > 0) throw new Error(`${lost.length} clusters ended without a summary of their audit log: ${lost.join(", ")}`);
  const summaries = names.filter((name) => name.endsWith(".json")).sort();
  return summaries.map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as RightsOfCluster); // our own files
}

/** The closing check of a run: one failure per sentence; skipped, with the reason, when it could only look for denials. */
export function checkRights(folder: string, partial: string | undefined): Tally {
  let wrong: readonly string[];
  try {
    wrong = judgeRights(granted(), readRights(folder), partial);
  } catch (error) {
    wrong = [error instanceof Error ? error.message : String(error)];
  }
  for (const sentence of wrong) process.stderr.write(`✗ ${sentence}\n`);
  if (wrong.length > 0) return { ...NOTHING, failed: wrong.length };
  if (partial !== undefined) process.stderr.write(`nothing was denied; unused rights: skipped: ${partial}\n`);
  return partial === undefined ? { ...NOTHING, passed: 1 } : { ...NOTHING, skipped: 1 };
}

/** `bun scripts/tiers/rights.ts FOLDER`: what a run with NEXUS_RIGHTS_RUN=FOLDER used, for one who adds or removes rights. */
if (import.meta.main) process.exit(checkRights(process.argv[2] ?? ".", undefined).failed === 0 ? 0 : 1);

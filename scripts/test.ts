// Why: `npm test` on any machine: runs every tier this machine can, says which it left out and why, and ends with one
// line that adds everything up. It must never report success for a tier that failed to start.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Glob } from "bun";
import { ensurePackages } from "../test/support/apt.ts";
import { ensureBinaries, unavailableBinaries } from "../test/support/cluster/binaries.ts";
import { unavailableTier } from "../test/support/cluster/tiers.ts";
import { fetchDefinitions, unavailableDefinitions } from "../test/support/kube/published-crds.ts";
import { runChecks } from "./check.ts";
import { checkRights, partOfRights, RIGHTS_TIERS } from "./tiers/rights.ts";
import { runShown } from "./tiers/run.ts";
import { add, closingLine, failuresOf, NOTHING, shownFailure, type Tally, tallyOf } from "./tiers/tally.ts";
import { FAST_TIERS, NIGHTLY_TIERS, patienceOf, TIERS, type Tier } from "./tiers/tiers.ts";

const root = new URL("..", import.meta.url).pathname;
const say = (text: string) => process.stderr.write(`\n── ${text}\n`);

type Plan = { readonly tiers: readonly Tier[]; readonly checks: boolean };

/** How many steps every property test makes at least in a `--nightly` run. */
const NIGHTLY_STEPS = "10000";

/** `--fast`: checks, unit and contract. `--nightly`: what has property tests, with long ones. `--tier NAME` (repeatable): only those, without the checks. */
function planOf(argv: readonly string[]): Plan {
  const named = argv.flatMap((word, at) => (word === "--tier" ? [argv[at + 1] ?? ""] : []));
  const unknown = named.filter((name) => !TIERS.some((tier) => tier.name === name));
  if (unknown.length > 0) {
    process.stderr.write(`--tier: no tier "${unknown[0]}"; one of ${TIERS.map((tier) => tier.name).join(", ")}\n`);
    process.exit(2);
  }
  const all = named.length > 0 ? named : TIERS.filter((tier) => !tier.isOnDemand).map((tier) => tier.name);
  const wanted = argv.includes("--fast") ? FAST_TIERS : argv.includes("--nightly") ? NIGHTLY_TIERS : all;
  return { tiers: TIERS.filter((tier) => wanted.includes(tier.name)), checks: named.length === 0 };
}

async function filesOf(tier: Tier): Promise<readonly string[]> {
  const files: string[] = [];
  for (const path of tier.paths) {
    const pattern = path.endsWith(".ts") ? path : `${path}/**/*.test.ts`;
    for await (const file of new Glob(pattern).scan({ cwd: root })) files.push(`./${file}`);
  }
  return files.sort();
}

async function runTier(tier: Tier): Promise<Tally> {
  const files = await filesOf(tier);
  say(`${tier.name}: ${tier.about} (${files.length} files)`);
  if (files.length === 0) return NOTHING;
  const missing = tier.packages.length > 0 ? await ensurePackages(tier.packages) : undefined;
  const reason = (await unavailableTier(tier.name)) ?? (tier.name === "node" ? missing : undefined);
  if (reason !== undefined) {
    process.stderr.write(`skipped: ${reason}\n`);
    return { passed: 0, failed: 0, skipped: files.length };
  }
  if (missing !== undefined) process.stderr.write(`some tests will be skipped: ${missing}\n`);
  await buildTools(tier);
  const parallel = tier.parallel > 1 ? [`--parallel=${tier.parallel}`] : [];
  const command = [process.execPath, "test", `--timeout=${tier.timeoutMs}`, ...parallel, ...files];
  const { exitCode, stderr, seconds } = await runShown(command, root, { NEXUS_TEST_PATIENCE_MS: String(patienceOf(tier)) });
  process.stderr.write(`${tier.name}: ${seconds.toFixed(1)} s\n`);
  for (const failure of failuresOf(stderr)) failures.push(shownFailure(tier.name, failure));
  return tallyOf(stderr, exitCode);
}

/** What cannot be compiled is left to the tests: they skip with the reason, or fail with the compiler's words. */
async function buildTools({ tools = [] }: Tier): Promise<void> {
  const say = (error: unknown) => process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  if (unavailableBinaries(tools) === undefined) await ensureBinaries(tools).catch(say);
  if (tools.includes("kube-apiserver") && unavailableDefinitions() === undefined) await fetchDefinitions().catch(say);
}

const plan = planOf(process.argv.slice(2));
if (process.argv.includes("--nightly")) process.env.NEXUS_FUZZ_STEPS ??= NIGHTLY_STEPS;
const started = performance.now();
let total = NOTHING;
const rows: string[] = [];
/** Said once more at the end: above it lie an hour of lines. */
const failures: string[] = [];
const note = (name: string, tally: Tally) => {
  total = add(total, tally);
  rows.push(`${name.padEnd(14)} ${closingLine(tally)}`);
};
if (plan.checks) {
  say("checks: types, lint, generated files, lock file");
  note("checks", await runChecks());
}
const rights = mkdtempSync(join(tmpdir(), "nexus-rights-"));
process.env.NEXUS_RIGHTS_RUN = rights;
const tallies = new Map<string, Tally>();
for (const tier of plan.tiers) {
  const tally = await runTier(tier);
  tallies.set(tier.name, tally);
  note(tier.name, tally);
}
if (RIGHTS_TIERS.some((name) => tallies.has(name))) {
  say("rights: what the operator is granted against what the audit logs say it used");
  note("rights", checkRights(rights, partOfRights(tallies)));
}
rmSync(rights, { recursive: true, force: true });
say(`all in ${((performance.now() - started) / 1000).toFixed(0)} s`);
process.stderr.write(`${rows.join("\n")}\n\n`);
for (const failure of failures) process.stderr.write(`${failure}\n`);
process.stdout.write(`${closingLine(total)}\n`);
process.exit(total.failed === 0 ? 0 : 1);

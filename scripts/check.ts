// Why: everything about the tree that needs no running program: types, lint and format, generated files, lock file,
// and whether monitoring and pages speak of what there is.
// `npm run check` runs it alone; the test runner counts each part as one test.

import { checkMonitoring } from "./check/monitoring.ts";
import { runShown } from "./tiers/run.ts";
import { add, NOTHING, type Tally } from "./tiers/tally.ts";

const root = new URL("..", import.meta.url).pathname;

type Check = { readonly name: string; readonly run: () => Promise<boolean> };

const program = (name: string, command: readonly string[]): Check => ({
  name,
  run: async () => (await runShown(command, root)).exitCode === 0,
});

/** A download address in the lock file would name a registry: stack facts are in docs/development.md. */
async function lockNamesNoAddress(): Promise<boolean> {
  for (const file of ["bun.lock", "scripts/bun/package-lock.json"]) {
    if (/"https?:\/\//.test((await Bun.file(`${root}/${file}`).text()).replace(/"(url|funding)": "[^"]*"/g, ""))) {
      process.stderr.write(`${file} holds download addresses; blank them: sed -E -i 's#"https?://[^"]*\\.tgz"#""#' ${file}\n`);
      return false;
    }
  }
  return true;
}

const CHECKS: readonly Check[] = [
  program("types", [process.execPath, "node_modules/typescript/bin/tsc", "-p", ".", "--noEmit"]),
  program("lint and format", [process.execPath, "node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings", "."]),
  program("generated files", [process.execPath, "scripts/generate.ts", "--check"]),
  { name: "lock file", run: lockNamesNoAddress },
  { name: "rules, dashboards, runbooks, links", run: () => checkMonitoring(root, (line) => process.stderr.write(`${line}\n`)) },
];

/** Runs every check, also after one failed. */
export async function runChecks(): Promise<Tally> {
  let tally = NOTHING;
  for (const { name, run } of CHECKS) {
    const passed = await run();
    process.stderr.write(`${passed ? "✓" : "✗"} ${name}\n`);
    tally = add(tally, passed ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 });
  }
  return tally;
}

if (import.meta.main) process.exit((await runChecks()).failed === 0 ? 0 : 1);

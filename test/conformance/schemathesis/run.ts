// Why: schemathesis reads the OpenAPI document and asks the server what nobody thought of. One call runs it to its end and
// reads its report. It must never hang: it is stopped at a deadline, and then the run has failed.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export type SchemathesisRun = {
  /** The interpreter whose environment has schemathesis. */
  readonly python: string;
  /** Of the server; the document is below it. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** `operationId`s to leave out. */
  readonly exclude: readonly string[];
  /** Values that mean something to the server under test, tried for path parameters half of the time. */
  readonly known: readonly string[];
  readonly maxExamples: number;
  readonly seed: number;
  readonly timeoutMs: number;
};

/** What is read of the JSON report. */
export type Report = {
  readonly operations: { readonly tested: number };
  readonly test_cases: { readonly generated: number };
  readonly failures: readonly { readonly title: string; readonly operations: readonly string[] }[];
  readonly errors: readonly unknown[];
  /** How many requests an operation accepted and rejected, by phase. */
  readonly valid_rates: Readonly<Record<string, Readonly<Record<string, { readonly accepted: number; readonly rejected: number }>>>>;
};

/** `output` is for people, in a failure. */
export type Outcome = { readonly report: Report | undefined; readonly output: string };

/**
 * Left out: that valid data is accepted, because some rules are no schema's (the template exists, a key was not used with
 * another body); and that a call without a key is 401, because after twenty of them the address has to wait (429).
 */
const NOT_CHECKED = "positive_data_acceptance,ignored_auth";
/** What a request without its key may get, for the same reason. */
const WITHOUT_KEY = [401, 429];

export async function runSchemathesis(run: SchemathesisRun): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-schemathesis-"));
  const report = join(folder, "report.json");
  try {
    await writeFile(join(folder, "schemathesis.toml"), configOf(run.known));
    const options = {
      "--checks": "all",
      "--exclude-checks": NOT_CHECKED,
      "--max-examples": String(run.maxExamples),
      "--seed": String(run.seed),
      "--generation-database": "none",
      "--report": "json",
      "--report-json-path": report,
      "--request-timeout": "10",
    };
    const program = join(dirname(run.python), "schemathesis");
    const argv = [program, "run", `${run.url}/openapi.json`, "--no-color", ...Object.entries(options).flat()];
    for (const [name, value] of Object.entries(run.headers)) argv.push("--header", `${name}: ${value}`);
    for (const id of run.exclude) argv.push("--exclude-operation-id", id);
    const child = Bun.spawn(argv, { cwd: folder, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: run.timeoutMs });
    const [output, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
    const file = Bun.file(report);
    // The report is schemathesis' own; the test fails on one it cannot read.
    return { report: (await file.exists()) ? ((await file.json()) as Report) : undefined, output: `${output}\n${errors}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function configOf(known: readonly string[]): string {
  const binding = '{ dictionary = "known", probability = 0.5 }';
  const parameters = ["path.id", "path.name", "path.entry"].map((name) => `"${name}" = ${binding}`);
  const checks = `[checks.missing_required_header]\nexpected-statuses = ${JSON.stringify(WITHOUT_KEY)}\n`;
  return `${checks}\n[dictionaries.known]\nvalues = ${JSON.stringify(known)}\n\n[parameters]\n${parameters.join("\n")}\n`;
}

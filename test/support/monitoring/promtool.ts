// Why: rules are judged by Prometheus' own tool, not by our reading of PromQL: syntax, templates, and unit tests of alerts. It must
// never leave files behind.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RenderedGroup } from "@nexus/operator/desired/monitoring/rules/render.ts";

/** What promtool said; `isOk` is its exit code. */
export type Verdict = { readonly isOk: boolean; readonly output: string };

/** A file for `promtool test rules`, without its `rule_files`: those are `groups`. Times are as promtool writes them (`5m`). */
export type RuleTests = {
  readonly evaluation_interval?: string;
  readonly tests: readonly Readonly<Record<string, unknown>>[];
};

/** `promtool check rules`: names, expressions, templates, durations. */
export const checkRules = (groups: readonly RenderedGroup[]): Promise<Verdict> =>
  withFolder(async (folder) => {
    const file = await writeRules(folder, groups);
    return await promtool(["check", "rules", file]);
  });

/** `promtool test rules`: series in, alerts out. */
export const testRules = (groups: readonly RenderedGroup[], tests: RuleTests): Promise<Verdict> =>
  withFolder(async (folder) => {
    await writeRules(folder, groups);
    const file = join(folder, "tests.json"); // JSON is YAML
    await writeFile(file, JSON.stringify({ rule_files: ["rules.json"], ...tests }));
    return await promtool(["test", "rules", file]);
  });

/** `promtool check metrics` over a scrape: names, units, help, types. */
export const checkMetrics = (scrape: string): Promise<Verdict> => promtool(["check", "metrics"], scrape);

/** Any promtool command, with `input` to read; stdout and stderr in one text. */
export async function promtool(args: readonly string[], input = ""): Promise<Verdict> {
  const child = Bun.spawn(["promtool", ...args], { stdin: new Blob([input]), stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  return { isOk: code === 0, output: `${out}${err}`.trim() };
}

async function writeRules(folder: string, groups: readonly RenderedGroup[]): Promise<string> {
  const file = join(folder, "rules.json");
  await writeFile(file, JSON.stringify({ groups }));
  return file;
}

/** A folder that is gone when `act` is done. */
export async function withFolder<T>(act: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-promtool-"));
  try {
    return await act(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

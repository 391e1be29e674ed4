// Why: runs cases of Autobahn|Testsuite against a server and reads the verdicts. It must never interpret one: a case that
// did not run is no case that passed.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../../scripts/host/command.ts";
import type { AutobahnHome } from "./home.ts";

/** The suite's own words; `NON-STRICT` is allowed by the specification, but later or otherwise than the suite prefers. `UNIMPLEMENTED`: an offer was declined. */
export type Verdict = "OK" | "NON-STRICT" | "INFORMATIONAL" | "UNIMPLEMENTED" | "FAILED" | "WRONG CODE" | "UNCLEAN" | "FAILED BY CLIENT";

/** `id` as Autobahn numbers it, `6.4.1`. `close`: how the closing handshake went. */
export type CaseResult = { readonly id: string; readonly verdict: Verdict; readonly close: Verdict };

/** Both verdicts are ones that a conforming server may have. An offer of compression may be declined, nothing else. */
export const isAccepted = ({ id, verdict, close }: CaseResult): boolean =>
  ACCEPTED.has(close) && (ACCEPTED.has(verdict) || (verdict === "UNIMPLEMENTED" && id.startsWith("13.")));
const ACCEPTED: ReadonlySet<Verdict> = new Set<Verdict>(["OK", "NON-STRICT", "INFORMATIONAL"]);

/**
 * @param cases numbers with stars, `6.*`
 * @returns one result per case that ran, in order of number
 * @throws Error when the suite breaks off or runs nothing
 */
export async function runCases(home: AutobahnHome & { ok: true }, url: string, cases: readonly string[]): Promise<readonly CaseResult[]> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-autobahn-"));
  try {
    const reports = join(folder, "reports");
    const spec = { outdir: reports, servers: [{ agent: "nexus", url }], cases, "exclude-cases": [], "exclude-agent-cases": {} };
    await Bun.write(join(folder, "spec.json"), JSON.stringify(spec));
    const launcher = join(import.meta.dir, "launch.py");
    const { code, stdout, stderr } = await run([home.python, "-B", launcher, home.packages, join(folder, "spec.json")]);
    if (code !== 0) throw new Error(`Autobahn|Testsuite broke off (${code}): ${stderr.trim() || stdout.trim().slice(-500)}`);
    return resultsOf(await Bun.file(join(reports, "index.json")).json());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type Index = Readonly<Record<string, Readonly<Record<string, { readonly behavior: Verdict; readonly behaviorClose: Verdict }>>>>;

/** `index.json` of a run, whose shape is the suite's. */
export function resultsOf(index: Index): readonly CaseResult[] {
  const results = Object.entries(index.nexus ?? {}).map(([id, { behavior, behaviorClose }]) => ({
    id,
    verdict: behavior,
    close: behaviorClose,
  }));
  if (results.length === 0) throw new Error("Autobahn|Testsuite ran no case");
  return results.sort((a, b) => compareIds(a.id, b.id));
}

/** By number, part by part: 6.9 before 6.10. */
export function compareIds(a: string, b: string): number {
  const [left, right] = [a, b].map((id) => id.split(".").map(Number));
  for (let part = 0; part < 3; part++) {
    const difference = (left?.[part] ?? 0) - (right?.[part] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

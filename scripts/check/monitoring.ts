// Why: what Prometheus, Grafana and a reader of runbooks are told must be true of what is exported. `npm run check` runs it.
import { join, resolve } from "node:path";
import { complaintsOf } from "./monitoring/check.ts";
import { loadWorld } from "./monitoring/load.ts";

/** Prints a line for each thing that is wrong. `root`: the tree whose pages are read. Whether nothing is. */
export async function checkMonitoring(root: string, print: (line: string) => void): Promise<boolean> {
  const complaints = complaintsOf(await loadWorld(root));
  for (const complaint of complaints) print(complaint);
  return complaints.length === 0;
}

// Another tree than this one may be named; the tests do.
if (import.meta.main) {
  const root = resolve(process.argv[2] ?? join(import.meta.dir, "../.."));
  process.exit((await checkMonitoring(root, (line) => process.stderr.write(`${line}\n`))) ? 0 : 1);
}

// Why: what Flux and Argo CD say of an object is asked of the code they run themselves, compiled from their own Go modules. It must
// never judge by itself.
import { ensureBinaries } from "./cluster/binaries.ts";

export type Verdict = { readonly status: string; readonly message: string };

/** Flux's verdict on each object (kstatus): InProgress, Current, Failed, Terminating. */
export async function kstatusOf(objects: readonly object[]): Promise<readonly Verdict[]> {
  const { kstatus } = await ensureBinaries(["kstatus"]);
  return await ask([kstatus], objects);
}

/** Argo CD's verdict on each object by one health.lua: Healthy, Progressing, Degraded, Suspended. */
export async function argoHealthOf(script: string, objects: readonly object[]): Promise<readonly Verdict[]> {
  const binaries = await ensureBinaries(["argo-lua"]);
  return await ask([binaries["argo-lua"], script], objects);
}

async function ask(argv: readonly string[], objects: readonly object[]): Promise<readonly Verdict[]> {
  const input = objects.map((object) => `${JSON.stringify(object)}\n`).join("");
  const child = Bun.spawn([...argv], { stdin: new TextEncoder().encode(input), stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw new Error(err.trim());
  return out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Verdict); // our own tool: one verdict a line
}

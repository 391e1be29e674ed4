// Why: dashboards are judged by Grafana's own library, not by our reading of its documents. It must never correct anything.
import { ensureBinaries } from "../cluster/binaries.ts";

/** What is wrong with each dashboard, in the library's words; "" when it would be taken. Builds the checker once (10 s). */
export async function complaintsOfGrafana(dashboards: readonly object[]): Promise<readonly string[]> {
  const { "grafana-dashboard": checker } = await ensureBinaries(["grafana-dashboard"]);
  const input = new Blob(dashboards.map((one) => `${JSON.stringify(one)}\n`));
  const child = Bun.spawn([checker], { stdin: input, stdout: "pipe", stderr: "pipe" });
  const [code, out, error] = await Promise.all([child.exited, new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if (code !== 0) throw new Error(`the checker ended with ${code}: ${error}`);
  const lines = out.split("\n").filter((line) => line !== "");
  return lines.map((line) => (JSON.parse(line) as { error: string }).error); // our own program: one verdict a line
}

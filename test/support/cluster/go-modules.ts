// Why: what tests take from Go modules is pinned by the go.mod and go.sum of a folder in `test/tools`. One place reads those and
// knows whether this machine's Go can use them. It must never download anything itself, a newer Go least of all.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { TOOL_MODULES } from "./tools.ts";

/** Go's environment for every run of it: no settings of the user, no other Go than this one. */
export const goEnvironment = (): Record<string, string | undefined> => ({
  ...process.env,
  ...{ CGO_ENABLED: "0", GOFLAGS: "", GOTOOLCHAIN: "local", GOWORK: "off" },
});

/** The version of `required` in the go.mod of `folder`, as it is written there. @throws Error when it is not required there */
export function moduleVersion(folder: string, required: string): string {
  const line = textOf(folder, "go.mod")
    .split("\n")
    .find((candidate) =>
      candidate
        .replace(/^require/, "")
        .trim()
        .startsWith(`${required} v`),
    );
  const version = line && /\sv\d+\.\d+\.\d+\S*/.exec(line)?.[0].trim();
  if (!version) throw new Error(`test/tools/${folder}/go.mod does not require ${required}`);
  return version;
}

/** The sum of a module's content in the go.sum of `folder`. @throws Error when it is not pinned there */
export function moduleSum(folder: string, required: string): string {
  const start = `${required} ${moduleVersion(folder, required)} h1:`;
  const line = textOf(folder, "go.sum")
    .split("\n")
    .find((candidate) => candidate.startsWith(start));
  if (line === undefined) throw new Error(`test/tools/${folder}/go.sum does not pin ${required}`);
  return line.slice(start.length - "h1:".length);
}

/** What is wrong with the Go installation for these folders, as the end of a sentence; undefined when nothing is. */
export function goProblem(folders: readonly string[]): string | undefined {
  const wanted = [...new Set(folders)].map(goDirective).sort(Bun.semver.order).at(-1);
  if (!wanted || !Bun.which("go")) return `Go is not on PATH (install Go ${wanted} or newer)`;
  const { stdout } = Bun.spawnSync(["go", "env", "GOVERSION"], { env: { ...process.env, GOTOOLCHAIN: "local" } });
  const found = /\d+(\.\d+)*/.exec(stdout.toString())?.[0] ?? "0";
  const padded = [...found.split("."), "0", "0"].slice(0, 3).join(".");
  return Bun.semver.order(padded, wanted) < 0 ? `Go ${found} is too old (Go ${wanted} or newer is needed; none is downloaded)` : undefined;
}

const goDirective = (folder: string): string => /^go (\S+)$/m.exec(textOf(folder, "go.mod"))?.[1] ?? "0.0.0";

const textOf = (folder: string, file: string): string => readFileSync(join(TOOL_MODULES, folder, file), "utf8");

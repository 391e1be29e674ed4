// Why: a command is copied from a page and run; a flag that does not exist ends it with 2 at the worst moment. The commands of all
// pages are compared with what `nexus help` says of each.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { COMMAND_NAMES, main } from "@nexus/cli/main.ts";
import { readPages } from "../../scripts/check/monitoring/load.ts";
import { fencesOf } from "../../scripts/check/monitoring/page.ts";

type Call = { readonly path: string; readonly command: string; readonly flags: readonly string[]; readonly line: string };

/** `nexus` and `kubectl nexus` in blocks, at the start of a line or of a step in it, and in backticks; up to a remark or a pipe. */
function callsIn(path: string, text: string): readonly Call[] {
  const lines = fencesOf(text)
    .filter(({ language }) => language === "sh")
    .flatMap(({ text: block }) => block.replaceAll("\\\n", " ").split("\n"));
  const spans = [...text.replace(/^ *```[\s\S]*?^ *```/gm, "").matchAll(/`((?:kubectl )?nexus [^`]+)`/g)].map(([, span = ""]) => span);
  return [...lines, ...spans].flatMap((line) =>
    [...line.matchAll(/(?:^|&&|\||\$\(|=)\s*(?:kubectl nexus|nexus|npm run(?: --silent)? nexus --) ([a-z-]+)([^|&#>;)]*)/g)].map(
      ([, command = "", rest = ""]) => ({
        ...{ path, command, line },
        flags: rest
          .replaceAll(/"[^"]*"|'[^']*'/g, "x")
          .split(/\s+/)
          .filter((word) => /^--?[a-z]/i.test(word))
          .map((word) => word.split("=")[0] ?? word),
      }),
    ),
  );
}

async function helpOf(command: string): Promise<string> {
  const lines: string[] = [];
  const say = (text: string) => void lines.push(text);
  await main(["help", command], { out: say, err: say, env: {}, colour: false, program: "nexus", input: async () => "" });
  return lines.join("\n");
}

const pages = await readPages(join(import.meta.dir, "../.."));
const calls = [...pages].flatMap(([path, text]) => callsIn(path, text));
/** Processes with a flag for every setting; the reference of settings is generated. */
const PROCESSES = ["server", "operator", "dev"];

test("every command and flag that a page tells to type is known to nexus help", async () => {
  expect(calls.filter(({ path }) => path.startsWith("docs/runbooks/")).length).toBeGreaterThan(50);
  const helps = new Map<string, string>();
  for (const command of new Set(calls.map((call) => call.command)))
    if (COMMAND_NAMES.includes(command) && !PROCESSES.includes(command)) helps.set(command, await helpOf(command));
  const wrong = calls.flatMap(({ path, command, flags, line }) => {
    if (![...COMMAND_NAMES, "help"].includes(command)) return [`${path}: ${line.trim()}: there is no ${command}`];
    const help = helps.get(command);
    if (help === undefined) return [];
    return flags
      .filter((flag) => !new RegExp(`(^|[\\s,])${flag}\\b`).test(help))
      .map((flag) => `${path}: ${line.trim()}: ${command} has no ${flag}`);
  });
  expect(wrong).toEqual([]);
});

test("a command or a flag that does not exist would be seen", () => {
  const text = "```sh\nKEY=x && kubectl nexus status -A --chek   # all\nnexus heal | cat -n\nkubectl get pods -A\n```\n";
  expect(callsIn("a.md", text).map(({ command, flags }) => ({ command, flags }))).toEqual([
    { command: "status", flags: ["-A", "--chek"] },
    { command: "heal", flags: [] },
  ]);
});

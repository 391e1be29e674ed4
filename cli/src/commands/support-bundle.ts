// Why: one file with everything somebody needs who helps and cannot look into the cluster, and nothing that opens a door. It must
// never write to the cluster, and never put a secret into the file.
import { writeFile } from "node:fs/promises";
import { version } from "../../package.json" with { type: "json" };
import { command, UsageError, wholeNumber } from "../command.ts";
import { KUBE_OPTIONS, withCluster } from "../kube/connect.ts";
import { type Collected, collect } from "../support/collect.ts";
import { tarOf } from "../support/tar.ts";

const MAX_LOG_BYTES = 1024 * 1024;
const MAX_PODS = 30;

export const supportBundle = command(
  {
    line: "support-bundle [flags]",
    about:
      "Collects our objects of a namespace, what the operator made of them, events, logs, metrics and versions into one .tar.gz, for an\nerror report. Content of Secrets, keys, tokens, passwords and values of variables are left out or taken out; README.txt in it says\nwhat. Look through it before you hand it on: notification templates are in it as they are.",
    options: [
      ...KUBE_OPTIONS,
      { name: "--output", short: "-o", value: "FILE", about: "Where to write it (nexus-support-<namespace>-<time>.tar.gz)." },
      { name: "--log-lines", value: "N", about: "Last lines of each log (2000)." },
    ],
    examples: ["support-bundle -n shop", "support-bundle -n shop -o report.tar.gz --log-lines 500"],
  },
  async (args, io) => {
    const lines = wholeNumber(args, "--log-lines", { least: 1, most: 100_000, fallback: 2000 });
    return await withCluster(args, io, async (connection) => {
      const nowMs = Date.now();
      const stamp = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
      const root = `nexus-support-${connection.namespace}-${stamp}`;
      const file = args.get("--output") ?? `${root}.tar.gz`;
      const collected = await collect(connection, {
        nowMs,
        cliVersion: version,
        logs: { lines, maxBytes: MAX_LOG_BYTES, maxPods: MAX_PODS },
      });
      const files = [{ path: "README.txt", text: readme(collected, connection.namespace) }, ...collected.files];
      const archive = tarOf(
        files.map(({ path, text }) => ({ path: `${root}/${path}`, text })),
        Math.floor(nowMs / 1000),
      );
      await writeFile(file, Bun.gzipSync(new Uint8Array(archive)), { mode: 0o600 }).catch((error: unknown) => {
        throw new UsageError(`--output: cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`);
      });
      for (const what of collected.leftOut) io.err(`left out: ${what}`);
      io.out(`${file}: ${files.length} files, ${collected.redactions} secrets taken out. Look through it before you hand it on.`);
      return 0;
    });
  },
);

/** What is in the bundle, and what is not. */
function readme({ files, leftOut, redactions }: Collected, namespace: string): string {
  const list = (items: readonly string[]) => (items.length === 0 ? ["  nothing"] : items.map((item) => `  ${item}`));
  return [
    `Support bundle of namespace ${namespace}, by nexus ${version}.`,
    "",
    "In it:",
    ...list(files.map(({ path }) => path)),
    "",
    "Left out:",
    ...list(leftOut),
    "  managedFields and last-applied-configuration of every object",
    "  values of variables that the operator does not set",
    "",
    `Taken out: ${redactions} times something that is a secret, or looks like one, was replaced by <redacted>.`,
    "",
  ].join("\n");
}

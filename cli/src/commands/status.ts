// Why: one look tells whether a fleet is well, and a look that goes on tells when it becomes so. It must never write.
import { command, oneOf, UsageError } from "../command.ts";
import { KUBE_OPTIONS, withCluster } from "../kube/connect.ts";
import { isReady } from "../kube/objects.ts";
import { all, look, overviewText, summary } from "../status/overview.ts";
import { lineView, screenView } from "../status/views.ts";
import { watchStatus } from "../status/watch.ts";

export const status = command(
  {
    line: "status [CLUSTER] [flags]",
    about:
      "Shows clusters, tenants and the templates that are not Ready, of one namespace or of all. With CLUSTER only that one and what belongs\nto it, wherever it is. Ends with 0; with --check it ends with 1 when anything shown is not Ready.\nWith --watch it goes on: a terminal is drawn again at every change, anything else gets a line for each. Ctrl-C ends it with 0.",
    options: [
      ...KUBE_OPTIONS,
      { name: "--all-namespaces", short: "-A", about: "Of every namespace." },
      { name: "--output", short: "-o", value: "FORMAT", about: "text (default) or json; with --watch one document a line." },
      { name: "--check", about: "End with 1 when anything is not Ready, for scripts." },
      { name: "--watch", short: "-w", about: "Go on showing what changes, until Ctrl-C." },
    ],
    examples: ["status", "status -A", "status live -n shop --watch", "status live -n shop --check"],
    words: "CLUSTER",
  },
  async (args, io) => {
    const [name, ...rest] = args.words;
    if (rest.length > 0) throw new UsageError(`${rest[0]}: only one CLUSTER`);
    if (name !== undefined && args.has("--all-namespaces")) throw new UsageError("--all-namespaces: does not go with a CLUSTER");
    if (args.has("--watch") && args.has("--check")) throw new UsageError("--check: does not go with --watch, which has no end to judge");
    const format = oneOf(args, "--output", ["text", "json"], "text");
    const scope = { name, isEverywhere: args.has("--all-namespaces") };
    return await withCluster(args, io, async (connection) => {
      const overview = await look(connection, scope);
      if (name !== undefined && overview.clusters.length === 0) {
        io.err(`nexus: NexusCluster ${connection.namespace}/${name} does not exist`);
        return 1;
      }
      if (args.has("--watch")) {
        const view = io.screen && format === "text" ? screenView(io.screen) : lineView(io, format);
        await untilSignal((signal) => watchStatus(connection, scope, { view, signal }));
        if (io.screen) io.out(""); // the shell goes on below
        return 0;
      }
      io.out(format === "json" ? JSON.stringify(all(overview).map(summary), undefined, 2) : overviewText(overview, Date.now()));
      return args.has("--check") && !all(overview).every(isReady) ? 1 : 0;
    });
  },
);

/** Ctrl-C is how a person ends it, SIGTERM how a script does, and a reader that left wants no more. */
async function untilSignal(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const ended = new AbortController();
  const end = () => ended.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, end);
  process.stdout.once("error", end);
  try {
    await work(ended.signal);
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, end);
    process.stdout.off("error", end);
  }
}

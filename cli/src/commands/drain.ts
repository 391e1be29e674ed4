// Why: a server pod is emptied the way Kubernetes does it, by an eviction that respects the PodDisruptionBudget; the server then
// sends its sessions away at an even rate. This asks for it, one pod after another, and waits. It must never delete a pod.
import { command, UsageError, wholeNumber } from "../command.ts";
import { drainPods, serverPods } from "../drain/drain.ts";
import { KUBE_OPTIONS, withCluster } from "../kube/connect.ts";

export const drain = command(
  {
    line: "drain (POD… | --node NODE) [flags]",
    about:
      "Empties server pods gently: evicts one after another within the PodDisruptionBudget, waits until its sessions are gone and the fleet is\nwhole again, then the next. With --node all server pods of a node, in every namespace one may see; cordon it first.\nEnds with 0 when all are drained, with 1 when not in time or refused, with 2 when called wrongly. Ctrl-C stops after the present pod.",
    options: [
      ...KUBE_OPTIONS,
      { name: "--node", value: "NODE", about: "All server pods of this node." },
      { name: "--timeout", value: "SECONDS", about: "For each pod (900)." },
      { name: "--dry-run", about: "Only say which pods would be drained, and whether they may be now." },
    ],
    examples: ["drain live-server-7d9c5b6f4-x2x7p -n shop", "drain --node worker-3 --timeout 1800", "drain --node worker-3 --dry-run"],
    words: "POD",
  },
  async (args, io) => {
    const node = args.get("--node");
    if ((node === undefined) === (args.words.length === 0)) throw new UsageError("POD, or --node: exactly one of them");
    const timeoutMs = wholeNumber(args, "--timeout", { least: 1, most: 86_400, fallback: 900 }) * 1000;
    return await withCluster(args, io, async (connection) => {
      const found = await serverPods(connection, node === undefined ? { names: args.words } : { node });
      for (const problem of found.problems) io.err(`nexus: ${problem}`);
      if (found.problems.length > 0) return 1;
      if (found.pods.length === 0) {
        io.out("No server pod is there to be drained.");
        return 0;
      }
      return await drainPods(connection, found.pods, { timeoutMs, isDryRun: args.has("--dry-run"), say: io.err, done: io.out });
    });
  },
);

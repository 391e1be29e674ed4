// Why: before anything is applied, a person or a pipeline knows what it would change and whether pods are replaced. It must never
// write: every request is a read or a dry run.
import { command, oneOf, UsageError } from "../command.ts";
import { readFileSet, remarks } from "../files/set.ts";
import { KUBE_OPTIONS, withCluster } from "../kube/connect.ts";
import { operatorContext } from "../plan/operator-context.ts";
import { changesAnything, planResource, planText, type ResourcePlan } from "../plan/plan.ts";

export const plan = command(
  {
    line: "plan PATH… [flags]",
    about:
      "Compares files with a cluster and says what applying them would change: each object field by field, as the API server would have it\n(a dry run), what becomes of the fleet's Deployment, Services and the like, and whether pods are replaced or the change is live.\nNothing is written. Ends with 0 when nothing would change, with 2 when something would, with 1 when it cannot be said.",
    options: [
      ...KUBE_OPTIONS,
      { name: "--output", short: "-o", value: "FORMAT", about: "text (default) or json." },
      { name: "--field-manager", value: "NAME", about: "Who will apply, server-side; absent: as the object was applied before." },
      { name: "--server-image", value: "IMAGE", about: "The operator's image of the servers; absent: read from its Deployment." },
      { name: "--redis-image", value: "IMAGE", about: "The operator's image of a managed Redis; absent: read from its Deployment." },
      { name: "--operator-id", value: "ID", about: "The operator's id; absent: read from its Deployment." },
    ],
    examples: ["plan deploy/ -n shop", "plan --context staging -o json cluster.yaml", "plan - < cluster.yaml || test $? = 2"],
    words: "PATH",
    wrongCall: 1,
  },
  async (args, io) => {
    if (args.words.length === 0) throw new UsageError("PATH: at least one file or folder");
    const format = oneOf(args, "--output", ["text", "json"], "text");
    return await withCluster(args, io, async (connection) => {
      const set = await readFileSet(args.words, { namespace: connection.namespace, input: io.input });
      for (const remark of remarks(set)) io.err(remark);
      if (set.problems.length > 0) return 1;
      const { context, note } = await operatorContext(connection, args);
      if (note !== undefined && set.placed.some(({ resource }) => resource.kind === "NexusCluster")) io.err(`nexus: ${note}`);
      const manager = args.get("--field-manager");
      const plans: ResourcePlan[] = [];
      for (const placed of set.placed) plans.push(await planResource(connection, placed, { context, manager }));
      io.out(format === "json" ? JSON.stringify(plans, undefined, 2) : planText(plans));
      if (plans.some(({ refused }) => refused !== undefined)) return 1;
      return plans.some(changesAnything) ? 2 : 0;
    });
  },
);

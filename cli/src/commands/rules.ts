// Why: who has Prometheus without prometheus-operator gets the same rules as everybody else, as a rule file. It must never ask a
// cluster: the rules of a fleet follow from its spec alone.
import { clusterRules } from "@nexus/operator/desired/monitoring/rules/cluster.ts";
import type { RuleGroup } from "@nexus/operator/desired/monitoring/rules/model.ts";
import { operatorRules } from "@nexus/operator/desired/monitoring/rules/operator.ts";
import { renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import { command, UsageError } from "../command.ts";
import { readFileSet, remarks } from "../files/set.ts";
import { writeYaml } from "../files/write.ts";

/** A rule file has no two groups of one name. */
const named = (owner: string, groups: readonly RuleGroup[]): readonly RuleGroup[] =>
  groups.map((group) => ({ ...group, name: `${owner}/${group.name}` }));

export const rules = command(
  {
    line: "rules [PATH…] [flags]",
    about:
      "Prints the recording rules and alerts of the NexusClusters in files as one rule file for a Prometheus without prometheus-operator.\nIts series need the labels namespace, nexus_cluster and pod (docs/monitoring.md). Same files, same bytes.\nEnds with 0, with 1 when a file is wrong, with 2 when called wrongly.",
    options: [
      { name: "--namespace", short: "-n", value: "NAME", about: "Where clusters belong that name no namespace (default)." },
      { name: "--operator-job", value: "JOB", about: "Print the rules about the operator, too, whose series have this label job." },
      { name: "--runbook-base-url", value: "URL", about: "Where the pages about alerts are published, as the operator's own flag." },
    ],
    examples: ["rules deploy/ > /etc/prometheus/rules/nexus.yaml", "rules --operator-job nexus-system/nexus-operator deploy/"],
    words: "PATH",
  },
  async (args, io) => {
    const job = args.get("--operator-job");
    if (args.words.length === 0 && job === undefined) throw new UsageError("PATH: at least one file or folder, or --operator-job");
    const set = await readFileSet(args.words, { namespace: args.get("--namespace") ?? "default", input: io.input });
    for (const remark of remarks(set)) io.err(remark);
    if (set.problems.length > 0) return 1;
    const clusters = set.placed.flatMap(({ resource }) => (resource.kind === "NexusCluster" ? [resource] : []));
    if (clusters.length === 0 && job === undefined) throw new UsageError("PATH: no NexusCluster in these files");
    const groups = [
      ...clusters.flatMap((cluster) => named(`${cluster.metadata.namespace}/${cluster.metadata.name}`, clusterRules(cluster))),
      ...(job === undefined ? [] : named(job, operatorRules({ job }))),
    ];
    io.out(writeYaml([{ groups: renderGroups(groups, args.get("--runbook-base-url")) }]).trimEnd());
    return 0;
  },
);

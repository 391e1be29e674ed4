// Why: who has Grafana without its sidecar gets the same dashboards as everybody else, as files for its provisioning. It must never
// ask a cluster, and never write anything but those files.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { clusterDashboardFiles, fixedDashboardFiles } from "@nexus/operator/desired/monitoring/dashboards/sets.ts";
import { command, UsageError } from "../command.ts";
import { readFileSet, remarks } from "../files/set.ts";

export const dashboards = command(
  {
    line: "dashboards --folder FOLDER [PATH…] [flags]",
    about:
      "Writes Grafana dashboards into FOLDER: those of all clusters and of the operator, and the pages of each NexusCluster in files.\nThe names of the files do not change, and what they held is replaced: they are generated. Same files, same bytes.\nEnds with 0, with 1 when a file is wrong, with 2 when called wrongly.",
    options: [
      { name: "--folder", value: "FOLDER", about: "Where Grafana's file provisioning looks; made when it is not there." },
      { name: "--namespace", short: "-n", value: "NAME", about: "Where clusters belong that name no namespace (default)." },
      { name: "--runbook-base-url", value: "URL", about: "Where the pages about alerts are published, as the operator's own flag." },
    ],
    examples: [
      "dashboards --folder /var/lib/grafana/dashboards/nexus deploy/",
      "dashboards --folder . --runbook-base-url https://wiki.example/nexus",
    ],
    words: "PATH",
  },
  async (args, io) => {
    const folder = args.get("--folder");
    if (folder === undefined) throw new UsageError("--folder: say where to write");
    const set = await readFileSet(args.words, { namespace: args.get("--namespace") ?? "default", input: io.input });
    for (const remark of remarks(set)) io.err(remark);
    if (set.problems.length > 0) return 1;
    const clusters = set.placed.flatMap(({ resource }) => (resource.kind === "NexusCluster" ? [resource] : []));
    if (clusters.length === 0 && args.words.length > 0) throw new UsageError("PATH: no NexusCluster in these files");
    const runbooks = args.get("--runbook-base-url");
    const files = [fixedDashboardFiles(runbooks), ...clusters.map((cluster) => clusterDashboardFiles(cluster, runbooks))].flatMap(
      Object.entries<string>,
    );
    await mkdir(folder, { recursive: true });
    for (const [name, text] of files) {
      const path = join(folder, name);
      await Bun.write(path, text);
      io.out(path);
    }
    return 0;
  },
);

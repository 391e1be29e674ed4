// Why: what the operator makes of files can be read before anything is applied: reviewed, compared with the last release,
// scanned. It must never ask a cluster, and never show a Secret's content.
import { DEFAULT_IMAGE } from "@nexus/operator/options.ts";
import { command, UsageError } from "../command.ts";
import { readFileSet, remarks } from "../files/set.ts";
import { writeYaml } from "../files/write.ts";
import { renderObjects } from "../render/objects.ts";
import { OPERATOR_LABELS } from "../render/operator-labels.ts";

export const render = command(
  {
    line: "render PATH… [flags]",
    about:
      "Prints every object the operator would make of NexusCluster, Tenant and Template files, as YAML, with the same code. Secrets have\nplaceholders. Secrets that the files name count as there, and so do optional kinds such as HTTPRoute and ScaledObject. Same files, same bytes.\nEnds with 0, with 1 when a file is wrong, with 2 when called wrongly.",
    options: [
      { name: "--namespace", short: "-n", value: "NAME", about: "Where objects belong that name no namespace (default)." },
      { name: "--server-image", value: "IMAGE", about: `Image of the servers, as the operator's own flag (${DEFAULT_IMAGE}).` },
      { name: "--redis-image", value: "IMAGE", about: "Image of a managed Redis, as the operator's own flag." },
      { name: "--runbook-base-url", value: "URL", about: "Where the pages about alerts are published, as the operator's own flag." },
      { name: "--operator-id", value: "ID", about: "Id of the operator, as its own flag (default)." },
      { name: "--operator-namespace", value: "NAME", about: "Where the operator runs, for NetworkPolicies (nexus-system)." },
    ],
    examples: [
      "render examples/quickstart",
      "render deploy/ > rendered.yaml",
      "render --server-image registry.example.com/nexus:0.2.0 deploy/ | diff rendered.yaml -",
    ],
    words: "PATH",
  },
  async (args, io) => {
    if (args.words.length === 0) throw new UsageError("PATH: at least one file or folder");
    const set = await readFileSet(args.words, { namespace: args.get("--namespace") ?? "default", input: io.input });
    for (const remark of remarks(set)) io.err(remark);
    if (set.problems.length > 0) return 1;
    const redisImage = args.get("--redis-image");
    const runbookBaseURL = args.get("--runbook-base-url");
    const context = {
      operatorId: args.get("--operator-id") ?? "default",
      defaultImage: args.get("--server-image") ?? DEFAULT_IMAGE,
      ...(redisImage === undefined ? {} : { redisImage }),
      ...(runbookBaseURL === undefined ? {} : { runbookBaseURL }),
      operatorPods: { namespace: args.get("--operator-namespace") ?? "nexus-system", labels: OPERATOR_LABELS },
    };
    const { objects, notes } = await renderObjects(
      set.placed.map(({ resource }) => resource),
      context,
    );
    for (const note of notes) io.err(`nexus: not rendered: ${note}`);
    if (objects.length > 0) io.out(writeYaml(objects).trimEnd());
    return 0;
  },
);

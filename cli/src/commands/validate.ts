// Why: a mistake in a file is found before it reaches a cluster, with the verdict an API server and the operator would give. It
// says what it cannot judge, and never calls a file good that it did not understand. It must never ask a cluster.
import { command, oneOf, UsageError } from "../command.ts";
import { type Finding, FORMATS, githubLine, jsonReport, summaryLine, textLine } from "../files/report.ts";
import { readFileSet } from "../files/set.ts";

export const validate = command(
  {
    line: "validate PATH… [flags]",
    about:
      "Checks NexusCluster, Tenant and Template objects in YAML or JSON files, without a cluster: fields, types, bounds, the rules between\nfields, references between the objects, ids, and that Liquid templates compile. A PATH is a file, a folder, or - for standard input. Folders named\ntestdata are read only when given by name.\nWhat needs the cluster is the API server's and the operator's to say: ids that may not change, Secrets.\nEnds with 0 when nothing is wrong, 1 when something is, 2 when called wrongly.",
    options: [
      { name: "--output", short: "-o", value: "FORMAT", about: "text (default), json, or github: annotations of a pull request." },
      { name: "--namespace", short: "-n", value: "NAME", about: "Where objects belong that name no namespace (default)." },
      { name: "--strict", about: "Warnings count as problems: every reference has to lead to an object in these files." },
    ],
    examples: ["validate examples/quickstart", "validate --output github deploy/", "validate - < tenant.yaml"],
    words: "PATH",
  },
  async (args, io) => {
    if (args.words.length === 0) throw new UsageError("PATH: at least one file or folder");
    const format = oneOf(args, "--output", FORMATS, "text");
    const set = await readFileSet(args.words, { namespace: args.get("--namespace") ?? "default", input: io.input });
    const warned: Finding["severity"] = args.has("--strict") ? "error" : "warning";
    const findings: Finding[] = [
      ...set.problems.map((problem) => ({ severity: "error" as const, ...problem })),
      ...set.warnings.map((problem) => ({ severity: warned, ...problem })),
    ];
    const totals = { objects: set.ours, files: set.fileCount, others: set.others.length, leftOut: set.leftOut };
    if (format === "json") io.out(jsonReport(findings, totals));
    else {
      for (const finding of findings) format === "github" ? io.out(githubLine(finding)) : io.err(textLine(finding));
      io.out(summaryLine(findings, totals));
    }
    return findings.some(({ severity }) => severity === "error") ? 1 : 0;
  },
);

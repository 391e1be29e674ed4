// Why: a mistake in a file is found before it reaches a cluster. It says what it cannot judge, and never calls a file good
// that it did not understand.
import { payloadComplaint } from "@nexus/operator/desired/payload.ts";
import type { Complaint } from "@nexus/protocol/resources/rules.ts";
import { checkResource, isOurs } from "@nexus/protocol/resources/schema.ts";
import { command, UsageError } from "../command.ts";
import { type LoadedObject, loadFiles, type Problem, problemText } from "../files/load.ts";

export const validate = command(
  {
    line: "validate PATH…",
    about:
      "Checks NexusCluster, Tenant and Template objects in YAML files: fields, types, bounds, defaults, the rules between fields, and that Liquid templates compile.\nWhat needs the cluster is the API server's and the operator's to say: ids that may not change, references, Secrets.",
    options: [],
    words: "PATH",
  },
  async (args, io) => {
    if (args.words.length === 0) throw new UsageError("PATH: at least one file or folder");
    const loaded = await loadFiles(args.words);
    const ours = loaded.objects.filter(({ value }) => isOurs(value));
    const problems: Problem[] = [...loaded.problems, ...ours.flatMap(complaintsAbout), ...twice(ours)];
    for (const problem of problems) io.err(problemText(problem));
    const others = loaded.objects.length - ours.length;
    io.out(
      `${ours.length} ${ours.length === 1 ? "object" : "objects"} in ${loaded.files.length} ${loaded.files.length === 1 ? "file" : "files"}, ${problems.length} ${problems.length === 1 ? "problem" : "problems"}${others > 0 ? `; ${others} of other kinds not looked at` : ""}. References, Secrets and ids that may not change were not checked.`,
    );
    return problems.length > 0 ? 1 : 0;
  },
);

/** What the schema says about one object, and what the operator would say of a template's payloads, with lines. */
export function complaintsAbout({ value, file, line }: LoadedObject): readonly Problem[] {
  const problem = ({ path, message }: Complaint): Problem => ({
    file,
    line: line(path),
    message: path === "" ? message : `${path}: ${message}`,
  });
  const checked = checkResource(value);
  if (!checked.ok) return checked.complaints.map(problem);
  // The quota of bytes is the tenant's, which may be in another file.
  const complaint = checked.resource.kind === "Template" ? payloadComplaint(checked.resource.spec, Number.POSITIVE_INFINITY) : undefined;
  return complaint ? [problem(complaint)] : [];
}

function twice(objects: readonly LoadedObject[]): readonly Problem[] {
  const seen = new Map<string, LoadedObject>();
  return objects.flatMap((object) => {
    const id = identityOf(object.value);
    const first = id === undefined ? undefined : seen.get(id);
    if (id !== undefined && !first) seen.set(id, object);
    return first
      ? [
          {
            file: object.file,
            line: object.line("metadata.name"),
            message: `${id} is in ${first.file}:${first.line("metadata.name")} already`,
          },
        ]
      : [];
  });
}

/** `Tenant default/acme`; undefined when the object does not say. */
export function identityOf(value: Record<string, unknown>): string | undefined {
  const { kind, metadata } = value;
  if (typeof kind !== "string" || typeof metadata !== "object" || metadata === null || !("name" in metadata)) return undefined;
  const namespace = "namespace" in metadata && typeof metadata.namespace === "string" ? metadata.namespace : "default";
  return `${kind} ${namespace}/${String(metadata.name)}`;
}

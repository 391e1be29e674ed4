// Why: the first files of a new user are right, have his names in them, and lie where he wants them. It must never write over a
// file unless told to, and never write half of them.
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { CLUSTER_NAME_PATTERN, DNS_LABEL_PATTERN } from "@nexus/protocol/resources/names.ts";
import type { Arguments } from "../args.ts";
import { command, oneOf, UsageError } from "../command.ts";
import { EXAMPLE_NAMES, STARTERS, starterFiles } from "../init/starters.ts";

export const init = command(
  {
    line: "init [FOLDER] [flags]",
    about:
      "Writes a NexusCluster, a Tenant and a Template to start from, with a kustomization, into FOLDER (default: nexus). They run with\nnexus dev FOLDER and with kubectl apply -k FOLDER. A file that is there already is never written over without --force.",
    options: [
      {
        name: "--from",
        value: "EXAMPLE",
        about: "quickstart (default): one pod in memory; production: Redis, autoscaling, ingress, limits.",
      },
      { name: "--cluster", value: "NAME", about: "Name of the NexusCluster." },
      { name: "--tenant", value: "NAME", about: "Name of the Tenant, which is your application." },
      { name: "--namespace", short: "-n", value: "NAME", about: "Namespace of all of it." },
      { name: "--force", about: "Write over files that are there." },
    ],
    examples: ["init", "init deploy --tenant shop", "init deploy --from production --cluster live --tenant shop -n shop"],
    words: "FOLDER",
  },
  async (args, io) => {
    const [folder = "nexus", ...rest] = args.words;
    if (rest.length > 0) throw new UsageError(`${rest[0]}: only one FOLDER`);
    const from = oneOf(args, "--from", STARTERS, "quickstart");
    const example = EXAMPLE_NAMES[from];
    const files = starterFiles(from, {
      cluster: clusterOf(args) ?? example.cluster,
      tenant: nameOf(args, "--tenant") ?? example.tenant,
      namespace: nameOf(args, "--namespace"),
    });
    const paths = Object.entries(files).map(([name, text]) => ({ path: join(folder, name), text }));
    const taken = args.has("--force")
      ? []
      : (await Promise.all(paths.map(async ({ path }) => ((await isThere(path)) ? [path] : [])))).flat();
    if (taken.length > 0) {
      for (const path of taken) io.err(`nexus: ${path}: is there already`);
      io.err("nexus: nothing was written; --force writes over them");
      return 1;
    }
    await mkdir(folder, { recursive: true });
    for (const { path, text } of paths) {
      await Bun.write(path, text);
      io.out(path);
    }
    io.err(`Next: ${io.program} dev ${folder}, or ${io.program} validate ${folder} and kubectl apply -k ${folder}`);
    return 0;
  },
);

function nameOf(args: Arguments, flag: string): string | undefined {
  const name = args.get(flag);
  if (name === undefined || new RegExp(DNS_LABEL_PATTERN).test(name)) return name;
  throw new UsageError(`${flag}: must be lower-case letters, digits and "-", at most 63, as Kubernetes names are`);
}

/** Shorter than other names: those of its pods and Services begin with it. */
function clusterOf(args: Arguments): string | undefined {
  const name = args.get("--cluster");
  if (name === undefined || new RegExp(CLUSTER_NAME_PATTERN).test(name)) return name;
  throw new UsageError('--cluster: must be at most 40 lower-case letters, digits and "-", and begin with a letter');
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw new UsageError(`${path}: ${error.message}`);
    },
  );

// Why: "why is this not Ready" has one answer at the end of a chain of references; this walks it. It must never write, and never
// show what is in a Secret.
import { command, oneOf, UsageError } from "../command.ts";
import { explainObject } from "../explain/chain.ts";
import { chainText, firstBroken } from "../explain/links.ts";
import { KUBE_OPTIONS, withCluster } from "../kube/connect.ts";
import { objectNamed, servedKind } from "../kube/objects.ts";
import { hint } from "../suggest.ts";

export const explain = command(
  {
    line: "explain KIND/NAME [flags]",
    about:
      "Says why a NexusCluster, Tenant or Template is not Ready: walks along its references down to pods, volumes, Secrets and events, names\nthe first broken link and what to do about it. Ends with 0 when it is Ready, with 1 when not.",
    options: [...KUBE_OPTIONS, { name: "--output", short: "-o", value: "FORMAT", about: "text (default) or json." }],
    examples: ["explain nexuscluster/live -n shop", "explain template/order-shipped", "explain nxt/acme -o json"],
    words: "KIND/NAME",
  },
  async (args, io) => {
    if (args.words.length === 0) throw new UsageError("KIND/NAME: is required, such as tenant/acme");
    const { kind, name } = objectNamed(args.words);
    const format = oneOf(args, "--output", ["text", "json"], "text");
    return await withCluster(args, io, async (connection) => {
      const found = await explainObject(connection, kind, name, Date.now());
      if (!found) {
        const { items } = await connection.api.list(servedKind(kind), { namespace: connection.namespace });
        const names = items.map(({ metadata }) => metadata.name);
        io.err(`nexus: ${kind} ${connection.namespace}/${name} does not exist${hint(name, names)}`);
        return 1;
      }
      const { about, isReady, links } = found;
      if (format === "text") io.out(chainText(about, links, isReady));
      else io.out(JSON.stringify({ about, ready: isReady, cause: isReady ? undefined : firstBroken(links), links }, undefined, 2));
      return isReady ? 0 : 1;
    });
  },
);

// Why: the settings page is written from the schema that parses them. Pure: schema in, Markdown out.
import { configFields } from "../../protocol/config.ts";
import { typeOf } from "./wire-reference.ts";

const HEADER = "<!-- Generated from protocol/config.ts by `npm run generate`. Do not edit. -->\n\n";

/** `docs/reference/configuration.md`. */
export function configReference(): string {
  const rows = configFields().map(({ env, flag, schema }) => {
    const fallback = schema.default === undefined ? "from the cluster" : `\`${JSON.stringify(schema.default)}\``;
    const range =
      schema.minimum === undefined ? "" : ` (${schema.minimum}${schema.maximum === undefined ? " or more" : ` to ${schema.maximum}`})`;
    return `| \`${env}\` | ${flag === undefined ? "none" : `\`${flag}\``} | ${typeOf(schema).replaceAll("|", "\\|")}${range} | ${fallback} | ${schema.description ?? ""} |`;
  });
  return [
    `${HEADER}# Settings of a server process\n`,
    "Order: defaults, then what the cluster's bundle says, then environment, then flags. In a cluster the operator sets what",
    "is needed; `limits` and `delivery` belong into the `NexusCluster`, where they take effect live. Here they override it for",
    "one process. An unknown name or a bad value stops the start with every complaint at once. A secret has no flag.\n",
    "| environment | flag | type | default | |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

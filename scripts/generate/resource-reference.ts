// Why: the reference of each custom resource is written from its schema. Pure: schema in, Markdown out.
import type { TSchema } from "@sinclair/typebox";
import { CONDITION_REASONS, CONDITION_TYPES } from "../../protocol/resources/conditions.ts";
import { API_VERSION, KINDS, type Kind } from "../../protocol/resources/names.ts";
import { type CelRule, rulesAt } from "../../protocol/resources/rules.ts";
import { SCHEMAS } from "../../protocol/resources/schema.ts";

const HEADER = "<!-- Generated from protocol/resources by `npm run generate`. Do not edit. -->\n\n";
const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function typeName(schema: TSchema): string {
  if (schema["x-kubernetes-int-or-string"]) return "integer or string";
  if (schema.enum) return schema.enum.map((value: string) => `\`${value}\``).join(", ");
  if (schema.type === "array") return `list of ${schema.items?.type ?? "values"}`;
  if (schema["x-kubernetes-preserve-unknown-fields"]) return schema.type === "object" ? "free object" : "any JSON";
  return schema.type ?? "any JSON";
}

function bounds(schema: TSchema): string {
  const { minimum, maximum, minLength, maxLength, maxItems } = schema;
  if (minimum !== undefined || (maximum !== undefined && maximum < 2147483647)) {
    return maximum === undefined || maximum === 2147483647 ? ` ≥ ${minimum}` : ` ${minimum ?? ""}–${maximum}`;
  }
  if (maxItems !== undefined) return `, at most ${maxItems}`;
  if (minLength !== undefined && maxLength !== undefined) return `, ${minLength}–${maxLength} characters`;
  return "";
}

type Row = { readonly path: string; readonly schema: TSchema; readonly required: boolean };

function rowsOf(schema: TSchema, path: string): readonly Row[] {
  const properties: Readonly<Record<string, TSchema>> = schema.properties ?? {};
  const required: readonly string[] = schema.required ?? [];
  return Object.entries(properties).flatMap(([name, field]) => {
    const here = path === "" ? name : `${path}.${name}`;
    const row = { path: here, schema: field, required: required.includes(name) && field.default === undefined };
    const inner = field.type === "array" ? rowsOf(field.items ?? {}, `${here}[]`) : rowsOf(field, here);
    return [row, ...inner];
  });
}

/** Every CEL rule below a schema, with the path it stands at. */
export function rulesOf(schema: TSchema, path: string): readonly (CelRule & { readonly path: string })[] {
  const own = rulesAt(schema);
  const properties: Readonly<Record<string, TSchema>> = schema.properties ?? {};
  const below = Object.entries(properties).flatMap(([name, field]) => rulesOf(field, `${path}.${name}`));
  const items = schema.items ? rulesOf(schema.items, `${path}[]`) : [];
  return [...own.map((rule) => ({ ...rule, path })), ...below, ...items];
}

const fallback = (schema: TSchema) =>
  schema.default === undefined || typeof schema.default === "object" ? "" : `\`${JSON.stringify(schema.default)}\``;

function fieldTable(schema: TSchema, path: string): string {
  const lines = rowsOf(schema, path).map(
    (row) =>
      `| \`${row.path}\`${row.required ? " **required**" : ""} | ${cell(typeName(row.schema))}${bounds(row.schema)} | ${fallback(row.schema)} | ${cell(row.schema.description ?? "")} |`,
  );
  return ["| field | type | default | |", "| --- | --- | --- | --- |", ...lines, ""].join("\n");
}

/** `docs/reference/<singular>.md`. */
export function resourceReference(kind: Kind): string {
  const { spec, status, rules, description } = SCHEMAS[kind];
  const { plural, shortName } = KINDS[kind];
  const all = [...rules.map((rule) => ({ ...rule, path: "object" })), ...rulesOf(spec, "spec")];
  const table = (entries: Readonly<Record<string, string>>) =>
    Object.entries(entries).map(([name, text]) => `| \`${name}\` | ${cell(text)} |`);
  return [
    `${HEADER}# ${kind}\n`,
    `${description} \`${API_VERSION}\`, namespaced; \`kubectl get ${plural}\`, short \`${shortName}\`.\n`,
    "## Spec\n",
    fieldTable(spec, ""),
    "## Rules between fields\n",
    ...all.map((rule) => `- \`${rule.path}\`: ${rule.message}.`),
    "",
    "## Status\n",
    fieldTable(status, ""),
    "## Conditions\n",
    "| type | |",
    "| --- | --- |",
    ...table(CONDITION_TYPES),
    "",
    "| reason | |",
    "| --- | --- |",
    ...table(CONDITION_REASONS),
    "",
  ].join("\n");
}

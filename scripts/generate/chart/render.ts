// Why: what Helm and people read, from the one schema of the values. Pure: schema in, text out.
import type { TSchema } from "@sinclair/typebox";
import { stringify } from "yaml";
import { GROUP, KINDS, type Kind } from "../../../protocol/resources/names.ts";
import { crd } from "../crd.ts";
import { CHART_VALUES } from "./values.ts";

const SOURCE = "Generated from scripts/generate/chart/values.ts by `npm run generate`. Do not edit.";
const toYaml = (value: unknown): string => stringify(value, { lineWidth: 0, version: "1.1", aliasDuplicateObjects: false });

type Row = { readonly path: readonly string[]; readonly schema: TSchema; readonly isGroup: boolean };

/** Every value, groups before what is in them, in the order of the schema. */
export function valueRows(schema: TSchema = CHART_VALUES, above: readonly string[] = []): readonly Row[] {
  const properties: Readonly<Record<string, TSchema>> = schema.properties ?? {};
  return Object.entries(properties).flatMap(([name, field]) => {
    const path = [...above, name];
    const isGroup = field.default === undefined;
    return [{ path, schema: field, isGroup }, ...(isGroup ? valueRows(field, path) : [])];
  });
}

/** `values.yaml`: every value with its default, and what it is for. */
export function valuesYaml(): string {
  const blocks = valueRows().map(({ path, schema, isGroup }) => {
    const indent = "  ".repeat(path.length - 1);
    const comment = `# ${schema.description}${choices(schema)}`;
    const name = path.at(-1) ?? "";
    const line = isGroup ? `${name}:` : toYaml({ [name]: schema.default }).trimEnd();
    const text = [comment, ...line.split("\n")].map((one) => `${indent}${one}`).join("\n");
    return path.length === 1 ? `\n${text}` : text;
  });
  return `# ${SOURCE}\n${blocks.join("\n")}\n`;
}

const choices = (schema: TSchema): string => (schema.enum ? ` One of ${schema.enum.join(", ")}.` : "");

/** `values.schema.json`, by which Helm refuses what it does not know. */
export function valuesSchema(): string {
  // Helm hands `global` to every chart that is part of another one.
  const properties = { ...CHART_VALUES.properties, global: { type: "object", description: "Not used." } };
  const schema = { $schema: "http://json-schema.org/draft-07/schema#", title: "Values of the chart nexus", $comment: SOURCE };
  return `${JSON.stringify({ ...schema, ...CHART_VALUES, properties }, undefined, 2)}\n`;
}

/** Rows of the table in the README. */
export const valuesTable = (): readonly string[] =>
  valueRows()
    .filter(({ isGroup }) => !isGroup)
    .map(({ path, schema }) => {
      const cell = `${schema.description}${choices(schema)}`.replaceAll("|", "\\|");
      return `| \`${path.join(".")}\` | \`${JSON.stringify(schema.default)}\` | ${cell} |`;
    });

const KEEP = "    helm.sh/resource-policy: keep\n";

/** `templates/crds/<name>.yaml`: the CRD as in crds/, kept when the release goes, with Helm's braces escaped. */
export function crdTemplate(kind: Kind): string {
  const text = toYaml(crd(kind)).replaceAll("{{", '{{ "{{" }}');
  const inside = "\n  annotations:\n";
  const kept = (lines: string) => `{{- if .Values.crds.keep }}\n${lines}{{- end }}\n`;
  const annotated = text.includes(inside)
    ? text.replace(inside, `${inside}${kept(KEEP)}`)
    : text.replace("\nmetadata:\n", `\nmetadata:\n${kept(`  annotations:\n${KEEP}`)}`);
  return `{{- /* Generated from protocol/resources by npm run generate. Do not edit. */}}\n{{- if .Values.crds.enabled }}\n${annotated}{{- end }}\n`;
}

export const crdTemplatePath = (kind: Kind): string => `charts/nexus/templates/crds/${GROUP}_${KINDS[kind].plural}.yaml`;

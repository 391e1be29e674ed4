// Why: a runbook that tells to raise a field nobody knows costs the reader ten minutes in the night. Names of fields and settings in
// pages are compared with the schemas. Pure.
import { configFields } from "@nexus/protocol/config.ts";
import { SCHEMAS } from "@nexus/protocol/resources/schema.ts";
import type { TSchema } from "@sinclair/typebox";

/** Paths of all fields, `spec.limits.frameBytes`; a list is passed through; `…*` where what is below is not ours to know. */
export function fieldPaths(): readonly string[] {
  return Object.values(SCHEMAS).flatMap(({ spec, status }) => [...below(spec, "spec"), ...below(status, "status")]);
}

function below(schema: TSchema, path: string): readonly string[] {
  const properties: Readonly<Record<string, TSchema>> = schema.items?.properties ?? schema.properties ?? {};
  const names = Object.entries(properties);
  if (names.length === 0) return schema.type === "object" ? [path, `${path}.*`] : [path];
  return [path, ...names.flatMap(([name, field]) => below(field, `${path}.${name}`))];
}

/** Names of the servers' settings in the environment. */
export const settingNames = (): readonly string[] => configFields().map(({ env }) => env);

/** First words of a path that is meant to begin below `spec`. */
const HEADS = [
  ...["limits", "quotas", "delivery", "autoscaling", "storage", "monitoring", "rollout", "pods", "exposure", "history", "slo"],
  ...["targets", "tracing", "redis", "tls", "inbox"],
];
/** Of Kubernetes' own: resources of a container, keys of a Secret of type kubernetes.io/tls. */
const FOREIGN = new Set(["limits.cpu", "limits.memory", "tls.key", "tls.crt"]);

export type Known = { readonly fields: readonly string[]; readonly settings: readonly string[]; readonly logEvents: readonly string[] };

/** What `text` names in backticks as a field or a setting and is none. */
export function unknownNames(text: string, { fields, settings, logEvents }: Known): readonly string[] {
  const paths = [...text.matchAll(/`([a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)+)(?:: [^`]*)?`/g)].map(([, path = ""]) => path);
  const isMeant = (path: string) =>
    ["spec", "status", ...HEADS].includes(path.split(".")[0] ?? "") && !FOREIGN.has(path) && !logEvents.includes(path);
  const wrong = paths
    .filter((path) => isMeant(path) && !isField(path, fields))
    .map((path) => `names the field ${path}, which no resource has`);
  const asked = [...text.matchAll(/\bNEXUS_(?!OPERATOR_)[A-Z_]+\b/g)].map(([name]) => name);
  return [...wrong, ...asked.filter((name) => !settings.includes(name)).map((name) => `names the setting ${name}, which no server knows`)];
}

/** `limits.frameBytes` is the end of a path; below `….*` everything is. */
function isField(path: string, fields: readonly string[]): boolean {
  return fields.some((field) => {
    if (!field.endsWith(".*")) return field === path || field.endsWith(`.${path}`);
    const open = field.slice(0, -2).split(".");
    // Any end of the open path may stand before what is below it.
    return open.some((_name, from) => `${path}.`.startsWith(`${open.slice(from).join(".")}.`));
  });
}

// Why: what can be done with any custom resource without an API server: fill in defaults as it does, and check an object
// against the schema and the rules between fields, with messages that name the field and say what would be right. Pure.
import type { TSchema } from "@sinclair/typebox";
import { API_VERSION, type Kind } from "./names.ts";
import { NEXUS_CLUSTER_RULES, type NexusCluster, NexusClusterSpec, NexusClusterStatus } from "./nexus-cluster.ts";
import { broken, brokenBelow, brokenByChange, type CelRule, type Complaint, rulesAt } from "./rules.ts";
import { TEMPLATE_RULES, type Template, TemplateSpec, TemplateStatus } from "./template.ts";
import { TENANT_RULES, type Tenant, TenantSpec, TenantStatus } from "./tenant.ts";

export type Resource = NexusCluster | Tenant | Template;
export type ResourceOf<K extends Kind> = Extract<Resource, { kind: K }>;

export type KindSchema = {
  readonly spec: TSchema;
  readonly status: TSchema;
  readonly rules: readonly CelRule[];
  readonly description: string;
};

export const SCHEMAS: Readonly<Record<Kind, KindSchema>> = {
  NexusCluster: {
    spec: NexusClusterSpec,
    status: NexusClusterStatus,
    rules: NEXUS_CLUSTER_RULES,
    description: "One fleet of Nexus servers.",
  },
  Tenant: { spec: TenantSpec, status: TenantStatus, rules: TENANT_RULES, description: "One customer or application of a NexusCluster." },
  Template: { spec: TemplateSpec, status: TemplateStatus, rules: TEMPLATE_RULES, description: "One message form of a Tenant." },
};

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const propertiesOf = (schema: TSchema): Readonly<Record<string, TSchema>> => schema.properties ?? {};

/**
 * Static defaults as the API server fills them: a missing member gets its default, nested defaults inside it too; a
 * parent without a default stays away. A declared member that is null counts as missing. The input is not changed.
 */
export function withDefaults(schema: TSchema, value: unknown): unknown {
  if (Array.isArray(value)) return schema.items ? value.map((item) => withDefaults(schema.items, item)) : value;
  if (!isRecord(value)) return value;
  const result: Record<string, unknown> = { ...value };
  if (isRecord(schema.additionalProperties)) for (const name of Object.keys(result)) if (result[name] === null) delete result[name];
  for (const [name, field] of Object.entries(propertiesOf(schema))) {
    if (result[name] === null) delete result[name];
    if (result[name] === undefined && field.default !== undefined) result[name] = structuredClone(field.default);
    if (result[name] !== undefined) result[name] = withDefaults(field, result[name]);
  }
  return result;
}

/** A parsed document of one of our kinds with its defaults, or every complaint about it. */
export type Checked =
  | { readonly ok: true; readonly resource: Resource }
  | { readonly ok: false; readonly complaints: readonly Complaint[] };

const isKind = (kind: unknown): kind is Kind => typeof kind === "string" && kind in SCHEMAS;

/** Whether a document claims to be one of ours, right or wrong. */
export const isOurs = (document: unknown): boolean =>
  isRecord(document) && typeof document.apiVersion === "string" && document.apiVersion.startsWith("nexus.dev/");

/** Checks shape, bounds, patterns, closed sets, then rules between fields; unknown fields are complaints, as with `kubectl apply --validate=strict`. */
export function checkResource(document: unknown): Checked {
  if (!isRecord(document))
    return { ok: false, complaints: [{ path: "", message: "must be an object with apiVersion, kind, metadata and spec" }] };
  if (document.apiVersion !== API_VERSION) return { ok: false, complaints: [{ path: "apiVersion", message: `must be ${API_VERSION}` }] };
  if (!isKind(document.kind))
    return { ok: false, complaints: [{ path: "kind", message: `must be one of ${Object.keys(SCHEMAS).join(", ")}` }] };
  const { spec: schema } = SCHEMAS[document.kind];
  const complaints: Complaint[] = [];
  const metadata = document.metadata;
  if (!isRecord(metadata) || typeof metadata.name !== "string" || metadata.name === "")
    complaints.push({ path: "metadata.name", message: "is required" });
  for (const key of Object.keys(document)) {
    if (!["apiVersion", "kind", "metadata", "spec", "status"].includes(key)) complaints.push({ path: key, message: "no such field" });
  }
  const spec = withDefaults(schema, document.spec);
  complain(schema, spec, "spec", complaints);
  if (complaints.length > 0) return { ok: false, complaints };
  const { rules } = SCHEMAS[document.kind];
  const conflicts = [...broken(rules, { ...document, spec }, ""), ...brokenBelow(schema, spec, "spec")];
  if (conflicts.length > 0) return { ok: false, complaints: conflicts };
  // The checks above are the schema's: what passed them has the type that is derived from it.
  return { ok: true, resource: { ...document, spec } as unknown as Resource };
}

/** What an API server refuses about a change of one object: its immutable fields. Both are of one kind, with defaults. */
export const checkChange = (before: Resource, after: Resource): readonly Complaint[] =>
  brokenByChange(rulesAt(SCHEMAS[after.kind].spec), after.spec, before.spec, "spec");

function complain(schema: TSchema, value: unknown, path: string, into: Complaint[]): void {
  if (schema.type === "object") complainObject(schema, value, path, into);
  else if (schema.type === "array") complainArray(schema, value, path, into);
  else {
    const message = complaintAboutScalar(schema, value);
    if (message !== undefined) into.push({ path, message });
  }
}

/** Undefined when the value is right, or when the schema takes any JSON. */
function complaintAboutScalar(schema: TSchema, value: unknown): string | undefined {
  if (value === undefined) return "is required";
  if (schema["x-kubernetes-int-or-string"]) return complaintAboutIntOrString(schema, value);
  if (schema.type === "string") return complaintAboutString(schema, value);
  if (schema.type === "integer") return complaintAboutInteger(schema, value);
  return schema.type === "boolean" && typeof value !== "boolean" ? "must be true or false" : undefined;
}

function complaintAboutIntOrString(schema: TSchema, value: unknown): string | undefined {
  if (typeof value === "string") return complaintAboutString(schema, value);
  return typeof value === "number" ? complaintAboutInteger(schema, value) : "must be a whole number or a string";
}

function complaintAboutString(schema: TSchema, value: unknown): string | undefined {
  if (typeof value !== "string") return "must be a string; quote it";
  if (schema.enum && !schema.enum.includes(value)) return `must be one of ${schema.enum.join(", ")}`;
  const length = [...value].length;
  if (schema.minLength !== undefined && length < schema.minLength) return `must have at least ${schema.minLength} characters`;
  if (schema.maxLength !== undefined && length > schema.maxLength) return `must have at most ${schema.maxLength} characters`;
  return schema.pattern && !new RegExp(schema.pattern, "u").test(value) ? `must match ${schema.pattern}` : undefined;
}

function complaintAboutInteger(schema: TSchema, value: unknown): string | undefined {
  if (!Number.isSafeInteger(value)) return "must be a whole number";
  const number = Number(value);
  if (schema.minimum !== undefined && number < schema.minimum) return `must be at least ${schema.minimum}`;
  return schema.maximum !== undefined && number > schema.maximum ? `must be at most ${schema.maximum}` : undefined;
}

function complainArray(schema: TSchema, value: unknown, path: string, into: Complaint[]): void {
  if (!Array.isArray(value)) {
    into.push({ path, message: value === undefined ? "is required" : "must be a list" });
    return;
  }
  if (schema.maxItems !== undefined && value.length > schema.maxItems)
    into.push({ path, message: `must have at most ${schema.maxItems} items` });
  const keys: readonly string[] | undefined = schema["x-kubernetes-list-map-keys"];
  const seen = new Set<string>();
  value.forEach((item: unknown, at) => {
    if (schema.items) complain(schema.items, item, `${path}[${at}]`, into);
    if (!keys && schema["x-kubernetes-list-type"] !== "set") return;
    const id = JSON.stringify(keys && isRecord(item) ? keys.map((key) => item[key]) : item);
    if (seen.has(id)) into.push({ path: `${path}[${at}]`, message: "stands in the list twice" });
    seen.add(id);
  });
}

function complainObject(schema: TSchema, value: unknown, path: string, into: Complaint[]): void {
  if (!isRecord(value)) {
    into.push({ path, message: value === undefined ? "is required" : "must be an object" });
    return;
  }
  const required: readonly string[] = schema.required ?? [];
  const properties = propertiesOf(schema);
  for (const [name, field] of Object.entries(properties)) {
    const inner = value[name];
    if (inner !== undefined && inner !== null) complain(field, inner, `${path}.${name}`, into);
    else if (required.includes(name)) into.push({ path: `${path}.${name}`, message: "is required" });
  }
  if (schema["x-kubernetes-preserve-unknown-fields"]) return;
  for (const [name, inner] of Object.entries(value)) {
    if (name in properties) continue;
    if (isRecord(schema.additionalProperties)) complain(schema.additionalProperties as unknown as TSchema, inner, `${path}.${name}`, into);
    else into.push({ path: `${path}.${name}`, message: `no such field${nearest(name, Object.keys(properties))}` });
  }
}

/** "; did you mean x?" when a known name differs by letter case or has the same first letters. */
function nearest(name: string, known: readonly string[]): string {
  const lower = name.toLowerCase();
  const found =
    known.find((one) => one.toLowerCase() === lower) ?? known.find((one) => one.slice(0, 4).toLowerCase() === lower.slice(0, 4));
  return found === undefined ? "" : `; did you mean ${found}?`;
}

// Why: what a schema cannot say about a template's free JSON: numbers a JSON reader would change, depth, size, defaults of the
// wrong type, Liquid that does not compile. Pure; names the field and never repeats a value.
import type { Complaint } from "@nexus/protocol/resources/rules.ts";
import type { TemplateSpec } from "@nexus/protocol/resources/template.ts";
import { liquidComplaint } from "./liquid.ts";

/** Deepest nesting a server accepts. */
const MAX_DEPTH = 64;

/** Every payload of a template with its field: free JSON, or the text instead of it. */
export const payloadsOf = ({
  payload,
  payloadText,
  locales = [],
}: TemplateSpec): readonly (readonly [path: string, payload: unknown])[] => [
  payloadText === undefined ? (["spec.payload", payload] as const) : (["spec.payloadText", payloadText] as const),
  ...locales.map((one, at) =>
    one.payloadText === undefined
      ? ([`spec.locales[${at}].payload`, one.payload] as const)
      : ([`spec.locales[${at}].payloadText`, one.payloadText] as const),
  ),
];

/** Undefined when servers can use the template; `payloadBytes` is the tenant's quota. */
export function payloadComplaint(spec: TemplateSpec, payloadBytes: number): Complaint | undefined {
  const tags = new Set<string>();
  for (const { locale } of spec.locales ?? []) {
    // Tags are matched without regard to letter case.
    if (tags.has(locale.toLowerCase())) return { path: "spec.locales", message: `has ${locale} twice: the case of letters does not count` };
    tags.add(locale.toLowerCase());
  }
  for (const [path, payload] of payloadsOf(spec)) {
    const complaint = jsonComplaint(payload, path, 0) ?? (spec.engine === "Liquid" ? liquidComplaint(payload, path) : undefined);
    if (complaint) return complaint;
    const bytes = Buffer.byteLength(typeof payload === "string" ? payload : JSON.stringify(payload));
    if (bytes > payloadBytes) return { path, message: `has ${bytes} bytes, the tenant's quota payloadBytes allows ${payloadBytes}` };
  }
  for (const { name, type, default: fallback } of spec.variables ?? []) {
    if (fallback === undefined) continue;
    const path = `spec.variables[${name}].default`;
    const complaint =
      jsonComplaint(fallback, path, 0) ?? (isOfType(fallback, type) ? undefined : { path, message: `must be of type ${type}` });
    if (complaint) return complaint;
  }
  return undefined;
}

function jsonComplaint(value: unknown, path: string, depth: number): Complaint | undefined {
  const said = (message: string): Complaint => ({ path, message });
  if (depth > MAX_DEPTH) return said(`is nested deeper than ${MAX_DEPTH}`);
  if (typeof value === "number" && !Number.isFinite(value)) return said("holds a number that JSON cannot carry");
  if (typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    return said("holds a number beyond 2^53, which readers of JSON change: write it as a string");
  }
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const complaint = jsonComplaint(inner, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, depth + 1);
    if (complaint) return complaint;
  }
  return undefined;
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case "any":
      return true;
    case "integer":
      return Number.isInteger(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    default:
      return typeof value === type;
  }
}

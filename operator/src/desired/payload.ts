// Why: what a schema cannot say about a template's free JSON: numbers a JSON reader would change, depth, size, defaults of the
// wrong type. Pure; answers one sentence that names the field and never repeats a value.
import type { TemplateSpec } from "@nexus/protocol/resources/template.ts";

/** Deepest nesting a server accepts. */
const MAX_DEPTH = 64;

/** Undefined when servers can use the template; `payloadBytes` is the tenant's quota. */
export function payloadComplaint(spec: TemplateSpec, payloadBytes: number): string | undefined {
  const payloads = [
    ["spec.payload", spec.payload] as const,
    ...(spec.locales ?? []).map(({ locale, payload }) => [`spec.locales[${locale}].payload`, payload] as const),
  ];
  const tags = new Set<string>();
  for (const { locale } of spec.locales ?? []) {
    // Tags are matched without regard to letter case.
    if (tags.has(locale.toLowerCase())) return `spec.locales has ${locale} twice: the case of letters does not count`;
    tags.add(locale.toLowerCase());
  }
  for (const [path, payload] of payloads) {
    const complaint = jsonComplaint(payload, path, 0);
    if (complaint) return complaint;
    const bytes = Buffer.byteLength(JSON.stringify(payload));
    if (bytes > payloadBytes) return `${path} has ${bytes} bytes, the tenant's quota payloadBytes allows ${payloadBytes}`;
  }
  for (const { name, type, default: fallback } of spec.variables ?? []) {
    if (fallback === undefined) continue;
    const path = `spec.variables[${name}].default`;
    const complaint = jsonComplaint(fallback, path, 0) ?? (isOfType(fallback, type) ? undefined : `${path} must be of type ${type}`);
    if (complaint) return complaint;
  }
  return undefined;
}

function jsonComplaint(value: unknown, path: string, depth: number): string | undefined {
  if (depth > MAX_DEPTH) return `${path} is nested deeper than ${MAX_DEPTH}`;
  if (typeof value === "number" && !Number.isFinite(value)) return `${path} holds a number that JSON cannot carry`;
  if (typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    return `${path} holds a number beyond 2^53, which readers of JSON change: write it as a string`;
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

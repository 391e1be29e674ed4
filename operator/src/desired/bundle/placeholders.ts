// Why: a misspelled variable renders as `{{naem}}` on somebody's screen. Nothing forbids it (undeclared variables are allowed),
// so it is a warning, never a refusal. Pure; names only what stands in the spec.
import type { TemplateSpec } from "@nexus/protocol/resources/template.ts";
import { payloadsOf } from "../payload.ts";

const PLACEHOLDER = /\{\{([^{}\s]+)\}\}/g;
const MAX_WARNINGS = 8;

/** Names used in keys and strings of a JSON value. */
function collect(value: unknown, into: Set<string>): void {
  if (typeof value === "string") for (const match of value.matchAll(PLACEHOLDER)) into.add(match[1] ?? "");
  else if (Array.isArray(value)) for (const item of value) collect(item, into);
  else if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      collect(key, into);
      collect(inner, into);
    }
  }
}

/**
 * Placeholders without a declaration (only where anything is declared: declaring is opt-in) and declarations without a
 * placeholder, sorted, at most 8. `{{a.b}}` is covered by a variable `a` as well as by `a.b`.
 */
export function placeholderWarnings(spec: TemplateSpec): readonly string[] {
  const declared = new Set((spec.variables ?? []).map((variable) => variable.name));
  // Liquid makes names of its own (assign, for), so nothing can be said of those it uses.
  if (declared.size === 0 || spec.engine === "Liquid") return [];
  const used = new Set<string>();
  for (const [, payload] of payloadsOf(spec)) collect(payload, used);
  const covered = (name: string) => declared.has(name) || declared.has(name.split(".")[0] ?? "");
  const undeclared = [...used].filter((name) => !covered(name)).sort();
  const names = new Set([...used, ...[...used].map((name) => name.split(".")[0] ?? "")]);
  const unused = [...declared].filter((name) => !names.has(name)).sort();
  return [
    ...undeclared.map((name) => `the payload uses {{${name}}}, which spec.variables does not declare`),
    ...unused.map((name) => `spec.variables declares ${name}, which no payload uses`),
  ].slice(0, MAX_WARNINGS);
}

// Why: what a template declares about its variables is checked before anything renders, for both engines.
// It must never repeat a value it refuses.
import type { TemplateVariable, VariableType } from "@nexus/protocol/bundle.ts";
import type { FieldError, Refusal } from "@nexus/protocol/failures.ts";
import type { Variables } from "./simple-template.ts";

/** The declared variables whose lone placeholder keeps its JSON type. */
export const typedVariables = (variables: readonly TemplateVariable[]): ReadonlyMap<string, VariableType> =>
  new Map(variables.filter((variable) => variable.type !== "string").map((variable) => [variable.name, variable.type]));

/**
 * Defaults filled in, declared types checked. Undeclared variables pass: declaring is opt-in. Refuses with
 * `validation_error`, pointers under `/variables`.
 */
export function checkVariables(declared: readonly TemplateVariable[], given: Variables): { readonly values: Variables } | Refusal {
  const errors: FieldError[] = [];
  const defaults: [string, unknown][] = [];
  for (const variable of declared) {
    const pointer = `/variables/${variable.name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (!Object.hasOwn(given, variable.name)) {
      if (variable.default !== undefined) defaults.push([variable.name, variable.default]);
      else if (variable.required) errors.push({ pointer, detail: "is required by the template" });
      continue;
    }
    if (!fits(variable.type, given[variable.name])) errors.push({ pointer, detail: `is declared as ${variable.type}` });
  }
  if (errors.length > 0) return { code: "validation_error", detail: "The variables do not fit the template", fields: errors };
  return { values: defaults.length === 0 ? given : { ...Object.fromEntries(defaults), ...given } };
}

/** `string` takes any value, as Ara's templates do; `null` fits every type and means "nothing". */
export function fits(type: VariableType, value: unknown): boolean {
  if (value === null) return true;
  switch (type) {
    case "string":
    case "any":
      return true;
    case "number":
    case "boolean":
      return typeof value === type;
    case "integer":
      return Number.isInteger(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && !Array.isArray(value);
    default:
      return type satisfies never;
  }
}

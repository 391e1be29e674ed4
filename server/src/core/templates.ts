// Why: a template and its variables become content. Templates are compiled once per settings object and forgotten with it.
// It must never render what the template's own declarations forbid: such input is refused with the variable's pointer.
import type { TemplateSettings, TemplateVariable, VariableType } from "@nexus/protocol/bundle.ts";
import type { FieldError, Refusal } from "@nexus/protocol/failures.ts";
import type { Priority } from "@nexus/protocol/frames.ts";
import { compile, type Node, render, typedVariables, type Variables } from "./simple-template.ts";

/** What a template makes: `payloadJson` is compact JSON text, `ttl` is in seconds. */
export type Rendered = {
  readonly kind: "rendered";
  readonly eventType: string;
  readonly payloadJson: string;
  readonly priority: Priority;
  readonly ttl: number | undefined;
};

type Compiled = { readonly payload: Node; readonly locales: ReadonlyMap<string, Node> };

/** A memo, not state: the same settings always compile to the same tree. */
const compiled = new WeakMap<TemplateSettings, Compiled>();

/**
 * Renders with the `Simple` engine (rules: docs/protocol.md#templates). `locale` is a BCP 47 tag; shorter tags are tried
 * in turn (`de-AT`, `de`), then the template's own payload.
 * Refuses with `validation_error` (a required variable is missing, a typed one has another type; pointers under
 * `/variables`) and `not_implemented` (another engine).
 */
export function renderTemplate(settings: TemplateSettings, variables: Variables = {}, locale?: string): Rendered | Refusal {
  if (settings.engine !== "Simple")
    return { code: "not_implemented", detail: `The ${settings.engine} engine is not served by this version` };
  const checked = checkVariables(settings.variables, variables);
  if ("code" in checked) return checked;
  const { payload, locales } = compiledOf(settings);
  return {
    kind: "rendered",
    eventType: settings.event_type,
    payloadJson: render(localized(locales, locale) ?? payload, checked.values),
    priority: settings.priority,
    ttl: settings.ttl_seconds,
  };
}

function compiledOf(settings: TemplateSettings): Compiled {
  const known = compiled.get(settings);
  if (known) return known;
  const types = typedVariables(settings.variables);
  const made: Compiled = {
    payload: compile(settings.payload, types),
    locales: new Map(settings.locales.map((entry) => [entry.locale.toLowerCase(), compile(entry.payload, types)])),
  };
  compiled.set(settings, made);
  return made;
}

function localized(locales: ReadonlyMap<string, Node>, locale: string | undefined): Node | undefined {
  if (locale === undefined || locales.size === 0) return undefined;
  for (let tag = locale.toLowerCase(); tag !== ""; tag = tag.slice(0, Math.max(tag.lastIndexOf("-"), 0))) {
    const found = locales.get(tag);
    if (found) return found;
  }
  return undefined;
}

/** Defaults filled in, declared types checked. Undeclared variables pass: declaring is opt-in. */
function checkVariables(declared: readonly TemplateVariable[], given: Variables): { readonly values: Variables } | Refusal {
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
function fits(type: VariableType, value: unknown): boolean {
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

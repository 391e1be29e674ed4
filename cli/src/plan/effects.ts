// Why: whether a field takes effect live or replaces pods stands in the schema, in the description of every field. Pure.
import { type Effect, LIVE, ROLLS } from "@nexus/protocol/resources/fields.ts";
import type { Kind } from "@nexus/protocol/resources/names.ts";
import { SCHEMAS } from "@nexus/protocol/resources/schema.ts";

type Described = { readonly description?: unknown; readonly properties?: Readonly<Record<string, unknown>>; readonly items?: unknown };
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

/** Of the deepest described part of `spec.a.b[0].c`; undefined outside the spec. */
export function effectOf(kind: Kind, path: string): Effect | undefined {
  const [top, ...parts] = [...path.matchAll(/([A-Za-z_][\w-]*)(?=[.[]|$)|\[[^\]]*\]/g)].map(([text]) => text);
  if (top !== "spec") return undefined;
  let at: Described | undefined = SCHEMAS[kind].spec;
  let effect: Effect | undefined;
  for (const part of ["", ...parts]) {
    if (part !== "") {
      const next: unknown = part.startsWith("[") ? at?.items : at?.properties?.[part];
      at = isRecord(next) ? next : undefined;
    }
    const text = typeof at?.description === "string" ? at.description : "";
    if (text.endsWith(LIVE)) effect = LIVE;
    else if (text.endsWith(ROLLS)) effect = ROLLS;
  }
  return effect;
}

// Why: a field the API server does not know is dropped in silence, so an operator with older definitions in the cluster must be
// able to say which of its fields are lost. Pure: two schemas in, names out.
import type { TSchema } from "@sinclair/typebox";

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;

/**
 * Paths of `ours` (the schema of this release) that `served` (OpenAPI v3, as the API server publishes it) does not have, in
 * order of declaration: `spec.tls.issuerRef`. Below a path that is missing nothing more is named. What `served` has besides is
 * a newer release's.
 */
export function missingFields(ours: TSchema, served: unknown, path: string): readonly string[] {
  const items: TSchema | undefined = ours.items;
  if (items) return missingFields(items, member(served, "items"), `${path}[]`);
  const properties: Readonly<Record<string, TSchema>> = ours.properties ?? {};
  const known = member(served, "properties");
  return Object.entries(properties).flatMap(([name, field]) => {
    const at = `${path}.${name}`;
    const there = member(known, name);
    return there === undefined ? [at] : missingFields(field, there, at);
  });
}

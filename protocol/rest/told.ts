// Why: a body may hold what core judges with failure codes of its own (names, counts, lengths), so its schema must not. The
// OpenAPI document still tells the rule: it reads the mark that is made here.
import { type TString, Type } from "@sinclair/typebox";
import type { Json } from "../canonical.ts";
import { NAME_SCHEMAS } from "../names.ts";

/** Keyword that holds further keywords; validators do not know it and let it be. */
export const TOLD_KEYWORD = "x-nexus-told";

/** For the options of a TypeBox schema: JSON Schema keywords the document has there and the server's edge does not check. */
export const told = (keywords: { readonly [keyword: string]: Json }) => ({ [TOLD_KEYWORD]: keywords });

/** Any string to the server's edge, a name of that kind to readers of the document. */
export function wireName(kind: keyof typeof NAME_SCHEMAS, description: string): TString {
  const { description: _, ...rule } = NAME_SCHEMAS[kind];
  return Type.String({ description, ...told(rule) });
}

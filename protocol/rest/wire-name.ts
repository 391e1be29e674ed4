// Why: a body may hold names that core judges with failure codes of their own, so its schema must not. The OpenAPI document
// still tells what a legal name is: it reads the mark that is made here.
import { type TString, Type } from "@sinclair/typebox";
import type { NAME_SCHEMAS } from "../names.ts";

/** Keyword that names an entry of `NAME_SCHEMAS`; validators do not know it and let it be. */
export const NAME_KEYWORD = "x-nexus-name";

/** Any string to the server's edge, a name of that kind to readers of the document. */
export const wireName = (kind: keyof typeof NAME_SCHEMAS, description: string): TString =>
  Type.String({ description, [NAME_KEYWORD]: kind });

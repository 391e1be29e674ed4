// Why: TypeBox schemas carry symbols, repeat each other and spell unions of literals out; a reader of the OpenAPI document
// gets plain JSON Schema 2020-12 with one definition for what is shared. It must never change what a schema accepts.
import type { TSchema } from "@sinclair/typebox";
import { canonicalJson, type Json } from "../canonical.ts";
import { TOLD_KEYWORD } from "./told.ts";

export type JsonObject = { readonly [key: string]: Json };

/** Keywords whose value is a schema, a list of schemas, or schemas by name (JSON Schema 2020-12 section 10). */
const ONE = ["items", "additionalProperties", "unevaluatedProperties", "not", "contains", "propertyNames", "if", "then", "else"];
const LIST = ["anyOf", "allOf", "oneOf", "prefixItems"];
const BY_NAME = ["properties", "patternProperties", "dependentSchemas"];

const refTo = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });

export type SchemaWriter = {
  /** The schema for a place in the document; a shared one is a `$ref`, with the place's own description beside it. */
  write(schema: TSchema): JsonObject;
  /** Shared schemas that were referred to, by name; what they refer to included. */
  components(): JsonObject;
};

/**
 * A shared schema is found by what it says, not by identity: TypeBox copies schemas whenever it makes one optional.
 * @param shared names as they appear under `components.schemas`
 * @throws Error for a schema that cannot stand in a document (a reference to elsewhere)
 */
export function createSchemaWriter(shared: Readonly<Record<string, TSchema>>): SchemaWriter {
  const names = new Map(Object.entries(shared).map(([name, schema]) => [meaningOf(plain(schema)), name]));
  const used = new Map<string, JsonObject>();

  function put(schema: JsonObject): JsonObject {
    const name = names.get(meaningOf(schema));
    if (name === undefined) return inside(schema);
    const own = plain(shared[name] ?? {});
    if (!used.has(name)) {
      used.set(name, {}); // stands in while its own members are written
      used.set(name, inside(own));
    }
    return schema.description === own.description || schema.description === undefined
      ? refTo(name)
      : { ...refTo(name), description: schema.description };
  }

  function inside(schema: JsonObject): JsonObject {
    return simplified(mapSchemas(schema, put));
  }

  return {
    write: (schema) => put(plain(schema)),
    components: () => Object.fromEntries([...used].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** Without symbols, functions and identifiers of TypeBox's own. */
function plain(schema: object): JsonObject {
  const { $id: _, [TOLD_KEYWORD]: told, ...bare } = JSON.parse(JSON.stringify(schema)) as Record<string, Json>; // JSON of an object is an object
  const copy = isObject(told) ? { ...bare, ...told } : bare;
  if ("$ref" in copy) throw new Error(`a schema refers to ${String(copy.$ref)}, which the document does not hold`);
  return mapSchemas(copy, plain);
}

/** What two schemas have in common that say the same in other words about themselves. */
function meaningOf({ description: _, ...schema }: JsonObject): string {
  return canonicalJson(schema);
}

function mapSchemas(schema: JsonObject, map: (inner: JsonObject) => JsonObject): JsonObject {
  const entries = Object.entries(schema).map(([keyword, value]): readonly [string, Json] => {
    if (ONE.includes(keyword) && isObject(value)) return [keyword, map(value)];
    if (LIST.includes(keyword) && Array.isArray(value)) return [keyword, value.map((one) => (isObject(one) ? map(one) : one))];
    if (BY_NAME.includes(keyword) && isObject(value)) {
      return [keyword, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, isObject(one) ? map(one) : one]))];
    }
    return [keyword, value];
  });
  return Object.fromEntries(entries);
}

const isObject = (value: Json | undefined): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

/** A union of strings becomes `enum`, a record of anything by any name `additionalProperties`: what generators know best. */
function simplified(schema: JsonObject): JsonObject {
  const { anyOf, patternProperties, ...rest } = schema;
  const literals = Array.isArray(anyOf) ? anyOf.map((one: Json) => (isObject(one) && one.type === "string" ? one.const : undefined)) : [];
  if (literals.length > 0 && literals.every((value) => typeof value === "string")) {
    return { ...rest, ...(patternProperties === undefined ? {} : { patternProperties }), type: "string", enum: literals };
  }
  if (isObject(patternProperties) && Object.keys(patternProperties).join() === "^(.*)$") {
    return { ...rest, additionalProperties: patternProperties["^(.*)$"] ?? {} };
  }
  return schema;
}

// Why: a caller learns which member is wrong and what would be right. It must never repeat the value that was refused.
import type { FieldError } from "@nexus/protocol/failures.ts";
import type { TSchema } from "@sinclair/typebox";
import type { TypeCheck } from "@sinclair/typebox/compiler";
import type { ValueError } from "@sinclair/typebox/errors";

const MAX_ERRORS = 16;

/** At most 16 errors, one per pointer (RFC 6901). Only for values that `checker` refused: finding errors is slow. */
export function fieldErrors(checker: TypeCheck<TSchema>, value: unknown): readonly FieldError[] {
  const found = new Map<string, string>();
  for (const error of checker.Errors(value)) {
    if (!found.has(error.path)) found.set(error.path, expectation(error));
    if (found.size >= MAX_ERRORS) break;
  }
  return [...found].map(([pointer, detail]) => ({ pointer, detail }));
}

/** What would be right, in words. */
function expectation({ schema, value }: ValueError): string {
  if (value === undefined) return "is required";
  if (Array.isArray(schema.anyOf)) {
    const options: readonly TSchema[] = schema.anyOf;
    if (options.every((one) => one.const !== undefined)) return `must be one of ${options.map((one) => String(one.const)).join(", ")}`;
    return `must be ${options.map(typeName).join(" or ")}`;
  }
  const { type, minimum, maximum, minLength, maxLength, pattern } = schema;
  if (type === "integer" && maximum !== undefined) return `must be a whole number from ${minimum ?? 0} to ${maximum}`;
  if (type === "string" && maxLength !== undefined) return `must be a text of ${minLength ?? 0} to ${maxLength} characters`;
  if (type === "string" && pattern !== undefined) return `must match ${pattern}`;
  return `must be ${typeName(schema)}`;
}

function typeName(schema: TSchema): string {
  switch (schema.type) {
    case "string":
      return "a text";
    case "integer":
      return "a whole number";
    case "array":
      return "a list";
    case "object":
      return "an object";
    default:
      return typeof schema.type === "string" ? `a ${schema.type}` : "another value";
  }
}

// Why: a body is judged in one order everywhere: type, size, JSON, depth, shape. It must never be parsed before its size
// is known to be within the limit.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Static, TSchema } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { isJsonType, parseJson, readText } from "../core/json-body.ts";
import { fieldErrors } from "./field-errors.ts";

/** `text` is what came, for fingerprints. */
export type ReadBody<T> = { readonly kind: "body"; readonly value: T; readonly text: string };

export type BodyReader<T> = (request: Request, maxBytes: number) => Promise<ReadBody<T> | Refusal>;

/**
 * Compiles the schema once. The reader refuses with `unsupported_media_type`, `payload_too_large`, `invalid_json`,
 * `validation_error` (with pointers). Members the schema does not know are left where they are and mean nothing.
 */
export function bodyReader<T extends TSchema>(schema: T): BodyReader<Static<T>> {
  const checker = TypeCompiler.Compile(schema);
  return async (request, maxBytes) => {
    const { headers } = request;
    if (!isJsonType(headers.get("content-type")))
      return { code: "unsupported_media_type", detail: "Content-Type must be application/json" };
    if ((headers.get("content-encoding") ?? "identity") !== "identity") {
      return { code: "unsupported_media_type", detail: "Bodies must not be compressed" };
    }
    const read = await readText(request, maxBytes);
    if (!read.ok) return read.refusal;
    const parsed = parseJson(read.value);
    if (!parsed.ok) return parsed.refusal;
    const { value } = parsed;
    if (checker.Check(value)) return { kind: "body", value, text: read.value };
    return { code: "validation_error", detail: "The body does not match the contract", fields: fieldErrors(checker, value) };
  };
}

// Why: a push is the largest thing a server reads: bounded compressed and uncompressed, and checked as far as its
// envelope. It must never judge an entry's content: that is done entry by entry, so that one bad object stays alone.
import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { BucketPush, PushRequest } from "@nexus/protocol/admin.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import { Type } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import { EntryEnvelope } from "../core/bundle-entries.ts";
import { isJsonType, parseJson, type Read, readBytes } from "../core/json-body.ts";
import type { Push } from "../core/live-config.ts";

const decompress = promisify(zstdDecompress);

/** Of a body, before and after decompression. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024;
/** A template's payload nests inside bucket, entry and spec. */
const MAX_PUSH_DEPTH = 96;

const PushShell = Type.Object({
  ...PushRequest.properties,
  buckets: Type.Array(Type.Object({ ...BucketPush.properties, entries: Type.Array(EntryEnvelope) })),
});
let checker: TypeCheck<typeof PushShell> | undefined;

/** The body as JSON. Refuses with `unsupported_media_type`, `payload_too_large`, `invalid_json`, `validation_error` (depth). */
export async function readJson(request: Request): Promise<Read<unknown>> {
  const refused = (code: Refusal["code"], detail: string): Read<never> => ({ ok: false, refusal: { code, detail } });
  if (!isJsonType(request.headers.get("content-type"))) return refused("unsupported_media_type", "Content-Type must be application/json");
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity" && encoding !== "zstd") return refused("unsupported_media_type", "Content-Encoding must be zstd or absent");
  const read = await readBytes(request, MAX_BODY_BYTES);
  if (!read.ok) return read;
  if (encoding === "identity") return parseJson(Buffer.from(read.value).toString(), MAX_PUSH_DEPTH);
  try {
    const bytes = await decompress(read.value, { maxOutputLength: MAX_BODY_BYTES });
    return parseJson(bytes.toString(), MAX_PUSH_DEPTH);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ERR_BUFFER_TOO_LARGE") return refused("payload_too_large", `The body may have ${MAX_BODY_BYTES} bytes uncompressed`);
    return refused("invalid_json", "The body is not compressed with zstd");
  }
}

/** A push whose envelope is right, or `validation_error` with the first pointers. */
export async function readPush(request: Request): Promise<Read<Push>> {
  const read = await readJson(request);
  if (!read.ok) return read;
  checker ??= TypeCompiler.Compile(PushShell);
  if (checker.Check(read.value)) return { ok: true, value: read.value };
  const first = checker.Errors(read.value).First();
  const fields = [{ pointer: first?.path ?? "", detail: first?.message ?? "does not match the contract" }];
  return { ok: false, refusal: { code: "validation_error", detail: "The push does not match the contract", fields } };
}

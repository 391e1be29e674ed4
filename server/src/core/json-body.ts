// Why: bodies come from strangers, so they are bounded in bytes before they are read and in depth before they are
// parsed. It must never buffer more than the bound, nor answer with a piece of the body.
import type { Refusal } from "@nexus/protocol/failures.ts";
import { isTooDeep, MAX_DEPTH } from "./depth.ts";

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

const tooLarge = (maxBytes: number): Read<never> => ({
  ok: false,
  refusal: { code: "payload_too_large", detail: `The body may have ${maxBytes} bytes` },
});

/** Whether the body is said to be JSON: `application/json` or `application/<anything>+json`, in UTF-8. */
export function isJsonType(contentType: string | null): boolean {
  if (contentType === "application/json") return true;
  if (contentType === null) return false;
  const [type = "", ...parameters] = contentType.toLowerCase().split(";");
  if (!/^application\/([a-z0-9!#$&^_.+-]+\+)?json$/.test(type.trim())) return false;
  const charset = parameters.map((one) => one.trim()).find((one) => one.startsWith("charset="));
  return charset === undefined || /^charset="?utf-?8"?$/.test(charset);
}

/** The body's bytes, or `payload_too_large` as soon as more than `maxBytes` are announced or seen. */
export async function readBytes(request: Request, maxBytes: number): Promise<Read<Uint8Array>> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) > maxBytes) return tooLarge(maxBytes);
  // A body of known length is held back by the listener beyond that length.
  if (announced !== null) return arriving(request.bytes());
  const read = await arriving(readChunks(request, maxBytes));
  return read.ok ? read.value : read;
}

async function readChunks(request: Request, maxBytes: number): Promise<Read<Uint8Array>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return { ok: true, value: Buffer.concat(chunks) };
}

/** The client was cut, or left, before its body was whole: nobody reads the answer, and nothing of ours failed. */
async function arriving<T>(body: Promise<T>): Promise<Read<T>> {
  try {
    return { ok: true, value: await body };
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") {
      return { ok: false, refusal: { code: "invalid_json", detail: "The body ended early" } };
    }
    throw error;
  }
}

/** The body as text, bounded as {@link readBytes}. */
export async function readText(request: Request, maxBytes: number): Promise<Read<string>> {
  const announced = request.headers.get("content-length");
  if (announced !== null && Number(announced) <= maxBytes) return arriving(request.text());
  const read = await readBytes(request, maxBytes);
  return read.ok ? { ok: true, value: Buffer.from(read.value).toString() } : read;
}

/** JSON, or `invalid_json`, or `validation_error` where it nests deeper than `maxDepth`. */
export function parseJson(text: string, maxDepth = MAX_DEPTH): Read<unknown> {
  if (isTooDeep(text, maxDepth)) {
    return { ok: false, refusal: { code: "validation_error", detail: `The body nests deeper than ${maxDepth} levels` } };
  }
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    // The parser's message quotes the body, so it is not passed on.
    return { ok: false, refusal: { code: "invalid_json", detail: text.trim() === "" ? "The body is empty" : "The body is not JSON" } };
  }
}

// Why: the one place where a client's text becomes a frame or a refusal; behind it frames are trusted.
// It must never repeat what it refused.
import type { Refusal } from "@nexus/protocol/failures.ts";
import { CLIENT_FRAMES, type ClientFrameOf, type ClientFrameType, type FrameId } from "@nexus/protocol/frames.ts";
import type { TSchema } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import { isTooDeep } from "./depth.ts";

export type ClientFrame = { [T in ClientFrameType]: ClientFrameOf<T> }[ClientFrameType];

/** `id` is what the frame carried, also when it is refused, so that the answer can echo it. */
export type Decoded =
  | { readonly kind: "frame"; readonly frame: ClientFrame }
  | { readonly kind: "refused"; readonly refusal: Refusal; readonly id: FrameId | undefined };

const CHECKS = new Map<string, TypeCheck<TSchema>>(
  Object.entries<TSchema>(CLIENT_FRAMES).map(([type, schema]) => [type, TypeCompiler.Compile(schema)]),
);

/** Decodes one text frame. Refuses with `invalid_message`; the frame's size was checked before. */
export function decodeFrame(text: string): Decoded {
  if (isTooDeep(text)) return refused("The frame is nested too deep");
  const value = parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refused("A frame is one JSON object");
  const id = idOf(value);
  const type = "type" in value ? value.type : undefined;
  const check = typeof type === "string" ? CHECKS.get(type) : undefined;
  if (!check) return refused("No such frame type", id, "/type");
  if (!check.Check(value)) return refused("The frame does not match its type", id, check.Errors(value).First()?.path);
  return { kind: "frame", frame: value as ClientFrame }; // the check above is for exactly this type
}

/** Undefined for text that is not JSON; `null` is no frame either. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function idOf(value: object): FrameId | undefined {
  const id = "id" in value ? value.id : undefined;
  if (typeof id === "string" && id.length <= 64) return id;
  return Number.isSafeInteger(id) ? (id as number) : undefined; // checked beside
}

function refused(detail: string, id?: FrameId, pointer?: string): Decoded {
  const fields = pointer === undefined ? {} : { fields: [{ pointer, detail }] };
  return { kind: "refused", refusal: { code: "invalid_message", detail, ...fields }, id };
}

// Why: what scripts on streams answer, taken apart with a check at every step: a strange answer is a bug or a stranger
// under our prefix, and must never become an entry.
import type { Position } from "@nexus/protocol/cursor.ts";
import { Failure } from "@nexus/protocol/failures.ts";
import type { Entry, StreamId } from "../../core/ports.ts";
import { decodeStored } from "./entry-text.ts";
import type { Reply } from "./link.ts";

const strange = (what: string) =>
  new Failure({ code: "internal", detail: "Redis answered what no script of ours answers" }, new Error(what));

export function listOf(reply: Reply | undefined): readonly Reply[] {
  if (Array.isArray(reply)) return reply;
  throw strange(`a list was expected, not ${typeof reply}`);
}

export function textOf(reply: Reply | undefined): string {
  if (typeof reply === "string") return reply;
  throw strange(`a text was expected, not ${typeof reply}`);
}

/** Numbers may come as texts of digits. */
export function numberOf(reply: Reply | undefined): number {
  const number = typeof reply === "string" ? Number(reply) : reply;
  if (typeof number === "number" && Number.isSafeInteger(number)) return number;
  throw strange(`a number was expected, not ${typeof reply}`);
}

export const positionOf = (epoch: Reply | undefined, offset: Reply | undefined): Position => ({
  epoch: textOf(epoch),
  offset: numberOf(offset),
});

/** `text`: an element of the list of entries, with its times before the entry. */
export function entryOf(stream: StreamId, position: Position, text: Reply | undefined): Entry {
  const element = textOf(text);
  const entry = decodeStored(stream, position, element.slice(element.indexOf("\n") + 1));
  if (!entry) throw strange(`an entry of a ${stream.kind} cannot be read`);
  return entry;
}

// Why: one place says what an error of the client or of Redis means: not taken, nobody there, or a bug of ours.
// It must never call a bug "unavailable": it would be retried for ever and seen by nobody.
import { Failure } from "@nexus/protocol/failures.ts";

/**
 * - `refused`: Redis answered that it takes no such command now. The way to it is open.
 * - `timeout`, `unreachable`: no answer; whether the command was done is unknown.
 * - `bug`: Redis answered that the command or script is wrong, or it could not even be written.
 */
export type FaultKind = "refused" | "timeout" | "unreachable" | "bug";

/** Error codes (first word) with which Redis refuses what would be right another time or on another server. */
const REFUSALS = new Set([
  ...["OOM", "READONLY", "LOADING", "MISCONF", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "BUSY", "UNKILLABLE"],
  ...["NOAUTH", "WRONGPASS", "NOPERM", "MOVED", "ASK", "TRYAGAIN"],
]);

/** Takes away from the error what the client library hung on it: the whole command, payloads included. */
export function faultOf(error: unknown): FaultKind {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return "bug";
  Reflect.deleteProperty(error, "command");
  if (isReply(error)) return REFUSALS.has(codeOf(error)) ? "refused" : "bug";
  return error instanceof CommandTimeout ? "timeout" : "unreachable";
}

/** What the engine's callers see of it. Never shows a key or an argument. */
export function failureOf(kind: Exclude<FaultKind, "bug">, error: Error): Failure {
  const detail = kind === "refused" ? `Redis refused: ${codeOf(error)}` : kind === "timeout" ? error.message : "Redis cannot be reached";
  return new Failure({ code: "broker_unavailable", detail }, error);
}

/** The first word of an error that Redis answered, such as `OOM`. */
export const codeOf = (error: Error): string => error.message.split(" ", 1)[0] ?? "";

/** Whether Redis itself said it. */
export const isReply = (error: unknown): boolean => error instanceof Error && error.name === "ReplyError";

export class CommandTimeout extends Error {
  constructor(ms: number) {
    super(`Redis did not answer within ${ms} ms`);
    this.name = "CommandTimeout";
  }
}

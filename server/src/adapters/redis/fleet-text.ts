// Why: what nodes say to each other over Redis, read with care: another release may be on the other side.
// It must never turn what it cannot read into a request: a half-read one could end everybody's sessions.
import type { DisconnectRequest } from "../../core/fleet-ports.ts";

/** `from`: the node that waits for answers. */
export type Ask = { readonly id: string; readonly from: string; readonly request: DisconnectRequest };

/** How many sessions a node ended. */
export type Answered = { readonly id: string; readonly from: string; readonly ended: number };

/** Undefined for what is no request. */
export function readAsk(text: string): Ask | undefined {
  const said = objectOf(text);
  const request = said && asObject(said.request);
  if (!said || !request || typeof said.id !== "string" || typeof said.from !== "string") return undefined;
  const { tenant, user, sessionId } = request;
  if (typeof tenant !== "string") return undefined;
  const { id, from } = said;
  if (typeof user === "string" && sessionId === undefined) return { id, from, request: { tenant, user } };
  if (typeof sessionId === "string" && user === undefined) return { id, from, request: { tenant, sessionId } };
  return undefined;
}

/** Undefined for what is no answer. */
export function readAnswer(text: string): Answered | undefined {
  const said = objectOf(text);
  if (!said || typeof said.id !== "string" || typeof said.from !== "string" || typeof said.ended !== "number") return undefined;
  return Number.isSafeInteger(said.ended) && said.ended >= 0 ? { id: said.id, from: said.from, ended: said.ended } : undefined;
}

/** The object a text is in JSON; undefined for anything else. */
export function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const asObject = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;

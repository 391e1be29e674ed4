// Why: what PostgreSQL and its connections say, in the words of core: the store is away, or this statement was refused.
// It must never show a statement, a value or an address to whoever asked.
import { Failure } from "@nexus/protocol/failures.ts";

/** Nothing was kept where the database says so itself; where the connection broke, nobody knows. */
export const unavailable = (detail: string, cause?: unknown): Failure => new Failure({ code: "broker_unavailable", detail }, cause);

/** SQLSTATE of what the server answered; undefined when it was the connection that failed. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const cause = error instanceof Failure ? error.cause : error;
  if (!(cause instanceof Error) || !("code" in cause) || cause.code !== "ERR_POSTGRES_SERVER_ERROR") return undefined;
  return "errno" in cause && typeof cause.errno === "string" ? cause.errno : undefined;
}

/** Rolled back for what a statement carried, or for another transaction: tried again in smaller parts it may pass. */
export const isRolledBack = (error: unknown): boolean => /^(22|23|40|54)/.test(sqlState(error) ?? "");

/**
 * The connection, the server, its right to write or our tables are gone: 08, 57P shutdown, 25006 and 55000 standby, 28
 * credentials, 3D, 3F and 42 database, schema and tables, 53 resources.
 */
export function isAway(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined ? isConnectionError(error) : /^(08|25006|28|3D|3F|42|53|55000|57P)/.test(state);
}

/** What may heal by itself; wrong credentials, missing rights and a database that is not there do not. */
export const mayHeal = (error: unknown): boolean => isAway(error) && !/^(28|3D|3F|42)/.test(sqlState(error) ?? "");

const isConnectionError = (error: unknown): boolean =>
  error instanceof Error &&
  "code" in error &&
  /^(ERR_POSTGRES_|E[A-Z]+$)/.test(String(error.code)) &&
  error.code !== "ERR_POSTGRES_SERVER_ERROR";

// Why: query parameters are read one way everywhere: the first of a name counts, what is wrong is named and never repeated.
// It must never read a name its operation does not declare.
import type { Refusal } from "@nexus/protocol/failures.ts";

/** 422 with the parameter as pointer, as if the query were a flat object. */
export const invalidQuery = (name: string, detail: string): Refusal => ({
  code: "validation_error",
  detail: "The query does not match the contract",
  fields: [{ pointer: `/${name}`, detail }],
});

/** 422 with the brace's name as pointer, as if the path were a flat object. */
export const invalidPath = (name: string, detail: string): Refusal => ({
  code: "validation_error",
  detail: "The path does not match the contract",
  fields: [{ pointer: `/${name}`, detail }],
});

export const MAX_LIMIT = 1000;
export const DEFAULT_LIMIT = 50;

/** `limit`: 1-1000, 50 when absent. Otherwise `validation_error`. */
export const readLimit = (query: URLSearchParams): number | Refusal =>
  readWhole(query, "limit", { min: 1, max: MAX_LIMIT }) ?? DEFAULT_LIMIT;

/** `before`: an offset from 1 on, undefined when absent. Otherwise `validation_error`. */
export const readBefore = (query: URLSearchParams): number | undefined | Refusal =>
  readWhole(query, "before", { min: 1, max: Number.MAX_SAFE_INTEGER });

/** `true` or `false`; false when absent. Otherwise `validation_error`. */
export function readFlag(query: URLSearchParams, name: string): boolean | Refusal {
  const text = query.get(name);
  if (text === null || text === "false") return false;
  return text === "true" || invalidQuery(name, "must be true or false");
}

function readWhole(
  query: URLSearchParams,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined | Refusal {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : invalidQuery(name, `must be a whole number from ${min} to ${max}`);
}

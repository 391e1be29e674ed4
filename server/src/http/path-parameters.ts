// Why: what stands for a brace of a path may be no text at all: `%zz`, or bytes that are no UTF-8. The router gives null for
// those, whatever its types say. It must never let one through: handlers trust their parameters to be text.
import type { Refusal } from "@nexus/protocol/failures.ts";

/**
 * `validation_error` that names each parameter that is no percent-encoded UTF-8. `params`: as the router decoded them,
 * undefined for a path without braces.
 */
export function parametersError(params: Readonly<Record<string, string | null>> | undefined): Refusal | undefined {
  if (params === undefined) return undefined; // every publish comes by here
  const wrong = Object.keys(params).filter((name) => typeof params[name] !== "string");
  if (wrong.length === 0) return undefined;
  const fields = wrong.map((name) => ({ pointer: `/${name}`, detail: "must be percent-encoded UTF-8" }));
  return { code: "validation_error", detail: "The path does not match the contract", fields };
}

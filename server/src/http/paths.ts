// Why: which methods a path serves, for 405, OPTIONS and HEAD, from the same list the routes are made of.
// It must never be asked on the way of a request that has a route.
import { LISTEN_ENDPOINTS, OPERATIONS } from "@nexus/protocol/rest/operations.ts";

/** `/api/v1/channels/{name}` → `/api/v1/channels/:name`, as the router wants it. */
export const routePath = (path: string): string => path.replace(/\{(\w+)\}/g, ":$1");

const shapes = [...OPERATIONS, ...LISTEN_ENDPOINTS].map(({ method, path }) => ({
  method,
  pattern: new RegExp(`^${path.replace(/[.]/g, "\\.").replace(/\{\w+\}/g, "[^/]+")}$`),
}));

/** Methods declared for a path, HEAD and OPTIONS included; empty for a path nobody declared. */
export function methodsOf(path: string): readonly string[] {
  const declared = new Set<string>();
  for (const { method, pattern } of shapes) if (pattern.test(path)) declared.add(method);
  if (declared.size === 0) return [];
  if (declared.has("GET")) declared.add("HEAD");
  return [...declared, "OPTIONS"];
}

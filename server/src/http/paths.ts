// Why: which methods a path serves, for 405, OPTIONS and HEAD, from the same list the routes are made of.
// It must never be asked on the way of a request that has a route.
import { LISTEN_ENDPOINTS, OPERATIONS } from "@nexus/protocol/rest/operations.ts";

/** `/api/v1/channels/{name}` → `/api/v1/channels/:name`, as the router wants it. */
export const routePath = (path: string): string => path.replace(/\{(\w+)\}/g, ":$1");

const shapes = [...OPERATIONS, ...LISTEN_ENDPOINTS].map(({ method, path }) => ({
  ...{ method, path },
  pattern: new RegExp(`^${path.replace(/[.]/g, "\\.").replace(/\{\w+\}/g, "[^/]+")}$`),
}));

/** What the path means: a path without braces wins over one with braces that would match it too (OpenAPI 3.1 section 4.8.8.2). */
function meantBy(path: string): readonly (typeof shapes)[number][] {
  const matching = shapes.filter(({ pattern }) => pattern.test(path));
  const literal = matching.filter((shape) => shape.path === path);
  return literal.length > 0 ? literal : matching;
}

/** Declared paths that a path with braces would answer by a method they do not have: `GET /api/v1/notifications/send`. */
export const SHADOWED: readonly { readonly method: "GET" | "POST" | "PUT" | "DELETE"; readonly path: string }[] = shapes
  .filter(({ path }) => !path.includes("{"))
  .flatMap(({ path }) => {
    const own: readonly string[] = meantBy(path).map(({ method }) => method);
    return shapes.filter(({ method, pattern }) => pattern.test(path) && !own.includes(method)).map(({ method }) => ({ method, path }));
  });

/** Methods declared for a path, HEAD and OPTIONS included; empty for a path nobody declared. */
export function methodsOf(path: string): readonly string[] {
  const declared = new Set<string>(meantBy(path).map(({ method }) => method));
  if (declared.size === 0) return [];
  if (declared.has("GET")) declared.add("HEAD");
  return [...declared, "OPTIONS"];
}

// Why: the import directions of docs/architecture.md as data and one pure function, so that the test of the tree and
// the test of the rule share them. It reads import texts itself: Bun's scanImports leaves out `import type`.
import { dirname, join, normalize } from "node:path";

/** A file's layer, or undefined for a file outside every product folder (scripts, tests). */
export type Layer = { readonly product: string; readonly name: string };

const SERVER: Readonly<Record<string, number>> = {
  "package.json": 0,
  core: 1,
  adapters: 2,
  http: 2,
  sse: 2,
  ws: 2,
  admin: 2,
  ops: 2,
  "public-listener.ts": 2,
  "app.ts": 3,
  "configured.ts": 3,
  // What a whole server and one of several processes share, then both, then the one that chooses between them.
  "assembly.ts": 4,
  "server.ts": 5,
  processes: 5,
  "main.ts": 6,
};
const OPERATOR: Readonly<Record<string, number>> = {
  "package.json": 0,
  "options.ts": 0,
  desired: 1,
  status: 1,
  plan: 1,
  loop: 2,
  kube: 3,
  "check.ts": 4,
  "leading.ts": 4,
  "main.ts": 5,
};
const RANKS: Readonly<Record<string, Readonly<Record<string, number>>>> = { server: SERVER, operator: OPERATOR };
/** Which other products a product may import. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  tracing: [],
  server: ["protocol", "tracing"],
  operator: ["protocol", "tracing"],
  client: ["protocol"],
  cli: ["protocol", "tracing", "server", "operator", "client", "examples"],
  examples: [], // texts that `nexus init` writes
};

/** Folders of the root that the program is made of. */
export const PRODUCTS: readonly string[] = Object.keys(MAY);

export function layerOf(path: string): Layer | undefined {
  const [product = "", next = "", third = ""] = path.split("/");
  if (!(product in MAY)) return undefined;
  return { product, name: next === "src" ? third : next };
}

/** Whether a file of layer `from` may import one of layer `to`. A folder nobody listed is never allowed. */
export function allowed(from: Layer, to: Layer): boolean {
  if (from.product !== to.product) return MAY[from.product]?.includes(to.product) ?? false;
  const ranks = RANKS[from.product];
  if (!ranks) return true; // protocol, tracing, client, cli have no layers of their own
  if (from.name === to.name) return true;
  const [lower = Number.NaN, higher = Number.NaN] = [ranks[to.name], ranks[from.name]];
  return lower < higher;
}

/** Every module a text imports, re-exports or loads lazily, type imports included. */
export function importsOf(text: string): readonly string[] {
  const code = text.replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
  const found = new Set<string>();
  for (const match of code.matchAll(/(?:^|[;\n}])\s*(?:import|export)\b[^"';]*?\bfrom\s*["']([^"']+)["']/g)) found.add(match[1] ?? "");
  for (const match of code.matchAll(/(?:^|[;\n])\s*import\s*["']([^"']+)["']/g)) found.add(match[1] ?? "");
  for (const match of code.matchAll(/\bimport\s*\(\s*["']([^"']+)["']/g)) found.add(match[1] ?? "");
  return [...found];
}

/** The repository path an import points to, or undefined for a package that is not ours. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return normalize(join(dirname(from), specifier));
  const ours = /^@nexus\/(\w+)\/(.+)$/.exec(specifier);
  if (!ours) return undefined;
  return ours[1] === "protocol" ? `protocol/${ours[2]}` : `${ours[1]}/src/${ours[2]}`;
}

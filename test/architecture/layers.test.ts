// Why: layers that only a document promises erode. This reads every source file and fails on an import that points up.
import { describe, expect, test } from "bun:test";
import { Glob } from "bun";
import { allowed, importsOf, type Layer, layerOf, resolveImport } from "./layers.ts";

const root = new URL("../..", import.meta.url).pathname;

async function sources(): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const path of new Glob("{protocol,tracing,server,operator,client,cli}/**/*.ts").scan({ cwd: root })) {
    if (!path.includes("node_modules/")) found.push(path);
  }
  return found.sort();
}

const layer = (product: string, name: string): Layer => ({ product, name });

describe("the rule", () => {
  test.each([
    [layer("server", "core"), layer("protocol", "frames.ts"), true],
    [layer("server", "ws"), layer("server", "core"), true],
    [layer("server", "core"), layer("server", "ws"), false],
    [layer("server", "ws"), layer("server", "http"), false],
    [layer("server", "core"), layer("operator", "desired"), false],
    [layer("operator", "kube"), layer("operator", "loop"), true],
    [layer("operator", "loop"), layer("operator", "kube"), false],
    [layer("operator", "desired"), layer("operator", "status"), false],
    [layer("server", "main.ts"), layer("server", "adapters"), true],
    [layer("server", "nobody-listed-this"), layer("server", "core"), false],
    [layer("client", "client.ts"), layer("server", "core"), false],
    [layer("protocol", "frames.ts"), layer("client", "client.ts"), false],
    [layer("server", "app.ts"), layer("cli", "main.ts"), false],
  ] as const)("%o may import %o: %p", (from, to, expected) => {
    expect(allowed(from, to)).toBe(expected);
  });

  test("sees type imports, re-exports, side effects and lazy imports", () => {
    const text = [
      'import type { A } from "./a.ts";',
      "import {\n  b,\n  type C,\n} from './b.ts';",
      'export * from "./c.ts";',
      'import "./d.ts";',
      'const e = await import("./e.ts");',
      '// import { no } from "./no.ts";',
    ].join("\n");
    expect([...importsOf(text)].sort()).toEqual(["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./e.ts"]);
  });
});

test("no source file imports against the direction of the layers", async () => {
  const files = await sources();
  expect(files.length).toBeGreaterThan(10);
  const wrong: string[] = [];
  for (const file of files) {
    const from = layerOf(file);
    if (!from) continue;
    for (const specifier of importsOf(await Bun.file(`${root}/${file}`).text())) {
      const target = resolveImport(file, specifier);
      const to = target === undefined ? undefined : layerOf(target);
      if (to ? !allowed(from, to) : target !== undefined) wrong.push(`${file} imports ${specifier}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("no import between siblings goes in a circle", async () => {
  const edges = new Map<string, readonly string[]>();
  for (const file of await sources()) {
    const targets = importsOf(await Bun.file(`${root}/${file}`).text()).flatMap((specifier) => resolveImport(file, specifier) ?? []);
    edges.set(file, targets);
  }
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
      return;
    }
    if (done.has(file)) return;
    for (const target of edges.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of edges.keys()) visit(file, []);
  expect(circles).toEqual([]);
});

test("nobody imports the CLI, and the client has no dependency but the protocol", async () => {
  const manifest: { dependencies?: Record<string, string> } = await Bun.file(`${root}/client/package.json`).json();
  expect(Object.keys(manifest.dependencies ?? {})).toEqual(["@nexus/protocol"]);
});

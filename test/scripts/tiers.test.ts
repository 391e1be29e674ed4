// Why: a test that no tier runs proves nothing, and nobody notices.
import { expect, test } from "bun:test";
import { Glob } from "bun";
import { patienceOf, TIERS } from "../../scripts/tiers/tiers.ts";

const root = new URL("../..", import.meta.url).pathname;
const patternOf = (path: string) => new Glob(path.endsWith(".ts") ? path : `${path}/**/*.test.ts`);

test("every test file belongs to exactly one tier", async () => {
  const patterns = TIERS.flatMap(({ name, paths }) => paths.map((path) => [name, patternOf(path)] as const));
  const files = [...new Glob("test/**/*.test.ts").scanSync({ cwd: root })];
  expect(files.length).toBeGreaterThan(100);
  const tiersOf = (file: string) => patterns.filter(([, pattern]) => pattern.match(file)).map(([name]) => name);
  expect(files.map((file) => [file, tiersOf(file)]).filter(([, tiers]) => tiers?.length !== 1)).toEqual([]);
});

test("a wait ends before its test does, and never sooner than a slow machine needs", () => {
  for (const tier of TIERS) {
    expect(patienceOf(tier)).toBeLessThan(tier.timeoutMs);
    expect(patienceOf(tier)).toBeGreaterThanOrEqual(15_000);
  }
});

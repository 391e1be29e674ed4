// Why: the page of scenarios is a promise to users; it must say what the tests show, all of it, and nothing else.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { PAGE, scenariosPage } from "../e2e/control-plane/scenarios/page.ts";
import { testName } from "../e2e/control-plane/scenarios/scenario.ts";
import { TABLE } from "../e2e/control-plane/scenarios/table.ts";

const rows = TABLE.flatMap((chapter) => chapter.rows);

test("docs/scenarios.md is what the rows say; write it with `bun test/e2e/control-plane/scenarios/page.ts`", async () => {
  expect(await Bun.file(join(import.meta.dir, "../..", PAGE)).text()).toBe(scenariosPage());
});

test("there are at least forty scenarios, each from a report of its own, each with a name of its own", () => {
  expect(rows.length).toBeGreaterThanOrEqual(40);
  expect(new Set(rows.map(({ source }) => source)).size).toBe(rows.length);
  expect(new Set(rows.map(testName)).size).toBe(rows.length);
  for (const { source, title, symptom, answer } of rows) {
    expect(source).toMatch(/^[\w.-]+\/[\w.-]+#\d+$/);
    for (const text of [title, symptom, answer]) expect(text).toMatch(/^\S.{10,}[^.\s]$/);
  }
});

test("every chapter is run by the test file it names", async () => {
  for (const { test: file, rows: some } of TABLE) {
    const path = join(import.meta.dir, "../e2e/control-plane/scenarios", file);
    expect(some.length).toBeGreaterThan(0);
    expect(await Bun.file(path).exists()).toBe(true);
  }
});

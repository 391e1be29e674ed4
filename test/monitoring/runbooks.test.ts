// Why: what a page tells a woken person to paste into Prometheus has to be taken by it. Our own check reads names and labels; this
// asks Prometheus' tool about the rest: types, ranges, functions of the release that people run.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { readPages } from "../../scripts/check/monitoring/load.ts";
import { promqlIn } from "../../scripts/check/monitoring/page.ts";
import { ensurePackages } from "../support/apt.ts";
import { checkRules } from "../support/monitoring/promtool.ts";

const missing = await ensurePackages(["prometheus"]);
if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`);

const pages = await readPages(join(import.meta.dir, "../.."));

/** A group for each page, so that a complaint of promtool names it. */
const groups = [...pages].flatMap(([path, text]) => {
  const name = path.replaceAll(/\W/g, "_");
  const rules = promqlIn(text).map((expr, index) => ({ record: `${name}:${index}`, expr }));
  return rules.length === 0 ? [] : [{ name: path, rules }];
});

test.skipIf(missing !== undefined)("Prometheus takes every expression of every page", async () => {
  expect(groups.filter(({ name }) => name.startsWith("docs/runbooks/")).length).toBeGreaterThanOrEqual(80);
  const { isOk, output } = await checkRules(groups);
  if (!isOk) expect(output).toBe("");
  expect(output).toContain(`${groups.reduce((sum, { rules }) => sum + rules.length, 0)} rules found`);
});

test.skipIf(missing !== undefined)("and would not take one of another type", async () => {
  const { isOk, output } = await checkRules([{ name: "docs/a.md", rules: [{ record: "page:expression:0", expr: "rate(sum(up))" }] }]);
  expect(isOk).toBe(false);
  expect(output).toContain("docs/a.md");
});

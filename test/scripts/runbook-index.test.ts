// Why: a symptom that leads to no alert, or an alert no symptom leads to, is found at night.
import { expect, test } from "bun:test";
import { allAlerts, runbookIndex, SYMPTOMS } from "../../scripts/generate/runbook-index.ts";

test("every alert belongs to a symptom, and every symptom names alerts that exist", () => {
  const named = new Set(SYMPTOMS.flatMap(({ alerts }) => alerts));
  expect([...named].sort()).toEqual(allAlerts().map(({ name }) => name));
  for (const { alerts } of SYMPTOMS) expect(new Set(alerts).size).toBe(alerts.length);
});

test("the index has each alert under its own severity, with its page's line and promise", () => {
  const text = runbookIndex();
  const under = (heading: string) => text.split(`## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  expect(allAlerts().length).toBeGreaterThanOrEqual(80);
  for (const { name, severity } of allAlerts()) {
    const heading = { critical: "Critical", warning: "Warning", info: "Info" }[severity];
    expect(under(heading)).toMatch(new RegExp(`^\\| \\[${name}\\]\\(${name}\\.md\\) \\| \\S.+\\. \\| \\d+ (min|h) \\|$`, "m"));
  }
});

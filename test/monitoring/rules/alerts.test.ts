// Why: each alert is asked four questions by Prometheus' own tool: does it fire, after exactly its time and with its numbers; is it
// silent when all is well, and on its threshold; and what if something it needs is missing.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import { ensurePackages } from "../../support/apt.ts";
import { promtool } from "../../support/monitoring/promtool.ts";
import { nameOf } from "./cases/case.ts";
import { ALERT_CASES, CASE_SETS, type CaseSet } from "./cases/index.ts";
import { alertsIn, metricsIn, type PromtoolTest, STEP_SECONDS, silence, testsOf } from "./promtool-tests.ts";

setDefaultTimeout(180_000);

const missing = await ensurePackages(["prometheus"]);
if (missing) process.stderr.write(`nexus: alerts are not judged: ${missing}\n`);

const everyAlert = CASE_SETS.flatMap(({ groups }) => alertsIn(groups));

test("every alert has one case, and every case an alert", () => {
  const names = everyAlert.map(({ name }) => name).sort();
  expect(ALERT_CASES.map(({ alert }) => alert).sort()).toEqual(names);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(35);
});

test.each(CASE_SETS)("what is silent has what the expression asks for: $name", ({ groups, cases }) => {
  for (const { name, expr } of alertsIn(groups)) {
    const silent = cases.find(({ alert }) => alert === name)?.silent ?? {};
    const there = new Set(Object.keys(silent).map(nameOf));
    const asked = metricsIn(expr).filter((metric) => !metric.includes("ratio_rate") && !there.has(metric));
    expect({ name, asked }).toEqual({ name, asked: [] });
  }
});

/** All that a set is asked. Worlds in which all is well are shared by many alerts, and run once. */
function testsOfSet({ groups, cases, scope }: CaseSet): readonly PromtoolTest[] {
  const alerts = alertsIn(groups);
  const own = cases.flatMap((one) => alerts.filter(({ name }) => name === one.alert).flatMap((alert) => testsOf(alert, one, scope)));
  const worlds = [...new Set(cases.map(({ silent }) => silent))];
  const silent = worlds.map((world) =>
    silence(
      cases.filter((one) => one.silent === world).map(({ alert }) => alert),
      world,
      scope,
    ),
  );
  return [...own, ...silent];
}

describe.skipIf(missing !== undefined)("promtool", () => {
  test.each(CASE_SETS)("fires, is silent, at its boundary, with series missing: $name", async (set) => {
    const folder = await mkdtemp(join(tmpdir(), "nexus-alerts-"));
    try {
      await Bun.write(join(folder, "rules.json"), JSON.stringify({ groups: renderGroups(set.groups) }));
      const tests = testsOfSet(set);
      expect(tests.length).toBeGreaterThanOrEqual(3 * set.cases.length + 1);
      const file = join(folder, "tests.json"); // JSON is YAML
      // promtool of Debian 12 does not know names of tests; newer ones show them.
      const unnamed = tests.map(({ name: _name, ...rest }) => rest);
      const order = set.groups.map(({ name }) => name); // or it takes groups in any order, and what is recorded comes a step late
      const settings = { rule_files: ["rules.json"], evaluation_interval: `${STEP_SECONDS}s`, group_eval_order: order };
      await Bun.write(file, JSON.stringify({ ...settings, tests: unnamed }));
      expect(await promtool(["test", "rules", file])).toMatchObject({ isOk: true });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

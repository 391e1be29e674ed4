// Why: an alert is worth what it does on the night: ten faults are provoked in real fleets under a real operator, and the right alert
// has to fire within the time its page promises, while everything else stays silent.
import { beforeAll, describe, expect, test } from "bun:test";
import { ensurePackages } from "../support/apt.ts";
import { unavailableTier } from "../support/cluster/tiers.ts";
import { FAULTS } from "./faults/faults.ts";
import { problemsOf, strangersOf } from "./faults/judge.ts";
import { promisesOf } from "./faults/pages.ts";
import type { Report } from "./faults/report.ts";
import { provoke } from "./faults/run.ts";
import { HEADER, rowOf } from "./faults/table.ts";

const missing = (await unavailableTier("control-plane")) ?? (await ensurePackages(["prometheus", "redis-server"]));
if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`);

describe.skipIf(missing !== undefined)("ten faults", () => {
  let report: Report;
  beforeAll(async () => {
    report = await provoke(FAULTS, await promisesOf(FAULTS.map(({ alert }) => alert)));
    process.stderr.write(`${[HEADER, ...report.accounts.map((account) => rowOf(account, report))].join("\n")}\n`);
  }, 900_000);

  test.each(FAULTS.map((fault) => [fault.name, fault.alert, fault] as const))(
    "%s: %s fires in time, and nothing without a reason",
    (_name, _alert, fault) => {
      const account = report.accounts.find((one) => one.fault === fault);
      expect(account && problemsOf(account, report)).toEqual([]);
    },
  );

  test("nothing fires before, and nothing that is of no fault", () => {
    expect(strangersOf(report, FAULTS)).toEqual([]);
  });
});

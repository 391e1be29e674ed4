// Why: a dashboard that Grafana reads differently than it was meant is broken where nobody tests it. Every one is read by Grafana's
// own library, strictly: unknown and missing fields, wrong types and values out of bounds are refused.
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { renderDashboard } from "@nexus/operator/desired/monitoring/dashboards/render.ts";
import { clusterDashboards, fixedDashboards } from "@nexus/operator/desired/monitoring/dashboards/sets.ts";
import { SAMPLES } from "../../scripts/check/monitoring/samples.ts";
import { ensureBinaries, unavailableBinaries } from "../support/cluster/binaries.ts";
import { complaintsOfGrafana } from "../support/monitoring/grafana-schema.ts";

setDefaultTimeout(30_000);
const reason = unavailableBinaries(["grafana-dashboard"]);
if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`);

beforeAll(async () => {
  if (reason === undefined) await ensureBinaries(["grafana-dashboard"]);
}, 300_000);

const all = [...SAMPLES.flatMap(clusterDashboards), ...fixedDashboards()].map((one) => renderDashboard(one));

test.skipIf(reason !== undefined)("Grafana's library takes every dashboard", async () => {
  expect(await complaintsOfGrafana(all)).toEqual(all.map(() => ""));
  expect(all.length).toBeGreaterThan(8);
});

/** A copy of the overview with one text in it replaced. */
const broken = (from: string, to: string): object => {
  const [overview] = all.slice(-2);
  const text = JSON.stringify(overview);
  expect(text).toContain(from);
  return JSON.parse(text.replace(from, to));
};

test.skipIf(reason !== undefined).each([
  ["a field nobody knows", '"editorMode":"code"', '"editorMood":"code"', "unexpected field 'editorMood'"],
  ["a field that is missing", '"annotations":{"list":[]},', "", "annotations: required field is missing"],
  ["a wrong type", '"schemaVersion":39', '"schemaVersion":"39"', "schemaVersion"],
  ["a panel wider than the page", '"w":24,"h":10', '"w":25,"h":10', "gridPos.w: must be <= 24"],
  ["a unit Grafana does not have", '"unit":"mps"', '"unit":"messages"', 'has the unit "messages"'],
])("and refuses %s", async (_what, from, to, words) => {
  expect(await complaintsOfGrafana([broken(from, to)])).toEqual([expect.stringContaining(words)]);
});

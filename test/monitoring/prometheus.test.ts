// Why: what the other tests here believe of Prometheus: it scrapes with our labels, evaluates our rules every second, and says
// which alerts fire. If this fails, the others prove nothing.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { RuleGroup } from "@nexus/operator/desired/monitoring/rules/model.ts";
import { renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import { ensurePackages } from "../support/apt.ts";
import { eventually } from "../support/eventually.ts";
import { type Prometheus, startPrometheus, type Target } from "../support/monitoring/prometheus.ts";
import { checkRules, testRules } from "../support/monitoring/promtool.ts";

const missing = await ensurePackages(["prometheus"]);
if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`);

let level = 1;
const told = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () => new Response(`# TYPE height_meters gauge\nheight_meters{side="north"} ${level}\n`),
});
const target: Target = { address: `127.0.0.1:${told.port}`, labels: { namespace: "shop", nexus_cluster: "main", pod: "main-server-1" } };
const tall: RuleGroup = {
  name: "heights",
  rules: [
    {
      ...{ name: "NexusTall", expr: "height_meters > 5", forSeconds: 1, severity: "warning" },
      ...{ summary: "{{ $labels.pod }} is tall", description: "{{ $value }} metres." },
    },
  ],
};

let prometheus: Prometheus;
beforeAll(async () => {
  if (missing === undefined) prometheus = await startPrometheus({ targets: [target], groups: renderGroups([tall]) });
}, 60_000);
afterAll(async () => {
  await prometheus?.[Symbol.asyncDispose]();
  await told.stop(true);
});

test.skipIf(missing !== undefined)("series carry the labels a target was given", async () => {
  await prometheus.everyTargetUp();
  const [sample] = await prometheus.query('height_meters{side="north"}');
  expect(sample).toEqual({
    value: 1,
    labels: { __name__: "height_meters", side: "north", job: "tests", instance: target.address, ...target.labels },
  });
  expect(prometheus.query("height_meters{")).rejects.toThrow("parse error");
});

test.skipIf(missing !== undefined)("an alert fires with its words and its page, and resolves", async () => {
  expect(await prometheus.alerts()).toEqual([]);
  level = 9;
  const fires = async () => (await prometheus.alerts()).find(({ state }) => state === "firing");
  const alert = await eventually("the alert fires", fires, { timeoutMs: 15_000 });
  expect(alert.labels).toMatchObject({ alertname: "NexusTall", severity: "warning", nexus_cluster: "main" });
  expect(alert.annotations).toEqual({
    ...{ summary: "main-server-1 is tall", description: "9 metres." },
    runbook_url: "https://nexus.dev/runbooks/NexusTall",
  });
  level = 1;
  await eventually("the alert resolves", async () => (await prometheus.alerts()).length === 0, { timeoutMs: 15_000 });
});

test.skipIf(missing !== undefined)("targets and rules can be exchanged while it runs", async () => {
  const moved = { ...target, labels: { ...target.labels, pod: "main-server-2" } };
  await prometheus.setTargets([moved]);
  await eventually("the new target was scraped", async () => (await prometheus.query('height_meters{pod="main-server-2"}')).length === 1);
  await prometheus.setRules(renderGroups([{ name: "heights", rules: [{ record: "height:double", expr: "2 * height_meters" }] }]));
  await eventually("the new rule was evaluated", async () => (await prometheus.query("height:double")).at(0)?.value === 2);
  const end = Date.now() / 1000;
  const [series] = await prometheus.queryRange("height_meters", { start: end - 10, end, stepSeconds: 1 });
  expect(series?.points.at(-1)?.[1]).toBe(1);
  expect(prometheus.setRules([{ name: "heights", rules: [{ record: "height:half", expr: "height_meters /" }] }])).rejects.toThrow();
});

test.skipIf(missing !== undefined)("promtool judges rules and their tests", async () => {
  const groups = renderGroups([tall]);
  expect(await checkRules(groups)).toMatchObject({ isOk: true });
  expect(await checkRules([{ name: "x", rules: [{ record: "a:b", expr: "sum by (" }] }])).toMatchObject({ isOk: false });
  const tests = (values: string) => ({
    evaluation_interval: "1s",
    tests: [
      {
        ...{ interval: "1s", input_series: [{ series: 'height_meters{pod="a"}', values }] },
        alert_rule_test: [
          {
            ...{ eval_time: "5s", alertname: "NexusTall" },
            exp_alerts: [
              {
                exp_labels: { severity: "warning", pod: "a" },
                exp_annotations: { summary: "a is tall", description: "9 metres.", runbook_url: "https://nexus.dev/runbooks/NexusTall" },
              },
            ],
          },
        ],
      },
    ],
  });
  expect(await testRules(groups, tests("9x10"))).toMatchObject({ isOk: true });
  expect(await testRules(groups, tests("1x10"))).toMatchObject({ isOk: false });
});

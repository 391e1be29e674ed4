// Why: how soon a burn rate fires depends on the good days before, which no rule says in one number; the pages promise one. Here the
// fleet has three good days and then fails whole, and Prometheus' own tool is asked when somebody would have been woken.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { isAlert } from "@nexus/operator/desired/monitoring/rules/model.ts";
import { renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import { seriesOf } from "@nexus/operator/desired/monitoring/rules/series.ts";
import { sloGroups } from "@nexus/operator/desired/monitoring/rules/slo.ts";
import { firesWithinSeconds } from "../../scripts/check/monitoring/page.ts";
import { aCluster } from "../operator/bundle/fixtures.ts";
import { ensurePackages } from "../support/apt.ts";
import { testRules } from "../support/monitoring/promtool.ts";

const missing = await ensurePackages(["prometheus"]);
if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`);

/** Coarser than in life, so that three days are quick; the shares of windows are the same. */
const STEP_SECONDS = 120;
const GOOD_SECONDS = 3 * 86_400;
const GOOD = GOOD_SECONDS / STEP_SECONDS;
const BAD = (4 * 3_600) / STEP_SECONDS;
const EVENTS = 1_200;

/** Rises while all is well, and stands still afterwards; the other way round. */
const well = `0+${EVENTS}x${GOOD} ${EVENTS * GOOD}+0x${BAD}`;
const failed = `0+0x${GOOD} ${EVENTS}+${EVENTS}x${BAD}`;
const always = `0+${EVENTS}x${GOOD + BAD}`;

const labels = 'namespace="prod",nexus_cluster="live",pod="live-a"';
const SERIES: Readonly<Record<string, string>> = {
  [`nexus_deliveries_total{${labels},transport="websocket"}`]: well,
  [`nexus_publishes_total{${labels},stream="inbox",outcome="failed"}`]: failed,
  [`nexus_delivery_latency_seconds_count{${labels}}`]: always,
  [`nexus_delivery_latency_seconds_bucket{${labels},le="0.5"}`]: well,
  [`nexus_handshakes_total{${labels},transport="websocket",outcome="accepted"}`]: well,
  [`nexus_handshakes_total{${labels},transport="websocket",outcome="failed"}`]: failed,
};

const cluster = aCluster();
const groups = sloGroups(cluster, seriesOf({ namespace: "prod", nexus_cluster: "live" }));
const alerts = groups.flatMap(({ rules }) => rules).filter(isAlert);

test.skipIf(missing !== undefined)(
  "after three good days each burn rate fires within what its page promises, and is silent before",
  async () => {
    expect(alerts.length).toBe(9);
    const rendered = renderGroups(groups).map(({ name, rules }) => ({ name, rules })); // at this step, not their own
    const firing = (name: string) => `count(ALERTS{alertname="${name}",alertstate="firing"})`;
    const promises = await Promise.all(
      alerts.map(async ({ name }) => ({
        name,
        seconds: firesWithinSeconds(await Bun.file(join(import.meta.dir, `../../docs/runbooks/${name}.md`)).text()) ?? Number.NaN,
      })),
    );
    const { isOk, output } = await testRules(rendered, {
      evaluation_interval: `${STEP_SECONDS}s`,
      tests: [
        {
          interval: `${STEP_SECONDS}s`,
          input_series: Object.entries(SERIES).map(([series, values]) => ({ series, values })),
          promql_expr_test: promises.flatMap(({ name, seconds }) => [
            { expr: firing(name), eval_time: `${GOOD_SECONDS}s`, exp_samples: [] },
            { expr: firing(name), eval_time: `${GOOD_SECONDS + seconds}s`, exp_samples: [{ labels: "{}", value: 1 }] },
          ]),
        },
      ],
    });
    if (!isOk) expect(output).toBe("");
  },
  120_000,
);

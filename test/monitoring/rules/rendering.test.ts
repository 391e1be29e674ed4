// Why: what the rules promise beyond single alerts: thresholds follow the custom resource, nothing is asked of another fleet's
// series, the same resource gives the same bytes, and promtool accepts the file.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { clusterRules } from "@nexus/operator/desired/monitoring/rules/cluster.ts";
import { duration, type RuleGroup } from "@nexus/operator/desired/monitoring/rules/model.ts";
import { operatorRules } from "@nexus/operator/desired/monitoring/rules/operator.ts";
import { renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import { burnThreshold, LATENCY_BOUNDS, latencyBound, leMatcher, objectiveOf } from "@nexus/operator/desired/monitoring/rules/slo.ts";
import { METRICS } from "@nexus/server/adapters/metrics-table.ts";
import { aCluster } from "../../operator/bundle/fixtures.ts";
import { ensurePackages } from "../../support/apt.ts";
import { checkRules, promtool, testRules } from "../../support/monitoring/promtool.ts";
import { FULL_CLUSTER, OPERATOR_JOB } from "./cases/index.ts";
import { alertsIn } from "./promtool-tests.ts";

setDefaultTimeout(60_000);

const missing = await ensurePackages(["prometheus"]);
const expr = (groups: readonly RuleGroup[], alert: string) => alertsIn(groups).find(({ name }) => name === alert)?.expr;
const names = (groups: readonly RuleGroup[]) => alertsIn(groups).map(({ name }) => name);
const every = [...clusterRules(FULL_CLUSTER), ...operatorRules({ job: OPERATOR_JOB })];
const REDIS = { redis: { mode: "Managed" } };

test("the same resource gives the same bytes, 200 times", () => {
  const text = () => JSON.stringify(renderGroups([...clusterRules(FULL_CLUSTER), ...operatorRules({ job: OPERATOR_JOB })]));
  const first = text();
  for (let i = 0; i < 200; i++) expect(text()).toBe(first);
});

test("every selector names its fleet, or its operator, and braces are never left out", () => {
  const exprs = every.flatMap(({ rules }) => rules.map((rule) => rule.expr));
  const selectors = exprs.flatMap((one) => [...one.matchAll(/\{[^}]*\}/g)].map(([text]) => text));
  expect(selectors.length).toBeGreaterThan(150);
  const strange = selectors.filter(
    (one) => !one.startsWith('{namespace="prod",nexus_cluster="live"') && !one.startsWith(`{job="${OPERATOR_JOB}"`),
  );
  expect(strange).toEqual([]);
  const labels = ["nexus_cluster", "nexus_namespace"];
  const metrics = exprs.flatMap((one) => [
    ...one
      .replace(/"[^"]*"/g, "")
      .matchAll(/(?<![\w:])(?:nexus|process|nodejs|workqueue|rest_client|controller_runtime|up)[\w:]*(?![\w:{])/g),
  ]);
  expect(metrics.map(([text]) => text).filter((text) => !labels.includes(text))).toEqual([]);
});

test("names that a matcher has to escape are escaped", () => {
  const [group] = operatorRules({ job: 'a"b\\c' });
  expect(group?.rules[0]?.expr).toBe('absent(leader_election_master_status{job="a\\"b\\\\c"} == 1)');
});

test("every alert has a severity, one line of summary, a whole sentence of description, and only templates that the tests understand", () => {
  for (const { name, severity, summary, description } of alertsIn(every)) {
    expect({ name, known: ["critical", "warning", "info"].includes(severity) }).toEqual({ name, known: true });
    expect({ name, isLine: summary.length > 10 && summary.length < 140 && !summary.includes("\n") }).toEqual({ name, isLine: true });
    expect({ name, isSentence: description.length > 80 && description.endsWith(".") }).toEqual({ name, isSentence: true });
    const templates = [...`${summary} ${description}`.matchAll(/\{\{.*?\}\}/g)].map(([text]) => text);
    const known = /^\{\{ \$(labels\.[a-z_]+|value( \| (humanize|humanize1024|humanizePercentage|humanizeDuration))?) \}\}$/;
    expect({ name, strange: templates.filter((text) => !known.test(text)) }).toEqual({ name, strange: [] });
  }
});

describe("thresholds follow the custom resource", () => {
  test("what is promised", () => {
    const groups = clusterRules(aCluster({ monitoring: { slo: { deliveryPercent: "99.5", latencyMilliseconds: 300 } } }));
    expect(expr(groups, "NexusDeliveryBudgetBurnsFast")).toContain("> 0.072 and");
    expect(expr(groups, "NexusHandshakeBudgetBurns")).toContain("> 0.03 and");
    expect(expr(groups, "NexusLatencyBudgetBurnsSlowly")).toContain("> 0.01 and");
    const recorded = groups.flatMap(({ rules }) => rules).find((rule) => "record" in rule && rule.record === "nexus:delivery_slow:rate5m");
    expect(recorded?.expr).toContain('le="0.25"');
  });

  test("limits, targets, drain and memory", () => {
    const spec = {
      ...REDIS,
      limits: { connectionsPerPod: 1234 },
      delivery: { drainSeconds: 120 },
      autoscaling: { maxReplicas: 3, targets: { connectionsPerPod: 600 } },
      pods: { resources: { limits: { memory: "512Mi", cpu: "20m" } } },
    };
    const groups = clusterRules(aCluster(spec));
    expect(expr(groups, "NexusConnectionsNearLimit")).toContain("/ 1234 > 0.8");
    expect(expr(groups, "NexusLoadAboveTarget")).toContain("/ (600 * ");
    expect(expr(groups, "NexusMemoryNearLimit")).toContain(`/ ${512 * 2 ** 20} > 0.9`);
    expect(expr(groups, "NexusSendQueuesGrow")).toContain(`> ${Math.floor(512 * 2 ** 20 * 0.2)}`);
    expect(expr(groups, "NexusReconnectStorm")).toContain("/ (10 * ");
    expect(alertsIn(groups).find(({ name }) => name === "NexusDrainTakesLong")?.forSeconds).toBe(180);
  });

  test("a cluster without limits has the defaults, and no alert on what nobody limited", () => {
    const groups = clusterRules(aCluster());
    expect(expr(groups, "NexusReconnectStorm")).toContain("/ (500 * ");
    expect(expr(groups, "NexusSendQueuesGrow")).toContain(`> ${128 * 2 ** 20}`);
    expect(names(groups)).not.toContain("NexusMemoryNearLimit");
  });

  test("limits that are numbers, and none that is no quantity", () => {
    const groups = (limits: unknown) => clusterRules(aCluster({ pods: { resources: { limits } } }));
    expect(expr(groups({ cpu: 4, memory: 1_000_000_000 }), "NexusReconnectStorm")).toContain("/ (500 * ");
    expect(expr(groups({ cpu: 4, memory: 1_000_000_000 }), "NexusMemoryNearLimit")).toContain("/ 1000000000 > ");
    expect(names(groups({ memory: ["1Gi"] }))).not.toContain("NexusMemoryNearLimit");
    expect(names(groups(null))).not.toContain("NexusMemoryNearLimit");
  });
});

test("a cluster has alerts about what it uses, and about nothing else", () => {
  const plain = names(clusterRules(aCluster()));
  for (const part of ["Redis", "Postgres", "Listener", "LoadAboveTarget", "Traces", "TriggersUnheard", "Rates", "Receipts"])
    expect(plain.filter((name) => name.includes(part))).toEqual([]);
  const full = names(clusterRules(FULL_CLUSTER));
  expect(plain.filter((name) => !full.includes(name))).toEqual([]);
  const silenced = aCluster({ ...REDIS, pods: { env: [{ name: "NEXUS_TRIGGERS_PUBSUB", value: "false" }] } });
  expect(names(clusterRules(silenced))).not.toContain("NexusTriggersUnheard");
  expect(names(clusterRules(aCluster(REDIS)))).toContain("NexusTriggersUnheard");
});

test("nobody is called because a fleet that is scaled to zero does not answer", () => {
  const zero = names(clusterRules(aCluster({ replicas: 0 })));
  expect(zero).not.toContain("NexusFleetDown");
  expect(zero).not.toContain("NexusFleetUnseen");
  expect(names(clusterRules(aCluster({ ...REDIS, replicas: 0, autoscaling: { maxReplicas: 3 } })))).toContain("NexusFleetDown");
});

test("a fleet of one pod in memory may be away while a rollout drains it, any other may not", () => {
  const waits = (spec: object) => alertsIn(clusterRules(aCluster(spec))).find(({ name }) => name === "NexusFleetDown")?.forSeconds;
  expect(waits({})).toBe(60 + 5 + 30);
  expect(waits({ delivery: { drainSeconds: 120 } })).toBe(60 + 5 + 120);
  expect(waits({ ...REDIS, delivery: { drainSeconds: 120 } })).toBe(60);
});

describe("bounds of latency", () => {
  test("are those of the servers' histogram", () => {
    expect([...METRICS.nexus_delivery_latency_seconds.buckets]).toEqual([...LATENCY_BOUNDS]);
  });

  test.each([
    [500, 0.5],
    [499, 0.25],
    [1, 0.001],
    [1999, 1],
    [60_000, 10],
  ])("an objective of %d ms is judged by the largest bound that is not above it: %d s", (milliseconds, bound) => {
    expect(latencyBound(milliseconds)).toBe(bound);
  });

  test("are found however Prometheus writes them: releases from 3 on store 1 as 1.0", () => {
    expect(leMatcher(0.25)).toBe('le="0.25"');
    expect(leMatcher(1)).toBe('le=~"1|1[.]0"');
    expect(new RegExp(`^(${leMatcher(10).slice(5, -1)})$`).test("1000")).toBe(false);
  });
});

describe("burn rates", () => {
  test.each([
    ["99.9", 14.4, 0.0144],
    ["99.95", 6, 0.003],
    ["99.9999", 1, 0.000001],
    ["99", 14.4, 0.144],
    ["90", 14.4, 0.95], // 144 % could never be reached
    ["50", 6, 0.95],
    ["0", 1, 1],
  ])("%s %% times %d is a share that can be reached: %d", (percent, factor, threshold) => {
    expect(burnThreshold(objectiveOf(percent), factor)).toBe(threshold);
  });
});

test.each([
  [0, "0s"],
  [90, "90s"],
  [120, "2m"],
  [3600, "1h"],
  [259_200, "3d"],
])("%d seconds are %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

describe.skipIf(missing !== undefined)("promtool", () => {
  test("accepts the rules of any cluster, and of the operator, also as the chart has them", async () => {
    for (const cluster of [aCluster(), aCluster(REDIS), FULL_CLUSTER])
      expect(await checkRules(renderGroups(clusterRules(cluster)))).toMatchObject({ isOk: true });
    expect(await promtool(["check", "rules", `${import.meta.dir}/../../../charts/nexus/files/monitoring/rules.yaml`])).toMatchObject({
      isOk: true,
    });
  });

  test("two fleets, one of which burns: nobody is called about the other", async () => {
    const other = aCluster({}, { namespace: "test" });
    const groups = [...clusterRules(aCluster()), ...clusterRules(other)].map((group, index) => ({
      ...group,
      name: `${group.name}-${index}`,
    }));
    const series = (namespace: string, outcome: string, values: string) => ({
      series: `nexus_publishes_total{namespace="${namespace}",nexus_cluster="live",pod="a",stream="inbox",outcome="${outcome}"}`,
      values,
    });
    const input = [
      ...[series("prod", "published", "0+50x100"), series("prod", "failed", "0+50x100")],
      ...[series("test", "published", "0+50x100"), series("test", "failed", "0+0x100")],
    ];
    const count = (namespace: string) => ({
      expr: `count(count_over_time(ALERTS{alertname=~"NexusPublishFailures|NexusDeliveryBudgetBurns.*",namespace="${namespace}"}[1h]) > 0)`,
      eval_time: "10m",
    });
    const verdict = await testRules(renderGroups(groups), {
      evaluation_interval: "30s",
      tests: [
        {
          interval: "30s",
          input_series: input,
          promql_expr_test: [
            { ...count("test"), exp_samples: [] },
            // Pending and firing: of four alerts.
            { ...count("prod"), exp_samples: [{ labels: "{}", value: 6 }] },
          ],
        },
      ],
    });
    expect(verdict).toMatchObject({ isOk: true });
  });
});

// Why: turns the cases of alerts into what `promtool test rules` reads. What the cases do not say, because it is the same for all,
// is said here: what a scrape adds, what an alert's labels and texts are made of, and that it is pending for exactly its time.
import { type Alert, isAlert, type RuleGroup } from "@nexus/operator/desired/monitoring/rules/model.ts";
import { RUNBOOK_BASE_URL, runbookURL } from "@nexus/operator/desired/monitoring/rules/render.ts";
import type { AlertCase, World } from "./cases/case.ts";

export const STEP_SECONDS = 30;
/** How long a world is looked at after an alert had its time to fire. */
const MARGIN_SECONDS = 600;

/** Whose series these are: what a scrape adds to each where it is not given, and what every alert of theirs has. */
export type Scope = { readonly scraped: Readonly<Record<string, string>>; readonly alerted: Readonly<Record<string, string>> };

type Sample = { readonly labels: string; readonly value: number };
type ExprTest = { readonly expr: string; readonly eval_time: string; readonly exp_samples: readonly Sample[] };
type AlertTest = {
  readonly alertname: string;
  readonly eval_time: string;
  readonly exp_alerts: readonly { readonly exp_labels: Readonly<Record<string, string>>; readonly exp_annotations: object }[];
};
export type PromtoolTest = {
  readonly name: string;
  readonly interval: string;
  readonly input_series: readonly { readonly series: string; readonly values: string }[];
  readonly alert_rule_test?: readonly AlertTest[];
  readonly promql_expr_test?: readonly ExprTest[];
};

/** `name{a="1"}` with what a scrape adds. */
export function scraped(selector: string, { scraped: added }: Scope): string {
  const [, name = "", inside = ""] = /^([^{]+)(?:\{(.*)\})?$/.exec(selector) ?? [];
  const own = [...inside.matchAll(/(\w+)="/g)].map(([, label]) => label);
  const labels = Object.entries(added).flatMap(([label, value]) => (own.includes(label) ? [] : [`${label}="${value}"`]));
  return `${name}{${[...(inside === "" ? [] : [inside]), ...labels].join(",")}}`;
}

const seriesOf = (world: World, scope: Scope) =>
  Object.entries(world).map(([selector, values]) => ({ series: scraped(selector, scope), values }));

const test = (name: string, world: World, scope: Scope) => ({
  name,
  interval: `${STEP_SECONDS}s`,
  input_series: seriesOf(world, scope),
});

const at = (seconds: number): string => `${seconds}s`;
const count = (alert: string, state: string, seconds: number, isThere: boolean): ExprTest => ({
  expr: `sgn(count(ALERTS{alertname="${alert}",alertstate=~"${state}"}))`,
  eval_time: at(seconds),
  exp_samples: isThere ? [{ labels: "{}", value: 1 }] : [],
});
/** Whether an alert was in one of these states at any time up to `seconds`. */
const ever = (alert: string, seconds: number, { states, was }: { readonly states: string; readonly was: boolean }): ExprTest => ({
  expr: `sgn(count(count_over_time(ALERTS{alertname=~"${alert}",alertstate=~"${states}"}[7d])))`,
  eval_time: at(seconds),
  exp_samples: was ? [{ labels: "{}", value: 1 }] : [],
});
const NOTHING = { states: "pending|firing", was: false };
const NEVER_FIRED = { states: "firing", was: false };
const FIRED = { states: "firing", was: true };

/** What Prometheus makes of a text, given the labels and, in their order, what its values look like. */
function said(text: string, labels: Readonly<Record<string, string>>, says: string[]): string {
  return text.replace(/\{\{ \$(?:labels\.(\w+)|value(?: \| \w+)?) \}\}/g, (_, label?: string) =>
    label === undefined ? (says.shift() ?? "nothing more was expected here") : (labels[label] ?? ""),
  );
}

function expected(alert: Alert, one: AlertCase, scope: Scope) {
  const labels = { ...scope.alerted, ...one.fires.labels };
  const says = [...one.fires.says];
  const summary = said(alert.summary, labels, says);
  const description = said(alert.description, labels, says);
  if (says.length > 0) throw new Error(`${alert.name}: its text has no place for ${says.join(", ")}`);
  return {
    exp_labels: { ...labels, ...alert.labels, severity: alert.severity },
    exp_annotations: { summary, description, runbook_url: runbookURL(RUNBOOK_BASE_URL, alert.name) },
  };
}

/** Nothing, then pending, then firing: each at its step and not one earlier. */
function firing(alert: Alert, one: AlertCase, scope: Scope): PromtoolTest {
  const { series, onsetSeconds: onset } = one.fires;
  const fires = onset + alert.forSeconds;
  const before = fires - STEP_SECONDS;
  const name = alert.name;
  return {
    ...test(`${name} fires`, series, scope),
    alert_rule_test: [
      ...(before >= 0 ? [{ alertname: name, eval_time: at(before), exp_alerts: [] }] : []),
      { alertname: name, eval_time: at(fires), exp_alerts: [expected(alert, one, scope)] },
    ],
    promql_expr_test: [
      ...(onset > 0 ? [ever(name, onset - STEP_SECONDS, NOTHING)] : []),
      ...(alert.forSeconds > 0 ? [count(name, "pending", onset, true)] : []),
    ],
  };
}

const ending = (alert: string, { series, quietSeconds }: NonNullable<AlertCase["ends"]>, scope: Scope): PromtoolTest => ({
  ...test(`${alert} ends`, series, scope),
  promql_expr_test: [count(alert, "firing", quietSeconds - STEP_SECONDS, true), count(alert, "firing|pending", quietSeconds, false)],
});

/** All that one alert is asked, but for the silence of all is well, which is asked of all alerts at once. */
export function testsOf(alert: Alert, one: AlertCase, scope: Scope): readonly PromtoolTest[] {
  const { boundary, missing } = one;
  const end = one.fires.onsetSeconds + alert.forSeconds + MARGIN_SECONDS;
  return [
    firing(alert, one, scope),
    ...boundary.map((world) => ({
      ...test(`${alert.name} boundary`, world, scope),
      promql_expr_test: [ever(alert.name, end, NEVER_FIRED)],
    })),
    ...(one.ends ? [ending(alert.name, one.ends, scope)] : []),
    {
      ...test(`${alert.name} missing`, missing.series, scope),
      promql_expr_test: [ever(alert.name, end, missing.fires ? FIRED : NEVER_FIRED)],
    },
  ];
}

/** In a world where all is well none of these alerts is anything, for longer than any window but those of days. */
export const silence = (alerts: readonly string[], world: World, scope: Scope): PromtoolTest => ({
  ...test(`silence of ${alerts.join(", ")}`, world, scope),
  promql_expr_test: [ever(alerts.join("|"), 2400, NOTHING)],
});

export const alertsIn = (groups: readonly RuleGroup[]): readonly Alert[] => groups.flatMap(({ rules }) => rules.filter(isAlert));

/** Metrics that an expression names; what rules record themselves aside. Every selector of ours has braces. */
export const metricsIn = (expr: string): readonly string[] => [
  ...new Set([...expr.matchAll(/(?<![\w:])([a-zA-Z_]\w*)\{/g)].map(([, name = ""]) => name)),
];

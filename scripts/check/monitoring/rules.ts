// Why: what is wrong with rules, found by reading them: names and labels that cannot be, texts that name a label the alert does
// not have, an alert without page or tests, a page without alert. Pure.
import type { RenderedGroup, RenderedRule } from "@nexus/operator/desired/monitoring/rules/render.ts";
import type { Catalogue, Series } from "./catalogue.ts";
import { complaintsOfPage } from "./page.ts";
import { readExpression, selectorsIn } from "./promql/read.ts";
import { CASES, RUNBOOKS, type RuleFile, runbooksOf, type World } from "./world.ts";

type RenderedAlert = Extract<RenderedRule, { alert: string }>;
type RenderedRecording = Extract<RenderedRule, { record: string }>;

const rulesOf = (groups: readonly RenderedGroup[]) => groups.flatMap(({ rules }) => rules);
const isAlert = (rule: RenderedRule): rule is RenderedAlert => "alert" in rule;
const isRecording = (rule: RenderedRule): rule is RenderedRecording => "record" in rule;

/** All alerts of all files, one of each name: the one that waits longest, for which its page must hold too. */
export function alertsOf({ rules }: World): ReadonlyMap<string, RenderedAlert> {
  const found = new Map<string, RenderedAlert>();
  for (const alert of rules.flatMap(({ groups }) => rulesOf(groups)).filter(isAlert)) {
    const known = found.get(alert.alert);
    if (!known || secondsOf(alert.for) > secondsOf(known.for)) found.set(alert.alert, alert);
  }
  return found;
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** A duration of Prometheus (`90s`, `1h30m`) in seconds; 0 when absent. */
export const secondsOf = (duration = "0s"): number =>
  [...duration.matchAll(/(\d+)([smhd])/g)].reduce((sum, [, amount = "0", unit = "s"]) => sum + Number(amount) * (UNITS[unit] ?? 0), 0);

/** `catalogue` and what the rules of `files` record. A recording may use another's result, in any order. */
export function withRecordings(catalogue: Catalogue, files: readonly RuleFile[]): Catalogue {
  const all = new Map<string, Series>(catalogue);
  let waiting = files.flatMap(({ groups }) => rulesOf(groups)).filter(isRecording);
  for (let before = Number.POSITIVE_INFINITY; waiting.length > 0 && waiting.length < before; ) {
    before = waiting.length;
    waiting = waiting.filter((rule) => {
      const { labels } = readExpression(rule.expr, all);
      if (!labels) return true;
      const own = Object.keys(rule.labels ?? {});
      const always = new Set([...labels.always, ...own]);
      all.set(rule.record, { labels: { always, possible: new Set([...labels.possible, ...own]) }, values: {}, type: "recorded" });
      return false;
    });
  }
  // What cannot be followed is complained of where it stands; whoever uses it is not to blame.
  for (const { record } of waiting) all.set(record, { labels: undefined, values: {}, type: "recorded" });
  return all;
}

/** Expressions and texts of every rule. */
export function complaintsOfRules({ rules, runbookBase, pages }: World, catalogue: Catalogue): readonly string[] {
  return rules.flatMap(({ from, groups, scope, routing }) =>
    rulesOf(groups).flatMap((rule) => {
      const name = `${from}: ${isAlert(rule) ? rule.alert : rule.record}`;
      const { labels, complaints } = readExpression(rule.expr, catalogue);
      const wrong = [...complaints, ...outOfScope(rule.expr, scope)];
      if (isRecording(rule) && !/^nexus(:[a-z0-9_]+)+$/.test(rule.record)) wrong.push("is not named nexus:<what>:<how>");
      if (isAlert(rule)) {
        wrong.push(...complaintsOfTexts(rule, labels?.possible));
        if (labels) wrong.push(...complaintsOfRouting(labels.always, routing));
        const page = `${RUNBOOKS}${rule.alert}.md`;
        if (rule.annotations.runbook_url !== `${runbookBase}/${rule.alert}`)
          wrong.push(`has the runbook_url ${rule.annotations.runbook_url}, which does not lead to its page`);
        else if (!pages.has(page)) wrong.push(`has no page ${page}`);
      }
      return wrong.map((complaint) => `${name} ${complaint}`);
    }),
  );
}

function complaintsOfRouting(labels: ReadonlySet<string>, { labels: wanted, always }: RuleFile["routing"]): readonly string[] {
  const missing = wanted.filter((label) => !labels.has(label));
  if (missing.length === 0 || (!always && missing.length === wanted.length)) return [];
  return missing.map((label) => `loses label ${label}, by which alerts are routed`);
}

function outOfScope(expr: string, scope: RuleFile["scope"]): readonly string[] {
  return selectorsIn(expr).flatMap(({ name, matchers }) =>
    Object.entries(scope).flatMap(([label, value]) =>
      matchers.some((one) => one.label === label && one.operator === "=" && one.value === value)
        ? []
        : [`selects ${name ?? "series"} without ${label}="${value}"`],
    ),
  );
}

function complaintsOfTexts({ labels, annotations }: RenderedAlert, known: ReadonlySet<string> | undefined): readonly string[] {
  const wrong: string[] = [];
  for (const [where, text] of Object.entries({ summary: annotations.summary, description: annotations.description })) {
    if (text.trim() === "") wrong.push(`has no ${where}`);
    for (const [, label = ""] of text.matchAll(/\$labels\.([A-Za-z_]\w*)/g))
      if (known && !known.has(label) && !(label in labels) && label !== "alertname")
        wrong.push(`speaks of label ${label} in its ${where}, which it does not have`);
  }
  if (!/\$value|\d/.test(annotations.description)) wrong.push("has no number in its description");
  return wrong;
}

/** Alerts, their pages and their tests: none without the other two. */
export function complaintsOfAlerts(world: World): readonly string[] {
  const alerts = alertsOf(world);
  const pages = runbooksOf(world);
  const wrong = pages.filter((name) => !alerts.has(name)).map((name) => `${RUNBOOKS}${name}.md: no alert has this name`);
  for (const [name, alert] of alerts) {
    const text = world.pages.get(`${RUNBOOKS}${name}.md`);
    if (text !== undefined)
      wrong.push(...complaintsOfPage(name, text, secondsOf(alert.for)).map((complaint) => `${RUNBOOKS}${name}.md ${complaint}`));
    const cases = world.cases.filter((one) => one.alert === name);
    if (cases.length === 0) wrong.push(`${name} has no promtool tests`);
    else for (const kind of CASES) if (!cases.some((one) => says(one[kind]))) wrong.push(`${name} has no promtool test "${kind}"`);
  }
  for (const { alert } of world.cases) if (!alerts.has(alert)) wrong.push(`promtool tests are about ${alert}, which no rule has`);
  return wrong;
}

const says = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== "" && !(Array.isArray(value) && value.length === 0);

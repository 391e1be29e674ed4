// Why: rules as Prometheus reads them, the same for a PrometheusRule of the operator, for the chart and for promtool. Every
// alert gets its page here, so that none can be without. Pure.
import { type Alert, duration, isAlert, type Recording, type RuleGroup } from "./model.ts";

/** A group in a rule file, or in `spec.groups` of a PrometheusRule. */
export type RenderedGroup = { readonly name: string; readonly interval?: string; readonly rules: readonly RenderedRule[] };

export type RenderedRule =
  | { readonly record: string; readonly expr: string; readonly labels?: Readonly<Record<string, string>> }
  | {
      readonly alert: string;
      readonly expr: string;
      readonly for?: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string };
    };

/** Where the pages are published; `<base>/<alert>`. Set by `--runbook-base-url` and the chart's `monitoring.runbookBaseURL`. */
export const RUNBOOK_BASE_URL = "https://nexus.dev/runbooks";

export const runbookURL = (base: string, alert: string): string => `${base.replace(/\/+$/, "")}/${alert}`;

/** `runbooks`: see {@link RUNBOOK_BASE_URL}. */
export function renderGroups(groups: readonly RuleGroup[], runbooks: string = RUNBOOK_BASE_URL): readonly RenderedGroup[] {
  return groups.map(({ name, intervalSeconds, rules }) => ({
    name,
    ...(intervalSeconds === undefined ? {} : { interval: duration(intervalSeconds) }),
    rules: rules.map((rule) => (isAlert(rule) ? renderAlert(rule, runbooks) : renderRecording(rule))),
  }));
}

const renderRecording = ({ record, expr, labels }: Recording): RenderedRule => ({ record, expr, ...(labels ? { labels } : {}) });

const renderAlert = (alert: Alert, runbooks: string): RenderedRule => ({
  alert: alert.name,
  expr: alert.expr,
  ...(alert.forSeconds > 0 ? { for: duration(alert.forSeconds) } : {}),
  labels: { severity: alert.severity, ...alert.labels },
  annotations: { summary: alert.summary, description: alert.description, runbook_url: runbookURL(runbooks, alert.name) },
});

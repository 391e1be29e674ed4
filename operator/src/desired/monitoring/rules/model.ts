// Why: what an alert is made of, so that each has all of it: how bad, how soon, in words with numbers, and where it says what to
// do. Rules of a cluster and of the operator are built from this and nothing else. Pure: data in, data out.

/** `critical`: somebody gets up at night. `warning`: in working hours. `info`: shown, told to nobody. */
export type Severity = "critical" | "warning" | "info";

export type Alert = {
  /** `Nexus…` in CamelCase; the page is `docs/runbooks/<name>.md`. Names are API: silences and routes hold them. */
  readonly name: string;
  readonly expr: string;
  /**
   * How long it must be true, in seconds; 0: at once. Causes that are short have a window in their expression instead of
   * `keep_firing_for`, which PrometheusRules of older releases drop.
   */
  readonly forSeconds: number;
  readonly severity: Severity;
  /** One line: what is wrong, and where. Of Prometheus' templates `{{ $labels.name }}` and `{{ $value | format }}` alone. */
  readonly summary: string;
  /** Whom it hurts and how much, with the numbers in it (`{{ $value | humanize }}` …). */
  readonly description: string;
  /** Further labels, such as the window of a burn rate. */
  readonly labels?: Readonly<Record<string, string>>;
};

export type Recording = { readonly record: string; readonly expr: string; readonly labels?: Readonly<Record<string, string>> };

export type RuleGroup = {
  readonly name: string;
  /** Seconds between evaluations; absent: Prometheus' own. */
  readonly intervalSeconds?: number;
  readonly rules: readonly (Alert | Recording)[];
};

export const isAlert = (rule: Alert | Recording): rule is Alert => "name" in rule;

/** `{namespace="a",nexus_cluster="b"}`: which series are meant. */
export type Matchers = Readonly<Record<string, string>>;

/** PromQL's braces for `matchers`, sorted, values escaped. `more`: further matchers as text (`code="x"`). */
export function selector(matchers: Matchers, more = ""): string {
  const texts = Object.entries(matchers)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return `{${[...texts, ...(more === "" ? [] : [more])].join(",")}}`;
}

/** Seconds as Prometheus writes them: `90s`, `5m`, `1h`, `3d`. */
export function duration(seconds: number): string {
  for (const [size, unit] of [
    [86_400, "d"],
    [3_600, "h"],
    [60, "m"],
  ] as const)
    if (seconds > 0 && seconds % size === 0) return `${seconds / size}${unit}`;
  return `${seconds}s`;
}

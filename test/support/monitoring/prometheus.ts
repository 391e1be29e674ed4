// Why: alerts and dashboards are proven with the Prometheus people run, Debian's, which scrapes what a test started and evaluates
// what we render. It must never outlive its test, and never hear anything but loopback.
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RenderedGroup } from "@nexus/operator/desired/monitoring/rules/render.ts";
import { diesWithUs } from "../dies-with-us.ts";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-port.ts";

/** One thing to scrape. `labels` are what service discovery and relabelings would give its series; also `__metrics_path__`. */
export type Target = { readonly address: string; readonly labels: Readonly<Record<string, string>> };

export type PrometheusOptions = {
  readonly targets?: readonly Target[];
  readonly groups?: readonly RenderedGroup[];
  /** Default 1 each. A group with an interval of its own keeps it. */
  readonly scrapeSeconds?: number;
  readonly evaluationSeconds?: number;
};

/** `value`: as PromQL computes it, `NaN` included. */
export type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number };
export type Series = { readonly labels: Readonly<Record<string, string>>; readonly points: readonly (readonly [number, number])[] };

/** `labels` include `alertname` and `severity`. */
export type ActiveAlert = {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: "pending" | "firing";
  /** Unix milliseconds of the first evaluation that found it true. */
  readonly activeAtMs: number;
};

/** How one target fares: `lastError` is "" while it is up. */
export type TargetHealth = { readonly labels: Readonly<Record<string, string>>; readonly health: string; readonly lastError: string };

export type Prometheus = AsyncDisposable & {
  readonly url: string;
  /** Scrapes these from now on, and nothing else. */
  setTargets(targets: readonly Target[]): Promise<void>;
  /** Evaluates these from now on; what was pending starts anew unless group and rule kept their names. */
  setRules(groups: readonly RenderedGroup[]): Promise<void>;
  /** An instant query; scalars come back as one sample without labels. @throws Error with Prometheus' words */
  query(expr: string): Promise<readonly Sample[]>;
  /** Times in unix seconds, as Prometheus counts. @throws as `query` */
  queryRange(
    expr: string,
    range: { readonly start: number; readonly end: number; readonly stepSeconds: number },
  ): Promise<readonly Series[]>;
  /** Every alert that is pending or fires. */
  alerts(): Promise<readonly ActiveAlert[]>;
  targets(): Promise<readonly TargetHealth[]>;
  /** Waits until every target was scraped once and is up. @throws Error naming those that are not */
  everyTargetUp(timeoutMs?: number): Promise<void>;
};

type RawSample = { metric: Record<string, string>; value: [number, string] };
type RawSeries = { metric: Record<string, string>; values: [number, string][] };
type RawQuery =
  | { resultType: "vector"; result: RawSample[] }
  | { resultType: "matrix"; result: RawSeries[] }
  | { resultType: "scalar" | "string"; result: [number, string] };
type RawAlert = { labels: Record<string, string>; annotations: Record<string, string>; state: "pending" | "firing"; activeAt: string };
type RawTarget = { labels: Record<string, string>; health: string; lastError: string };

/** Needs the Debian package `prometheus`. Resolves once it answers and holds rules and targets. @throws Error with its log when it does not start */
export async function startPrometheus(options: PrometheusOptions = {}): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), "nexus-prometheus-"));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const files = { config: join(folder, "prometheus.json"), rules: join(folder, "rules.json"), targets: join(folder, "targets.json") };
  await writeFile(files.config, JSON.stringify(configOf(options, files))); // JSON is YAML
  await writeFile(files.rules, JSON.stringify({ groups: options.groups ?? [] }));
  await writeFile(files.targets, JSON.stringify(discoveryOf(options.targets ?? [])));
  const logFile = Bun.file(join(folder, "prometheus.log"));
  const child = Bun.spawn(diesWithUs(commandOf(files.config, join(folder, "data"), port)), {
    stdin: "ignore",
    stdout: logFile,
    stderr: logFile,
  });
  const stop = async () => {
    child.kill("SIGKILL"); // nothing of it is kept
    await child.exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually("Prometheus answers", () => isReady(url, () => child.exitCode, logFile), { timeoutMs: 30_000 });
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...reader(url), ...writer(url, files), url, [Symbol.asyncDispose]: stop };
}

const commandOf = (config: string, data: string, port: number): string[] => [
  "prometheus",
  ...[`--config.file=${config}`, `--storage.tsdb.path=${data}`, `--web.listen-address=127.0.0.1:${port}`],
  ...["--web.enable-lifecycle", "--storage.tsdb.min-block-duration=2h", "--log.level=warn"],
];

function configOf(
  { scrapeSeconds = 1, evaluationSeconds = 1 }: PrometheusOptions,
  files: { readonly rules: string; readonly targets: string },
) {
  const every = { scrape_interval: `${scrapeSeconds}s`, scrape_timeout: `${scrapeSeconds}s` };
  return {
    global: { ...every, evaluation_interval: `${evaluationSeconds}s` },
    rule_files: [files.rules],
    scrape_configs: [{ job_name: "tests", honor_labels: false, file_sd_configs: [{ files: [files.targets], refresh_interval: "1s" }] }],
  };
}

const discoveryOf = (targets: readonly Target[]) => targets.map(({ address, labels }) => ({ targets: [address], labels }));

async function isReady(url: string, exitCode: () => number | null, log: Blob): Promise<boolean> {
  if (exitCode() !== null) throw new Error(`Prometheus ended: ${await log.text()}`);
  return (await fetch(`${url}/-/ready`)).ok;
}

/** The API's `data`. @throws Error with Prometheus' words */
async function ask<T>(url: string, path: string, parameters: Readonly<Record<string, string>> = {}): Promise<T> {
  const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const answer = (await response.json()) as { status: string; error?: string; data: T }; // documented by Prometheus
  if (answer.status !== "success") throw new Error(`Prometheus refused ${path} ${JSON.stringify(parameters)}: ${answer.error}`);
  return answer.data;
}

const numberOf = (text: string): number => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text));

function reader(url: string): Pick<Prometheus, "query" | "queryRange" | "alerts" | "targets" | "everyTargetUp"> {
  const targets = async () => {
    const { activeTargets } = await ask<{ activeTargets: RawTarget[] }>(url, "targets", { state: "active" });
    return activeTargets.map(({ labels, health, lastError }) => ({ labels, health, lastError }));
  };
  return {
    targets,
    async query(expr) {
      const found = await ask<RawQuery>(url, "query", { query: expr });
      if (found.resultType === "vector")
        return found.result.map(({ metric, value: [, text] }) => ({ labels: metric, value: numberOf(text) }));
      if (found.resultType === "matrix") throw new Error(`${expr} is a range vector: ask queryRange`);
      return [{ labels: {}, value: numberOf(found.result[1]) }];
    },
    async queryRange(expr, { start, end, stepSeconds }) {
      const parameters = { query: expr, start: String(start), end: String(end), step: String(stepSeconds) };
      const { result } = await ask<{ result: RawSeries[] }>(url, "query_range", parameters);
      return result.map(({ metric, values }) => ({ labels: metric, points: values.map(([at, text]) => [at, numberOf(text)] as const) }));
    },
    async alerts() {
      const { alerts } = await ask<{ alerts: RawAlert[] }>(url, "alerts");
      return alerts.map(({ labels, annotations, state, activeAt }) => ({ labels, annotations, state, activeAtMs: Date.parse(activeAt) }));
    },
    async everyTargetUp(timeoutMs = 20_000) {
      const settled = async () => {
        const all = await targets();
        const down = all.filter(({ health }) => health !== "up");
        if (down.length > 0)
          throw new Error(down.map(({ labels, health, lastError }) => `${JSON.stringify(labels)} is ${health}: ${lastError}`).join("; "));
        return all.length > 0;
      };
      await eventually("every target is up", settled, { timeoutMs, intervalMs: 200 });
    },
  };
}

function writer(url: string, files: { readonly rules: string; readonly targets: string }): Pick<Prometheus, "setTargets" | "setRules"> {
  const labelsOf = (labels: Readonly<Record<string, string>>) => JSON.stringify(Object.entries(labels).sort());
  return {
    async setTargets(targets) {
      // Prometheus reads the file whenever it changes: it must never see half of it.
      await writeFile(`${files.targets}.new`, JSON.stringify(discoveryOf(targets)));
      await rename(`${files.targets}.new`, files.targets);
      const wanted = targets
        .map(({ address, labels }) => `${address} ${labelsOf({ job: "tests", instance: address, ...visible(labels) })}`)
        .sort();
      const taken = async () => {
        const { activeTargets } = await ask<{
          activeTargets: { discoveredLabels: Record<string, string>; labels: Record<string, string> }[];
        }>(url, "targets");
        const known = activeTargets.map(({ discoveredLabels, labels }) => `${discoveredLabels.__address__} ${labelsOf(labels)}`).sort();
        return JSON.stringify(known) === JSON.stringify(wanted) || undefined;
      };
      await eventually("Prometheus took the targets", taken, { timeoutMs: 20_000, intervalMs: 200 });
    },
    async setRules(groups) {
      await writeFile(files.rules, JSON.stringify({ groups }));
      const response = await fetch(`${url}/-/reload`, { method: "POST" });
      if (!response.ok) throw new Error(`Prometheus refused the rules: ${await response.text()}`);
    },
  };
}

/** Labels that stay on the series: the others are for the scrape. */
const visible = (labels: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => !name.startsWith("__")));

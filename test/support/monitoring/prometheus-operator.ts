// Why: what prometheus-operator makes of our objects is said by prometheus-operator itself: the program its project releases, on an
// API server, with a Prometheus to configure. It must never outlive its test, and never need pods: its configuration is what counts.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { ensureBinaries } from "../cluster/binaries.ts";
import { diesWithUs } from "../dies-with-us.ts";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-port.ts";
import type { DefinitionName } from "../kube/published-crds.ts";
import type { Stage } from "../operator.ts";
import type { RuleFile, ScrapeConfiguration } from "./prometheus-files.ts";

/** The kinds it reads for a Prometheus; where one is missing it says so and waits. */
export const READ_BY_IT: readonly DefinitionName[] = [
  "prometheuses.monitoring.coreos.com",
  "servicemonitors.monitoring.coreos.com",
  "podmonitors.monitoring.coreos.com",
  "probes.monitoring.coreos.com",
  "scrapeconfigs.monitoring.coreos.com",
  "prometheusrules.monitoring.coreos.com",
];

export type PrometheusOperator = AsyncDisposable & {
  /** How many objects of a kind all Prometheuses select, and how many of those it refuses, by its own metric. */
  counts(resource: "PodMonitor" | "PrometheusRule"): Promise<{ readonly selected: number; readonly rejected: number }>;
  /** Its log so far. */
  log(): Promise<string>;
};

/** Needs {@link READ_BY_IT} on the API server. Resolves when it answers. @throws Error with its log when it does not start */
export async function startPrometheusOperator(stage: Stage): Promise<PrometheusOperator> {
  const { "prometheus-operator": program } = await ensureBinaries(["prometheus-operator"]);
  const folder = await mkdtemp(join(tmpdir(), "nexus-prometheus-operator-"));
  const url = `http://127.0.0.1:${await freePort()}`;
  const file = Bun.file(join(folder, "log"));
  const flags = [`--web.listen-address=${new URL(url).host}`, "--feature-gates=StatusForConfigurationResources=true"];
  const child = Bun.spawn(diesWithUs([program, ...flags]), {
    env: { KUBECONFIG: stage.plane.adminKubeconfig, POD_NAMESPACE: "default" },
    ...{ stdin: "ignore", stdout: file, stderr: file },
  });
  const stop = async () => {
    child.kill("SIGKILL"); // it holds nothing
    await child.exited;
    await rm(folder, { recursive: true, force: true });
  };
  const metrics = async () => {
    if (child.exitCode !== null) throw new Error(`prometheus-operator ended: ${await file.text()}`);
    return await (await fetch(`${url}/metrics`)).text();
  };
  try {
    await eventually("prometheus-operator answers", metrics, { timeoutMs: 30_000 });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    async counts(resource) {
      const lines = (await metrics()).split("\n").filter((line) => line.startsWith("prometheus_operator_managed_resources{"));
      const count = (state: string) =>
        lines
          .filter((line) => line.includes(`resource="${resource}"`) && line.includes(`state="${state}"`))
          .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
      return { selected: count("selected"), rejected: count("rejected") };
    },
    log: () => file.text(),
    [Symbol.asyncDispose]: stop,
  };
}

/** The configuration that it wrote for the Prometheus `name`; undefined before it did. */
export async function configurationOf(stage: Stage, namespace: string, name: string): Promise<ScrapeConfiguration | undefined> {
  const secret = await stage.get(`secret/prometheus-${name}`, namespace);
  const packed = secret?.data?.["prometheus.yaml.gz"];
  if (packed === undefined) return undefined;
  const text = new TextDecoder().decode(Bun.gunzipSync(Buffer.from(packed, "base64")));
  // The reloader beside a Prometheus fills in which of its shards it is; there is one.
  return parse(text.replaceAll("$(SHARD)", "0")) as ScrapeConfiguration; // Prometheus' own format; promtool judges it
}

/** The rule files it wrote for the Prometheus `name`, by file name. */
export async function ruleFilesOf(
  stage: Stage,
  namespace: string,
  name: string,
): Promise<ReadonlyMap<string, { text: string; parsed: RuleFile }>> {
  const found = await stage.kubectl("get", "configmaps", "-n", namespace, "-l", `prometheus-name=${name}`, "-o", "json");
  const { items } = JSON.parse(found) as { readonly items: readonly { readonly data?: Readonly<Record<string, string>> }[] }; // kubectl's list
  const files = items.flatMap(({ data }) => Object.entries(data ?? {}));
  return new Map(files.map(([file, text]) => [file, { text, parsed: parse(text) as RuleFile }]));
}

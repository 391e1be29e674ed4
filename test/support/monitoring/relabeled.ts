// Why: which pods a generated job keeps, and what their series are called, is for Prometheus' own relabeling to say. Debian's is built
// without discovery in Kubernetes, so the labels which that would find are written down for it. It must never relabel by itself.
import { join } from "node:path";
import type { Labels, Pod } from "./discovery.ts";
import type { ScrapeConfiguration, ScrapeJob } from "./prometheus-files.ts";
import { promtool, withFolder } from "./promtool.ts";

/** Without the stanza that Debian's Prometheus does not know; JSON is YAML. */
export const withoutKubernetes = (configuration: ScrapeConfiguration): string =>
  JSON.stringify({
    ...configuration,
    scrape_configs: configuration.scrape_configs.map(({ kubernetes_sd_configs: _discovery, ...job }) => job),
  });

/** Labels after relabeling by address, without the hidden ones; undefined for a port that the job does not scrape. @throws Error with promtool's words */
export async function relabeled(job: ScrapeJob, pods: readonly Pod[]): Promise<ReadonlyMap<string, Labels | undefined>> {
  const { kubernetes_sd_configs: _discovery, ...rest } = job;
  const config = { scrape_configs: [{ ...rest, static_configs: pods.flatMap(portsOf) }] };
  const verdict = await withFolder(async (folder) => {
    const file = join(folder, "prometheus.json");
    await Bun.write(file, JSON.stringify(config));
    return await promtool(["check", "service-discovery", "--timeout=2s", file, job.job_name]); // static: the first answer is all
  });
  if (!verdict.isOk) throw new Error(verdict.output);
  type Found = { readonly discoveredLabels: Labels & { readonly __address__: string }; readonly labels: Labels }; // as it prints them
  const found = JSON.parse(verdict.output) as readonly Found[];
  return new Map(found.map(({ discoveredLabels, labels }) => [discoveredLabels.__address__, visible(labels)]));
}

function visible(labels: Labels): Labels | undefined {
  const shown = Object.entries(labels).filter(([name]) => !name.startsWith("__") && name !== "instance");
  return shown.length === 0 ? undefined : Object.fromEntries(shown);
}

/** https://prometheus.io/docs/prometheus/latest/configuration/configuration/#pod: one target a port. */
function portsOf({ metadata, spec, status }: Pod) {
  const ofPod = {
    ...{ __meta_kubernetes_namespace: metadata.namespace, __meta_kubernetes_pod_name: metadata.name },
    ...{ __meta_kubernetes_pod_phase: status?.phase ?? "", __meta_kubernetes_pod_ip: status?.podIP ?? "" },
    ...Object.fromEntries(
      Object.entries(metadata.labels ?? {}).flatMap(([name, value]) => [
        [`__meta_kubernetes_pod_label_${sanitized(name)}`, value],
        [`__meta_kubernetes_pod_labelpresent_${sanitized(name)}`, "true"],
      ]),
    ),
  };
  return spec.containers.flatMap((container) =>
    (container.ports ?? []).map(({ name = "", containerPort }) => ({
      targets: [`${status?.podIP}:${containerPort}`],
      labels: {
        ...ofPod,
        ...{ __meta_kubernetes_pod_container_name: container.name, __meta_kubernetes_pod_container_port_name: name },
        __meta_kubernetes_pod_container_port_number: String(containerPort),
      },
    })),
  );
}

const sanitized = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, "_");

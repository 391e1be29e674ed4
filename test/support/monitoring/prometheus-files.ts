// Why: the parts of Prometheus' own files that tests look at. Types only: whether a file is right is for promtool to say.
import type { RenderedGroup } from "@nexus/operator/desired/monitoring/rules/render.ts";

/** https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config */
export type Relabeling = {
  readonly action?: string;
  readonly source_labels?: readonly string[];
  readonly target_label?: string;
  readonly replacement?: string;
  readonly regex?: string;
};

export type ScrapeJob = {
  readonly job_name: string;
  readonly scrape_interval?: string;
  readonly metrics_path?: string;
  readonly kubernetes_sd_configs?: readonly { readonly role: string; readonly namespaces?: { readonly names: readonly string[] } }[];
  readonly relabel_configs: readonly Relabeling[];
};

/** What `prometheus.yaml` holds, as far as it is looked at. */
export type ScrapeConfiguration = { readonly scrape_configs: readonly ScrapeJob[]; readonly rule_files: readonly string[] };

export type RuleFile = { readonly groups: readonly RenderedGroup[] };

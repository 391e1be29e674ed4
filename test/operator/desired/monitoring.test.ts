// Why: what is made for Prometheus and Grafana must fit into what holds it, and never collide with what another fleet has.
import { describe, expect, test } from "bun:test";
import { dashboardsConfigMap } from "@nexus/operator/desired/monitoring/dashboards.ts";
import { podMonitor } from "@nexus/operator/desired/monitoring/pod-monitor.ts";
import { prometheusRule } from "@nexus/operator/desired/monitoring/prometheus-rule.ts";
import type { RenderedRule } from "@nexus/operator/desired/monitoring/rules/render.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { aCluster } from "../bundle/fixtures.ts";
import { CONTEXT } from "./fixtures.ts";

const REDIS = { redis: { mode: "External", external: { topology: "Standalone", addresses: ["r:6379"] } } };
const named = (name: string, namespace: string, spec: object = {}): NexusCluster => {
  const cluster = aCluster(spec);
  return { ...cluster, metadata: { ...cluster.metadata, name, namespace } };
};
/** The longest names there may be, and everything that adds rules and dashboards. */
const largest = (): NexusCluster => {
  const storage = { inbox: "Postgres", postgres: { urlSecretRef: { name: "pg", key: "url" } } };
  return named("a".repeat(40), "n".repeat(63), { ...REDIS, storage, tls: { secretRef: { name: "t" } } });
};
const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
const linkOf = (rule: RenderedRule): string[] => ("alert" in rule ? [rule.annotations.runbook_url] : []);

describe("monitoring objects", () => {
  test("fit into etcd and a ConfigMap with room to spare, also with the longest names", () => {
    expect(bytesOf(dashboardsConfigMap(largest(), CONTEXT))).toBeLessThan(600_000); // 1 MiB is the API server's limit
    expect(bytesOf(prometheusRule(largest(), CONTEXT))).toBeLessThan(600_000); // 1.5 MiB is etcd's
  });

  test("dashboards of two fleets share no file name, and the keys are keys of a ConfigMap", () => {
    const keys = (cluster: NexusCluster) => Object.keys(dashboardsConfigMap(cluster, CONTEXT).data);
    const all = [largest(), named("b", "one"), named("b", "other")].flatMap(keys);
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter((key) => !/^[-._a-zA-Z0-9]{1,253}$/.test(key))).toEqual([]);
  });

  test("links lead to where the operator was told the pages are", () => {
    const groups = (runbookBaseURL?: string) =>
      prometheusRule(aCluster(), { ...CONTEXT, ...(runbookBaseURL ? { runbookBaseURL } : {}) }).spec.groups;
    const links = groups("https://wiki.example.com/on-call/").flatMap(({ rules }) => rules.flatMap(linkOf));
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter((link) => !link.startsWith("https://wiki.example.com/on-call/Nexus"))).toEqual([]);
    expect(groups().flatMap(({ rules }) => rules.flatMap(linkOf))[0]).toStartWith("https://nexus.dev/runbooks/Nexus");
  });

  test("a user's labels never replace those by which we find what is ours, nor the sidecar's", () => {
    const labels = { team: "blue", "app.kubernetes.io/instance": "mine", grafana_dashboard: "0" };
    const cluster = aCluster({ monitoring: { labels } });
    for (const { metadata } of [podMonitor(cluster, CONTEXT), prometheusRule(cluster, CONTEXT), dashboardsConfigMap(cluster, CONTEXT)])
      expect(metadata.labels).toMatchObject({ team: "blue", "app.kubernetes.io/instance": "live" });
    expect(dashboardsConfigMap(cluster, CONTEXT).metadata.labels.grafana_dashboard).toBe("1");
  });
});

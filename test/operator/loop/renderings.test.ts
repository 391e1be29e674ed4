// Why: rules and dashboards are built again only when what they hang on changes; one that is kept too long would be a fleet whose
// alerts have yesterday's thresholds, one that is kept for ever a leak.
import { expect, test } from "bun:test";
import { dashboardsConfigMap } from "@nexus/operator/desired/monitoring/dashboards.ts";
import { prometheusRule } from "@nexus/operator/desired/monitoring/prometheus-rule.ts";
import { type Render, Renderings } from "@nexus/operator/loop/fleet/renderings.ts";
import { KINDS, OPTIONAL_KINDS } from "@nexus/operator/loop/kinds.ts";
import { lean } from "@nexus/operator/loop/lean.ts";
import { rendered } from "@nexus/operator/plan/rendered.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { CLUSTERS, CONTEXT } from "../desired/fixtures.ts";

const { PrometheusRule } = OPTIONAL_KINDS;

function monitored(): NexusCluster {
  const cluster = CLUSTERS.monitored?.();
  if (!cluster) throw new Error("there is no fixture `monitored`");
  return cluster;
}

/** Rules as they are kept, and how often they were built. */
function counted() {
  let built = 0;
  const render: Render = (cluster, context) => {
    built++;
    return prometheusRule(cluster, context);
  };
  const renderings = new Renderings();
  const look = (cluster: NexusCluster, context = CONTEXT) => renderings.of(PrometheusRule, { cluster, context }, render);
  return { renderings, look, built: () => built };
}

test("the same inputs give the same object, built once, whatever the status says and whoever labelled the cluster", () => {
  const { look, built } = counted();
  const first = look(monitored()).head;
  const cluster = monitored();
  const labelled = { ...cluster, metadata: { ...cluster.metadata, resourceVersion: "77", labels: { team: "blue" } } };
  expect(look(cluster).head).toBe(first);
  expect(look(labelled).head).toBe(first);
  expect(look({ ...cluster, status: { observedGeneration: 4 } } as NexusCluster).head).toBe(first);
  expect(built()).toBe(1);
});

test("what is kept is what a watch keeps of the rendering, and what is applied is the whole of it", () => {
  const { head, whole } = counted().look(monitored());
  expect(whole()).toEqual(prometheusRule(monitored(), CONTEXT));
  expect(head).toEqual(lean(rendered(prometheusRule(monitored(), CONTEXT), "metadata").object));
  expect(JSON.stringify(head).length).toBeLessThan(2_000);
});

test("a changed threshold, owner or context is another object, with other content", () => {
  const { look, built } = counted();
  const cluster = monitored();
  const { head } = look(cluster);
  const busier = look({ ...cluster, spec: { ...cluster.spec, limits: { ...cluster.spec.limits, connectionsPerPod: 77 } } }).head;
  expect(busier.contentDigest).not.toBe(head.contentDigest);
  const heir = look({ ...cluster, metadata: { ...cluster.metadata, uid: "another" } }).head;
  expect(heir.metadata.ownerReferences).toMatchObject([{ uid: "another" }]);
  const elsewhere = look(cluster, { ...CONTEXT, runbookBaseURL: "https://runbooks.example" }).head;
  expect(elsewhere.contentDigest).not.toBe(head.contentDigest);
  expect(built()).toBe(4);
});

test("kinds and fleets are kept apart, and are gone with their fleet", () => {
  const { renderings, look, built } = counted();
  const cluster = monitored();
  const other = { ...cluster, metadata: { ...cluster.metadata, name: "other" } };
  const rule = look(cluster).head;
  const boards = renderings.of(KINDS.ConfigMap, { cluster, context: CONTEXT }, dashboardsConfigMap).head;
  expect([rule.kind, boards.kind, look(other).head.metadata.name]).toEqual(["PrometheusRule", "ConfigMap", "other-server"]);
  expect(look(cluster).head).toBe(rule);
  expect(renderings.size).toBe(2);
  renderings.forget(`${cluster.metadata.namespace}/${cluster.metadata.name}`);
  expect(renderings.size).toBe(1);
  const before = built();
  expect(look(cluster).head).toEqual(rule);
  expect(look(other).head.metadata.name).toBe("other-server");
  expect(built()).toBe(before + 1);
});

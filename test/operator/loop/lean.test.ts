// Why: the operator judges rules and dashboards by a digest: one that is wrong would hide somebody's edit, or read every object of
// every fleet once a minute.
import { describe, expect, test } from "bun:test";
import { isAsRendered, isLean, lean } from "@nexus/operator/loop/lean.ts";
import type { Manifest } from "@nexus/operator/plan/object.ts";

const rule = (extra: object = {}, metadata: object = {}): Manifest => ({
  apiVersion: "monitoring.coreos.com/v1",
  kind: "PrometheusRule",
  metadata: { name: "live-server", namespace: "shop", labels: { team: "blue" }, ...metadata },
  spec: { groups: [{ name: "a", rules: [{ alert: "X", expr: "up == 0" }] }] },
  ...extra,
});
const live = (extra: object = {}, metadata: object = {}) =>
  rule(extra, {
    ...{ uid: "u", resourceVersion: "7", labels: { team: "blue", other: "label" } },
    ...{ managedFields: [{ manager: "x", fieldsV1: { "f:spec": {} } }], ...metadata },
  });

describe("a lean object", () => {
  test("is a rule, or a ConfigMap that Grafana's sidecar takes; no other ConfigMap", () => {
    const map = (labels: object): Manifest => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "m", labels: { ...labels } } });
    expect([rule(), map({ grafana_dashboard: "1" }), map({})].map(isLean)).toEqual([true, true, false]);
  });

  test("keeps its head and nothing of its content, and is the same when it is made lean again", () => {
    const once = lean(live());
    expect(once).toEqual({
      ...{ apiVersion: "monitoring.coreos.com/v1", kind: "PrometheusRule", contentDigest: expect.stringMatching(/^[0-9a-f]{64}$/) },
      metadata: { name: "live-server", namespace: "shop", uid: "u", resourceVersion: "7", labels: { team: "blue", other: "label" } },
    });
    expect(lean(once)).toEqual(once);
  });
});

describe("is as rendered", () => {
  test("with labels of others and a status of its controller's", () => {
    expect(isAsRendered(rule(), lean(live({ status: { bindings: [] } })))).toBe(true);
    expect(isAsRendered(rule(), live())).toBe(true);
  });

  test.each([
    ["an expression was edited", live({ spec: { groups: [{ name: "a", rules: [{ alert: "X", expr: "up == 1" }] }] } })],
    ["a group was added", live({ spec: { groups: [...Object(rule().spec).groups, { name: "b", rules: [] }] } })],
    ["content came back elsewhere", live({ data: { a: "b" } })],
    ["a label of ours is gone", live({}, { labels: {} })],
    ["it is going", live({}, { deletionTimestamp: "2026-01-01T00:00:00Z" })],
  ])("is not when %s", (_what, object) => {
    expect(isAsRendered(rule(), lean(object))).toBe(false);
  });
});

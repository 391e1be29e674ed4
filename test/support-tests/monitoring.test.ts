// Why: whoever says which alerts were right, and whom Prometheus scrapes, must itself be able to say no.
import { describe, expect, test } from "bun:test";
import type { Fault } from "../monitoring/faults/fault.ts";
import { problemsOf, strangersOf } from "../monitoring/faults/judge.ts";
import type { Account, Report } from "../monitoring/faults/report.ts";
import type { Fired } from "../support/monitoring/alert-log.ts";
import { targetsOf } from "../support/monitoring/discovery.ts";

const fault: Fault = {
  ...{ name: "it breaks", namespace: "broken", alert: "NexusBroken", resolvesWithinSeconds: 20 },
  companions: { NexusBesides: "it comes along" },
  ...{ on: "fleet", fleet: {}, begin: async () => async () => undefined },
};
const fired = (name: string, labels: Readonly<Record<string, string>>): Fired => ({
  ...{ name, labels, description: "words", firedAt: 1_000, goneAt: undefined },
});
const OWN = fired("NexusBroken", { namespace: "broken" });
const account = (change: Partial<Account> = {}): Account => ({
  fault,
  promised: 60,
  alert: OWN,
  firedAfter: 40,
  resolvedAfter: 5,
  ...change,
});
const report = (more: readonly Fired[] = [], before: readonly Fired[] = []): Report => ({
  ...{ before, fired: [OWN, ...more], accounts: [account()], otherJob: "other/operator" },
});

describe("the judge of faults", () => {
  test("finds nothing wrong with the right alert in time, over soon, and what it brings along", () => {
    expect(problemsOf(account(), report([fired("NexusBesides", { nexus_namespace: "broken" })]))).toEqual([]);
    expect(strangersOf(report(), [fault])).toEqual([]);
  });

  test.each([
    ["an alert that did not fire", account({ firedAfter: undefined }), report(), "did not fire within 60 s"],
    ["one that came late", account({ firedAfter: 61 }), report(), "fired after 61 s"],
    ["one that stays", account({ resolvedAfter: undefined }), report(), "was not over 20 s after"],
    [
      "another one of the same fleet",
      account(),
      report([fired("NexusOdd", { namespace: "broken" })]),
      "NexusOdd fired without a reason: words",
    ],
  ])("complains of %s", (_what, one, all, sentence) => {
    expect(problemsOf(one, all).join("; ")).toContain(sentence);
  });

  test("complains of what fired too early, and of what is of no fault", () => {
    const early = report([], [fired("NexusEarly", { namespace: "broken" })]);
    expect(strangersOf(early, [fault])).toEqual(["before anything happened: NexusEarly: words"]);
    const foreign = report([fired("NexusOperatorOdd", { job: "nexus-system/nexus-operator" })]);
    expect(strangersOf(foreign, [fault])).toHaveLength(1);
  });
});

describe("discovery", () => {
  const monitor = {
    metadata: { name: "live-server", namespace: "shop" },
    spec: {
      selector: { matchLabels: { app: "nexus" } },
      podMetricsEndpoints: [{ port: "ops", relabelings: [{ action: "replace", targetLabel: "nexus_cluster", replacement: "live" }] }],
    },
  };
  const pod = (
    name: string,
    change: { readonly namespace?: string; readonly labels?: Record<string, string>; readonly phase?: string } = {},
  ) => ({
    metadata: { name, namespace: change.namespace ?? "shop", labels: change.labels ?? { app: "nexus", more: "x" } },
    spec: {
      containers: [
        {
          name: "server",
          ports: [
            { name: "http", containerPort: 8081 },
            { name: "ops", containerPort: 9090 },
          ],
        },
      ],
    },
    status: { podIP: "127.0.0.2", phase: change.phase ?? "Running" },
  });

  test("takes the running pods of the namespace whose labels fit, by the name of the port", () => {
    const others = [pod("b", { namespace: "other" }), pod("c", { labels: { app: "redis" } }), pod("d", { phase: "Succeeded" })];
    expect(targetsOf(monitor, [pod("a"), ...others])).toEqual([
      {
        address: "127.0.0.2:9090",
        labels: {
          ...{ namespace: "shop", pod: "a", container: "server", endpoint: "ops", job: "shop/live-server" },
          ...{ __metrics_path__: "/metrics", nexus_cluster: "live" },
        },
      },
    ]);
  });

  test("refuses a relabeling that it would have to guess", () => {
    const relabelings = [{ sourceLabels: ["pod"], targetLabel: "x", replacement: "$1" }];
    const odd = { ...monitor, spec: { ...monitor.spec, podMetricsEndpoints: [{ port: "ops", relabelings }] } };
    expect(() => targetsOf(odd, [pod("a")])).toThrow("other than a constant");
  });
});

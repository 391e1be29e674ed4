// Why: the smallest world in which rules, pages, panels and the reference belong together, for tests that break one thing in it.
import type { Alert, Recording } from "@nexus/operator/desired/monitoring/rules/model.ts";
import { renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import type { Metric } from "../../scripts/check/monitoring/catalogue.ts";
import type { RuleFile, World } from "../../scripts/check/monitoring/world.ts";

export const BASE = "https://runbooks.example";

export const METRICS: readonly Metric[] = [
  { name: "nexus_sessions", type: "gauge", labels: ["transport"], values: { transport: ["websocket", "sse"] }, target: "server" },
  { name: "nexus_wait_seconds", type: "histogram", labels: [], target: "server" },
];

const ALERT: Alert = {
  name: "NexusBusy",
  expr: 'nexus:sessions:sum{namespace="prod",nexus_cluster="live"} > 100',
  forSeconds: 60,
  severity: "warning",
  summary: "Pod {{ $labels.pod }} is busy",
  description: "It holds {{ $value }} sessions.",
};
const RECORDING: Recording = {
  record: "nexus:sessions:sum",
  expr: 'sum by (namespace, nexus_cluster, pod) (nexus_sessions{namespace="prod",nexus_cluster="live"})',
};
export const RULES = { alert: ALERT, recording: RECORDING, scope: { namespace: "prod", nexus_cluster: "live" } };
const ROUTING = { labels: ["namespace", "nexus_cluster"], always: true };

/** The rules as one file of a fleet. */
export const ruleFile = (rules: readonly (Alert | Recording)[], base: string = BASE): RuleFile => ({
  ...{ from: "fleet", scope: RULES.scope, routing: ROUTING },
  groups: renderGroups([{ name: "g", rules }], base),
});

/** A page with everything a page needs. */
export const aPage = (name: string): string => `# ${name}

Pods are busy.

Fires within: 3 min

## Meaning

More than 100 sessions.

## Impact

People wait.

## Diagnosis

\`\`\`promql
# Which pod?
sum by (pod) (
  nexus_sessions{namespace="NAMESPACE",nexus_cluster="CLUSTER"}
)
nexus:sessions:sum{namespace="NAMESPACE"}
\`\`\`

\`\`\`sh
kubectl get pods -n NAMESPACE
kubectl nexus explain nxc/CLUSTER
kubectl logs POD | grep session.closed
\`\`\`

## Mitigation

Send fewer.

## See also

[Other](../other.md#when-a-pod-stops)
`;

const REFERENCE = "# Metrics\n\n| name | type |\n| --- | --- |\n| `nexus_sessions` | gauge |\n| `nexus_wait_seconds` | histogram |\n";
const OTHER = "# Other\n\n## When a pod stops\n\n## `nexus.dev/paused`:  [true](https://x.example)\n\n## nexus.dev/paused  true\n";

/** The world, with some of it replaced. */
export function aWorld(change: Partial<World> = {}): World {
  return {
    metrics: METRICS,
    rules: [ruleFile([ALERT, RECORDING])],
    cases: [{ alert: "NexusBusy", fires: [1], silent: [1], boundary: [1], missing: [1] }],
    dashboards: [
      {
        title: "Fleet",
        variables: [
          { name: "pod", query: "nexus_sessions", values: "pod" },
          { name: "namespace", constant: "prod" },
        ],
        rows: [
          {
            panels: [
              {
                title: "Sessions",
                queries: [{ expr: 'nexus:sessions:sum{namespace="$namespace"}', legend: "{{pod}}" }],
                columns: { pod: "Pod" },
                alerts: ["NexusBusy"],
              },
            ],
          },
        ],
      },
    ],
    pages: new Map([
      ["docs/reference/metrics.md", REFERENCE],
      ["docs/other.md", OTHER],
      ["docs/runbooks/NexusBusy.md", aPage("NexusBusy")],
      ["docs/runbooks/README.md", "# Runbooks\n\n[Other](../other.md)\n"],
    ]),
    exists: (path) => ["LICENSE", "docs/runbooks"].includes(path),
    runbookBase: BASE,
    commands: ["explain", "status"],
    logEvents: ["session.opened", "session.closed"],
    fields: [
      "spec",
      "spec.limits",
      "spec.limits.frameBytes",
      "spec.pods",
      "spec.pods.resources",
      "spec.pods.resources.*",
      "status",
      "status.ready",
    ],
    settings: ["NEXUS_PROCESSES"],
    ...change,
  };
}

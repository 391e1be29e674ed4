// Why: which tests belong to which tier, and what a tier needs, in one list that the runner and the docs share.
// It must never decide by itself that a tier may be left out silently: a reason is printed for each one skipped.
import { NODE_PACKAGES } from "../../test/support/cluster/tiers.ts";
import { CONTROL_PLANE_TOOLS, NODE_TOOLS, SCHEDULER_TOOLS, type ToolName } from "../../test/support/cluster/tools.ts";

export type Tier = {
  readonly name: string;
  readonly about: string;
  /** Folders or files below the repository root that `bun test` gets. */
  readonly paths: readonly string[];
  /** Upper bound of one test in milliseconds; a test may set its own. */
  readonly timeoutMs: number;
  /** Test files at once; 1 where they share the machine's cores with a node or a browser. Control planes mostly wait. */
  readonly parallel: number;
  /** Debian packages the tier uses when it can have them. */
  readonly packages: readonly string[];
  /** Programs that are compiled before the tier starts where Go is there, so that no test's time is a compiler's. */
  readonly tools?: readonly ToolName[];
  /** Not part of `npm test`: it runs by name and every night. */
  readonly isOnDemand?: boolean;
};

const BROWSER = ["chromium"];

export const TIERS: readonly Tier[] = [
  {
    name: "unit",
    about: "rules and edges, real sockets on loopback",
    paths: [
      "test/architecture",
      "test/client",
      "test/operator",
      "test/protocol",
      "test/scripts",
      "test/server",
      "test/support-tests",
      "test/tracing",
    ],
    timeoutMs: 30_000,
    parallel: 3,
    packages: [],
  },
  { name: "contract", about: "one suite for every engine", paths: ["test/contract"], timeoutMs: 30_000, parallel: 1, packages: [] },
  {
    name: "chart",
    about: "the Helm chart, as Helm renders it",
    paths: ["test/chart"],
    timeoutMs: 60_000,
    parallel: 1,
    packages: [],
    tools: ["helm"],
  },
  {
    name: "limits",
    about: "every limit at its edge, every failure and close code provoked",
    paths: ["test/limits"],
    timeoutMs: 30_000,
    parallel: 3,
    packages: [],
  },
  {
    name: "conformance",
    about: "checkers that others wrote, against the real server",
    paths: ["test/conformance"],
    timeoutMs: 120_000,
    parallel: 1,
    packages: [],
  },
  {
    name: "hostile",
    about: "clients that mean no good, and garbage at every door",
    paths: ["test/hostile"],
    timeoutMs: 60_000,
    parallel: 2,
    packages: [],
  },
  {
    name: "endurance",
    about: "kills under load, links that flap",
    paths: ["test/endurance"],
    timeoutMs: 60_000,
    parallel: 1,
    packages: [],
  },
  {
    name: "fleet",
    about: "many nodes over a real Redis and PostgreSQL, through faults",
    paths: ["test/fleet"],
    timeoutMs: 60_000,
    parallel: 1,
    packages: ["redis-server", "postgresql-15"],
  },
  {
    name: "monitoring",
    about: "alerts and dashboards in a real Prometheus, faults provoked",
    paths: ["test/monitoring"],
    timeoutMs: 120_000,
    parallel: 2,
    packages: ["prometheus", "redis-server", "postgresql-15"],
    tools: [...CONTROL_PLANE_TOOLS, "otelcol", "grafana-dashboard"],
  },
  {
    name: "prometheus-operator",
    about: "the real prometheus-operator reads what we make for it",
    paths: ["test/prometheus-operator"],
    timeoutMs: 120_000,
    parallel: 1,
    packages: ["prometheus"],
    tools: [...CONTROL_PLANE_TOOLS, "helm", "prometheus-operator"],
    isOnDemand: true,
  },
  {
    name: "foreign",
    about: "clients that others wrote: Node, Python, a browser, curl",
    paths: ["test/foreign"],
    timeoutMs: 30_000,
    parallel: 1,
    packages: [...BROWSER, "curl"],
  },
  {
    name: "local",
    about: "the CLI and the console, in a real browser",
    paths: ["test/cli"],
    timeoutMs: 60_000,
    parallel: 1,
    packages: BROWSER,
  },
  {
    name: "control-plane",
    about: "a real Kubernetes API server, no pods",
    paths: ["test/e2e/control-plane", "test/gitops"],
    timeoutMs: 120_000,
    parallel: 3,
    packages: [],
    tools: [...CONTROL_PLANE_TOOLS, ...SCHEDULER_TOOLS, "helm", "kstatus", "argo-lua", "otelcol"],
  },
  {
    name: "node",
    about: "a real node with real pods",
    paths: ["test/e2e/*.test.ts"],
    timeoutMs: 300_000,
    parallel: 1,
    packages: [...NODE_PACKAGES],
    tools: [...NODE_TOOLS, "metrics-server", "helm"],
  },
];

/** The longest that a test waits for a condition without naming a time of its own, in milliseconds. */
const MOST_PATIENCE_MS = 60_000;

/**
 * What `test/support/eventually.ts` is told: how long its waits may take in this tier, in milliseconds. Half of a test's time:
 * a machine that is slow for a few seconds fails nothing, and a wait for what never comes still says what it waited for.
 */
export const patienceOf = ({ timeoutMs }: Tier): number => Math.min(timeoutMs / 2, MOST_PATIENCE_MS);

/** The tiers of `npm run test:fast`. */
export const FAST_TIERS: readonly string[] = ["unit", "contract"];
/** The tiers of `npm run test:nightly`: those with property tests, and what is too dear for every run. */
export const NIGHTLY_TIERS: readonly string[] = [...FAST_TIERS, "hostile", "endurance", "prometheus-operator"];

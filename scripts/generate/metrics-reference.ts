// Why: what can be asked of Prometheus is written from the tables the registries are made from, so that the page knows every
// metric and no other. Pure: tables in, Markdown out.
import { OPERATOR_METRICS, OPERATOR_RUNTIME_METRICS } from "../../operator/src/kube/metrics-table.ts";
import type { LabelValues, MetricRow } from "../../protocol/metric-row.ts";
import { CONFIGURATION_ROWS } from "../../server/src/adapters/metrics/configuration-rows.ts";
import { MESSAGE_ROWS } from "../../server/src/adapters/metrics/message-rows.ts";
import { NODE_ROWS, RUNTIME_ROWS } from "../../server/src/adapters/metrics/node-rows.ts";
import type { ServerMetricRow } from "../../server/src/adapters/metrics/row.ts";
import { SESSION_ROWS } from "../../server/src/adapters/metrics/session-rows.ts";
import { STORE_ROWS } from "../../server/src/adapters/metrics/store-rows.ts";
import { TENANT_ROWS } from "../../server/src/adapters/metrics/tenant-rows.ts";

const HEADER = "<!-- Generated from the tables of server and operator by `npm run generate`. Do not edit. -->\n\n";

const INTRODUCTION = `# Metrics

Every series that servers (port 9090) and the operator (port 8080) export at \`/metrics\`, in Prometheus' text format. Units are
those in the names. Counters begin at 0 with the process; small closed sets of labels are there from the start with 0. No label
has a value that a client chooses: what is no member of a set is counted as \`other\`.

Prometheus adds \`namespace\` and \`pod\`; our PodMonitor adds \`nexus_cluster\`, the name of the NexusCluster. A pod of several
processes shows one text: the last column says how the processes' values become one where they are not added up.
`;

type Table = Readonly<Record<string, ServerMetricRow>>;
type Section = { readonly title: string; readonly about?: string; readonly table: Table };

const SERVER: readonly Section[] = [
  { title: "Node", table: NODE_ROWS },
  { title: "Sessions", table: SESSION_ROWS },
  { title: "Notifications", table: MESSAGE_ROWS },
  {
    title: "Tenants",
    about:
      "The `NEXUS_METRICS_TENANTS` declared tenants (100 unless set) whose ids hash lowest have series of their own, the same ones on every pod; all others together are `other`. 0 leaves these metrics out.",
    table: TENANT_ROWS,
  },
  { title: "Stores", table: STORE_ROWS },
  { title: "Configuration and credentials", table: CONFIGURATION_ROWS },
  { title: "Runtime", table: RUNTIME_ROWS },
];

/** `docs/reference/metrics.md`. */
export function metricsReference(): string {
  const runtime = Object.fromEntries(OPERATOR_RUNTIME_METRICS.map((name) => [name, runtimeRow(name)]));
  return [
    HEADER + INTRODUCTION,
    "## Servers\n",
    ...SERVER.flatMap(({ title, about, table }) => [`### ${title}\n`, ...(about ? [`${about}\n`] : []), serverTable(table)]),
    "## Operator\n",
    "Controller-runtime's and client-go's names where they have one. What is said of clusters comes from the leader only.\n",
    operatorTable({ ...OPERATOR_METRICS, ...runtime }),
    "## Buckets\n",
    "Upper bounds of the histograms, in seconds; `+Inf` comes on top.\n",
    bucketTable({ ...Object.assign({}, ...SERVER.map(({ table }) => table)), ...OPERATOR_METRICS }),
  ].join("\n");
}

function runtimeRow(name: string): MetricRow {
  const rows: Table = RUNTIME_ROWS;
  const row = rows[name];
  if (!row) throw new Error(`${name} is not described among the servers' runtime metrics`);
  return row;
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
const line = (...cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
const tableOf = (head: readonly string[], rows: readonly string[]): string =>
  [line(...head), line(...head.map(() => "---")), ...rows, ""].join("\n");

function serverTable(table: Table): string {
  const rows = Object.entries(table).map(([name, row]) =>
    line(`\`${name}\``, row.type, labelsOf(row), unitOf(name), row.help, ENGINES[row.only ?? "any"], ACROSS[row.across ?? "sum"]),
  );
  return tableOf(["name", "type", "labels", "unit", "what it says", "where", "of several processes"], rows);
}

const ENGINES = { any: "every engine", redis: "redis", postgres: "inboxes in PostgreSQL" } as const;
const ACROSS = { sum: "", min: "least", max: "greatest", parent: "the first process's" } as const;

function operatorTable(table: Readonly<Record<string, MetricRow>>): string {
  const rows = Object.entries(table).map(([name, row]) => line(`\`${name}\``, row.type, labelsOf(row), unitOf(name), row.help));
  return tableOf(["name", "type", "labels", "unit", "what it says"], rows);
}

function bucketTable(table: Readonly<Record<string, MetricRow>>): string {
  const rows = Object.entries(table).flatMap(([name, { buckets }]) => (buckets ? [line(`\`${name}\``, buckets.join(" "))] : []));
  return tableOf(["histogram", "bounds"], rows);
}

function labelsOf({ labels = {} }: MetricRow): string {
  return Object.entries(labels)
    .map(([label, values]) => `\`${label}\`: ${valuesOf(values)}`)
    .join("; ");
}

const valuesOf = (values: LabelValues): string => (typeof values === "string" ? values : values.join(", "));

/** The base unit its name ends with, before `_total`. */
export function unitOf(name: string): string {
  const base = name.replace(/_total$/, "");
  if (base.endsWith("_timestamp_seconds") || base === "process_start_time_seconds") return "Unix time in seconds";
  for (const unit of ["seconds", "bytes"]) if (base.endsWith(`_${unit}`)) return unit;
  return "";
}

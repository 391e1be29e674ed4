// Why: every metric of a server in one table, from which the registry and the reference page are made, so that neither
// can know one the other does not. Names follow Prometheus: base units, `_total` for counters.
// Labels come from closed sets only: never a user, a channel or a session; tenants are capped.
import { CONFIGURATION_ROWS } from "./metrics/configuration-rows.ts";
import { MESSAGE_ROWS } from "./metrics/message-rows.ts";
import { NODE_ROWS, RUNTIME_ROWS } from "./metrics/node-rows.ts";
import type { ServerMetricRow } from "./metrics/row.ts";
import { SESSION_ROWS } from "./metrics/session-rows.ts";
import { STORE_ROWS } from "./metrics/store-rows.ts";
import { TENANT_ROWS } from "./metrics/tenant-rows.ts";

export const METRICS = {
  ...NODE_ROWS,
  ...SESSION_ROWS,
  ...MESSAGE_ROWS,
  ...TENANT_ROWS,
  ...STORE_ROWS,
  ...CONFIGURATION_ROWS,
} as const satisfies Record<string, ServerMetricRow>;

export type MetricName = keyof typeof METRICS;

/** Metrics of the runtime, under the names that every program with this client library has. */
export const RUNTIME_METRICS: Readonly<Record<string, ServerMetricRow>> = RUNTIME_ROWS;

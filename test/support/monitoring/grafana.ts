// Why: what Grafana does with a query before Prometheus sees it: variables are filled in by their names. It must never change
// anything else, so that what is run is what people would see.
import type { Dashboard } from "@nexus/operator/desired/monitoring/dashboards/model.ts";
import type { Prometheus } from "./prometheus.ts";

/** Values of a dashboard's variables, by name. */
export type Values = Readonly<Record<string, string>>;

/** `expr` with its variables; `$1` of a replacement stays. @throws Error for a name that has no value */
export function filledIn(expr: string, values: Values): string {
  return expr.replaceAll(/\$([a-z_]\w*)/gi, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`$${name} is no variable of this dashboard: ${expr}`);
    return value;
  });
}

/** What a variable offers: the values of its label, sorted. */
export async function offered(
  prometheus: Prometheus,
  { query, values: label }: { readonly query: string; readonly values: string },
  values: Values,
) {
  const found = await prometheus.query(filledIn(query, values));
  return [...new Set(found.flatMap(({ labels }) => labels[label] ?? []))].sort();
}

/** Everything chosen, as at first: the word for all where there is one, else all that is offered. `interval`: `$__rate_interval`. */
export async function everything(prometheus: Prometheus, { variables }: Dashboard, interval: `${number}s`): Promise<Values> {
  let values: Values = { __rate_interval: interval };
  for (const variable of variables) {
    const { name } = variable;
    if ("constant" in variable) values = { ...values, [name]: variable.constant };
    else values = { ...values, [name]: variable.all ?? `(${(await offered(prometheus, variable, values)).map(escaped).join("|")})` };
  }
  return values;
}

/** Twice: for the expression, and for the text it stands in. */
const escaped = (value: string): string => value.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\\\$&");

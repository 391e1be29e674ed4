// Why: what Grafana does with a query before Prometheus sees it: variables are filled in by their names. It must never change
// anything else, so that what is run is what people would see.
import type { Dashboard, Variable } from "@nexus/operator/desired/monitoring/dashboards/model.ts";

/** Of a panel's width of minutes and scrapes each second: four scrapes, as Grafana makes it. */
export type Interval = `${number}s`;

/** `expr` with the dashboard's variables: constants as they are, lists with everything chosen. @throws Error for a name nobody defines */
export function filledIn(expr: string, { variables }: Pick<Dashboard, "variables">, interval: Interval): string {
  const values: Readonly<Record<string, string>> = {
    __rate_interval: interval,
    ...Object.fromEntries(variables.map((one) => [one.name, chosen(one)])),
  };
  return expr.replaceAll(/\$(\w+)/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`$${name} is no variable of this dashboard: ${expr}`);
    return value;
  });
}

const chosen = (variable: Variable): string => ("constant" in variable ? variable.constant : ".*");

// Why: an expression of a runbook that Prometheus takes may still never answer, because two labels are not written alike. All of them
// are asked where real servers and a real operator were scraped; what may be empty is said here, with why.
import { join } from "node:path";
import { readPages } from "../../scripts/check/monitoring/load.ts";
import { promqlIn } from "../../scripts/check/monitoring/page.ts";
import { RUNBOOKS } from "../../scripts/check/monitoring/world.ts";
import type { Prometheus } from "../support/monitoring/prometheus.ts";

/** Ends in a comparison: empty is well. */
const FILTER = /(==|>=|>|<) -?[\d.]+$/;

/** Parts of expressions that are empty while all is well, or while Prometheus is young. */
const QUIET: Readonly<Record<string, string>> = {
  "count(sum by (pod) (nexus_sessions": "no pod is full",
  "[30m:1m])": "half an hour of history",
  "[1h:1m], 3600)": "an hour of history",
  "offset 1w": "a week of history",
  'nexus_tenant_publishes_total{namespace="NAMESPACE",nexus_cluster="CLUSTER",outcome="failed"}': "no publish failed",
  'certificate="listener"': "these pods speak plain HTTP",
  'rest_client_requests_total{namespace="nexus-system",code': "the API server refused nothing",
  reflector_watches_total: "no watch has ended",
  reflector_list_failures_total: "no list has failed",
  nexus_operator_unchanged_writes_total: "0, as it should be: no series",
  "(nexus_slow_sessions": "nobody is slow",
};

/** Expressions of runbooks without an answer that should have one. `names`: what stands for NAMESPACE, CLUSTER, POD and TENANT. */
export async function unanswered(
  prometheus: Pick<Prometheus, "query">,
  names: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const pages = [...(await readPages(join(import.meta.dir, "../..")))].filter(([path]) => path.startsWith(RUNBOOKS));
  const wrong: string[] = [];
  let answered = 0;
  for (const [path, text] of pages)
    for (const expr of promqlIn(text)) {
      const asked = Object.entries(names).reduce((sum, [word, name]) => sum.replaceAll(`"${word}"`, `"${name}"`), expr);
      if ((await prometheus.query(asked)).length > 0) answered++;
      else if (!FILTER.test(expr) && !Object.keys(QUIET).some((part) => expr.includes(part))) wrong.push(`${path}: ${expr}`);
    }
  return answered > 250 ? wrong : [...wrong, `only ${answered} expressions answered`];
}

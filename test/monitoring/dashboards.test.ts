// Why: a panel that shows nothing looks like a quiet night. Every query and every variable is asked of a real Prometheus that
// scraped real servers under load and the real operator which runs them, with the rules loaded.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Dashboard, Panel, Query } from "@nexus/operator/desired/monitoring/dashboards/model.ts";
import { clusterDashboards, fixedDashboards } from "@nexus/operator/desired/monitoring/dashboards/sets.ts";
import { clusterRules } from "@nexus/operator/desired/monitoring/rules/cluster.ts";
import { operatorRules } from "@nexus/operator/desired/monitoring/rules/operator.ts";
import { type RenderedGroup, renderGroups } from "@nexus/operator/desired/monitoring/rules/render.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { SignJWT } from "jose";
import { ensurePackages } from "../support/apt.ts";
import { unavailableTier } from "../support/cluster/tiers.ts";
import { eventually } from "../support/eventually.ts";
import { everything, filledIn, offered, type Values } from "../support/monitoring/grafana.ts";
import { hostKubelet } from "../support/monitoring/host-kubelet.ts";
import type { HostPod } from "../support/monitoring/host-pod.ts";
import { type Prometheus, startPrometheus, type Target } from "../support/monitoring/prometheus.ts";
import { startTraffic } from "../support/monitoring/traffic.ts";
import { startStage } from "../support/operator.ts";
import { startPostgres } from "../support/postgres.ts";
import { type RedisServer, startRedis } from "../support/redis/server.ts";
import { template, tenant } from "../support/resources.ts";
import { unanswered } from "./runbook-queries.ts";

setDefaultTimeout(120_000);
const missing = (await unavailableTier("control-plane")) ?? (await ensurePackages(["prometheus", "redis-server", "postgresql-15"]));
if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`);

const NAMESPACE = "shop";
const SECRET = "a secret of the people of a shop";
const INTERVAL = "5s";
const JOB = "nexus-system/nexus-operator";
/** No sum with it in it looks like one of ours. */
const STRANGE = 1e15;
/** Seconds of load that Prometheus sees. */
const LOAD_SECONDS = 20;

const stack = new AsyncDisposableStack();
let prometheus: Prometheus;
let redis: RedisServer;
let pods: readonly HostPod[];
let dashboards: readonly Dashboard[] = [];
let began = 0;
/** Of each dashboard, with everything chosen. */
const chosen = new Map<Dashboard, Values>();
const inFull = (on: Dashboard, expr: string): string => filledIn(expr, chosen.get(on) ?? {});

/** Something else of the same Prometheus, with names that every Bun or Node process and every controller has. */
function stranger(): Target {
  const names = ["process_resident_memory_bytes", "nodejs_eventloop_lag_p99_seconds", "leader_election_master_status", "workqueue_depth"];
  const counters = ["process_cpu_seconds_total", "controller_runtime_reconcile_total", "rest_client_requests_total"];
  let scrapes = 0;
  const server = Bun.serve({
    ...{ hostname: "127.0.0.1", port: 0 },
    fetch: () => new Response([...names, ...counters].map((name) => `${name}{name="stranger"} ${STRANGE * ++scrapes}\n`).join("")),
  });
  stack.defer(() => server.stop(true));
  return { address: `127.0.0.1:${server.port}`, labels: { job: "other/stranger", namespace: "other", pod: "stranger-0" } };
}

const tokenOf = (tenantId: string, user: string) =>
  new SignJWT({ tenant_id: tenantId })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));

/** Rules as they are, evaluated each second: a test does not wait for their own pace. */
const hurried = (groups: readonly RenderedGroup[]): readonly RenderedGroup[] => groups.map(({ name, rules }) => ({ name, rules }));

beforeAll(async () => {
  if (missing !== undefined) return;
  const stage = stack.use(await startStage());
  redis = stack.use(await startRedis());
  const postgres = stack.use(await startPostgres());
  const operator = stack.use(await stage.operator({ "--scaling-seconds": "1" }));
  const secret = (name: string, data: object) => ({
    ...{ apiVersion: "v1", kind: "Secret", metadata: { name, namespace: NAMESPACE } },
    stringData: data,
  });
  const auth = (keys: readonly string[]) => ({
    issuers: [{ name: "tests", algorithms: ["HS256"], secretRef: { name: "tokens" } }],
    apiKeys: keys.map((name) => ({ name, scopes: ["publish", "read"] })),
  });
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  await stage.plane.apply([
    secret("tokens", { key: SECRET }),
    secret("postgres", { url: postgres.url }),
    {
      apiVersion: "nexus.dev/v1alpha1",
      kind: "NexusCluster",
      metadata: { name: "live", namespace: NAMESPACE },
      spec: {
        redis: { mode: "External", external: { addresses: [redis.address] } },
        storage: { inbox: "Postgres", postgres: { urlSecretRef: { name: "postgres" } } },
        limits: { upgradesPerMinutePerAddress: 0, requestsPerSecond: 0 },
        delivery: { drainSeconds: 5 },
        autoscaling: { provider: "Nexus", minReplicas: 2, maxReplicas: 3 },
        monitoring: { tracing: { endpoint: "http://127.0.0.1:9/v1/traces", samplePercent: 100 } }, // a collector that is away
        channels: [{ match: "kept.*", history: { size: 1000, ttlSeconds: 600 } }],
      },
    },
    tenant(NAMESPACE, "acme", { auth: auth(["backend"]), quotas: { connections: 100 } }),
    tenant(NAMESPACE, "small", { auth: auth(["backend"]), quotas: { publishPerSecond: 1, publishBurst: 1 } }),
    template(NAMESPACE, "hello"),
  ]);
  const kubelet = stack.use(hostKubelet(stage, NAMESPACE, "live"));
  pods = await kubelet.ready(2);
  await stage.until("nexuscluster/live", NAMESPACE, { type: "Ready", status: "True" }, 60_000);
  await stage.until("template/hello", NAMESPACE, { type: "Ready", status: "True" }, 60_000);
  const keyOf = async (name: string) => {
    const data = (await stage.get(`secret/${name}-apikey-backend`, NAMESPACE))?.data?.key ?? "";
    return Buffer.from(data, "base64").toString();
  };
  // The API server has filled in every default: it is the object the operator renders.
  const cluster = (await stage.get("nexuscluster/live", NAMESPACE)) as unknown as NexusCluster;
  // Its public port is plain, so that every client of a test can use it: what only TLS has is asked, and is empty.
  const encrypted = { ...cluster, spec: { ...cluster.spec, tls: { secretRef: { name: "listener" } } } };
  dashboards = [...clusterDashboards(encrypted), ...fixedDashboards()];
  prometheus = stack.use(
    await startPrometheus({
      targets: [
        ...kubelet.targets(),
        stranger(),
        {
          address: new URL(operator.url).host,
          labels: { job: JOB, namespace: "nexus-system", pod: "nexus-operator-0", container: "operator" },
        },
      ],
      groups: hurried(renderGroups([...clusterRules(cluster), ...operatorRules({ job: JOB })])),
    }),
  );
  await prometheus.everyTargetUp();
  began = Date.now() / 1000;
  const traffic = stack.use(
    await startTraffic({
      ...{ urls: pods.map(({ url }) => url), tenant: "acme", tokenOf },
      keys: { usual: await keyOf("acme"), narrow: await keyOf("small") },
    }),
  );
  let edits = 0;
  await eventually(
    "the load was scraped",
    async () => {
      await stage.plane.apply(template(NAMESPACE, "hello", { payload: { text: `hello ${edits++}` } }));
      return Date.now() / 1000 - began > LOAD_SECONDS && traffic.answered > 50;
    },
    { timeoutMs: 90_000, intervalMs: 1000 },
  );
  for (const one of dashboards) chosen.set(one, await everything(prometheus, one, INTERVAL));
}, 400_000);

afterAll(async () => {
  await stack.disposeAsync();
});

const panels = (): readonly { readonly on: Dashboard; readonly panel: Panel; readonly query: Query }[] =>
  dashboards.flatMap((on) =>
    on.rows.flatMap(({ panels: all }) => all.flatMap((panel) => panel.queries.map((query) => ({ on, panel, query })))),
  );

/** Lines without data here, by legend, and who proves them. */
const ELSEWHERE = new Map([["public port", "needs a listener with a certificate: test/server/tls and test/fleet/processes-tls.test.ts"]]);

/** What a panel would show of the load: tables the last moment, the others the window. Points that are no number are not drawn. */
async function shown(kind: Panel["kind"], expr: string): Promise<number> {
  if (kind === "table") return (await prometheus.query(expr)).filter(({ value }) => !Number.isNaN(value)).length;
  const series = await prometheus.queryRange(expr, { start: began, end: Date.now() / 1000, stepSeconds: 1 });
  return series.flatMap(({ points }) => points).filter(([, value]) => !Number.isNaN(value)).length;
}

test.skipIf(missing !== undefined)("every expression of the runbooks answers, but for what has not happened", async () => {
  const names = { NAMESPACE, CLUSTER: "live", POD: pods[0]?.name ?? "", TENANT: "acme" };
  expect(await unanswered(prometheus, names)).toEqual([]);
});

test.skipIf(missing !== undefined)("every query of every panel answers with data", async () => {
  const empty: string[] = [];
  const all = panels();
  expect(all.length).toBeGreaterThan(200);
  for (const { on, panel, query } of all) {
    const expr = inFull(on, query.expr);
    const points = await shown(panel.kind, expr);
    if (points === 0 && query.mayBeEmpty === undefined && !ELSEWHERE.has(query.legend))
      empty.push(`${on.title}: ${panel.title}: ${query.legend}: ${expr}`);
  }
  expect(empty).toEqual([]);
});

test.skipIf(missing !== undefined)("every legend and column is a label that the answer has", async () => {
  const wrong: string[] = [];
  for (const { on, panel, query } of panels()) {
    const labels = [...query.legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = ""]) => name);
    const found = await prometheus.query(inFull(on, query.expr));
    for (const label of labels)
      if (found.length > 0 && found.every((sample) => sample.labels[label] === undefined))
        wrong.push(`${on.title}: ${panel.title}: ${label}`);
    const same = Map.groupBy(found, (sample) => query.legend.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => sample.labels[name] ?? ""));
    if (panel.kind === "timeseries")
      for (const [legend, samples] of same)
        if (samples.length > 1) wrong.push(`${on.title}: ${panel.title}: ${samples.length} lines called ${legend}`);
  }
  expect(wrong).toEqual([]);
});

test.skipIf(missing !== undefined)("every variable offers what was scraped", async () => {
  const offers: Record<string, readonly string[]> = {};
  for (const on of dashboards)
    for (const variable of on.variables) {
      if ("constant" in variable) continue;
      offers[`${on.file} ${variable.name}`] = await offered(prometheus, variable, chosen.get(on) ?? {});
    }
  expect(offers).toEqual({
    "nexus-tenants tenant": ["acme", "other", "small"],
    "nexus-overview namespace": [NAMESPACE],
    "nexus-overview nexus_cluster": ["live"],
    "nexus-operator job": [JOB],
  });
});

test.skipIf(missing !== undefined)("no panel shows anybody else's series", async () => {
  expect((await prometheus.query("workqueue_depth")).map(({ labels }) => labels.pod)).toContain("stranger-0");
  const foreign: string[] = [];
  for (const { on, panel, query } of panels()) {
    const found = await prometheus.query(inFull(on, query.expr));
    if (
      found.some(
        ({ labels, value }) =>
          Object.values(labels).some((label) => /stranger|^other$/.test(label) && labels.tenant !== label) || value >= STRANGE / 10,
      )
    )
      foreign.push(`${on.title}: ${panel.title}: ${query.legend}`);
  }
  expect(foreign).toEqual([]);
  const [overview] = dashboards.filter(({ file }) => file === "nexus-overview");
  const fleets = panels().find(({ on, panel }) => on === overview && panel.title === "Fleets");
  expect((await prometheus.query(inFull(fleets?.on as Dashboard, fleets?.query.expr ?? "")))[0]?.value).toBe(1);
});

test.skipIf(missing !== undefined)("few queries may be empty, and each says why", () => {
  const reasons = panels().flatMap(({ query }) => query.mayBeEmpty ?? []);
  expect(reasons.every((reason) => reason.split(" ").length >= 3)).toBe(true);
  expect(reasons.length).toBeLessThan(25);
});

/** The first number of a panel now. */
async function now(file: string, title: string, legend?: string): Promise<number | undefined> {
  const found = panels().find(
    ({ on, panel, query }) => on.file === file && panel.title === title && (legend === undefined || query.legend === legend),
  );
  if (!found) throw new Error(`${file} has no panel ${title}`);
  return (await prometheus.query(inFull(found.on, found.query.expr)))[0]?.value;
}

test.skipIf(missing !== undefined)("the first lines tell of a Redis that hangs and of a pod that died", async () => {
  const wanted: readonly (readonly [string, string, string | undefined, (value: number) => boolean])[] = [
    ["nexus-cluster", "Pods ready", undefined, (value) => value === 0.5],
    ["nexus-cluster", "Publishes that fail", undefined, (value) => value > 0.05],
    ["nexus-redis", "Circuit breaker", undefined, (value) => value > 0],
    ["nexus-redis", "Calls that did not succeed", undefined, (value) => value > 0.05],
    ["nexus-overview", "Pods ready", undefined, (value) => value === 0.5],
    ["nexus-overview", "Fleets", "Ready", (value) => value === 1],
    ["nexus-overview", "Fleets", "Pods", (value) => value === 2],
    ["nexus-overview", "Fleets", "Publishes that fail", (value) => value > 0.05],
    ["nexus-overview", "Conditions", "Ready", (value) => value < 1],
  ];
  const seen = new Set<string>();
  redis.freeze();
  try {
    await pods[0]?.kill();
    await eventually(
      "each of them was seen",
      async () => {
        for (const [file, title, legend, isIt] of wanted) {
          const value = await now(file, title, legend);
          if (value !== undefined && isIt(value)) seen.add(`${file} ${title} ${legend}`);
        }
        const left = wanted.map(([file, title, legend]) => `${file} ${title} ${legend}`).filter((one) => !seen.has(one));
        if (left.length > 0) throw new Error(`not seen: ${left.join("; ")}`);
        return true;
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
  } finally {
    redis.resume();
  }
});

// Why: one real fleet for one fault: a namespace, a NexusCluster that the real operator turns into pods, its broker, and people who
// use it all the while. It must never look at a metric.
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { SignJWT } from "jose";
import { type Authority, createAuthority } from "../../support/cluster/pki.ts";
import { Person } from "../../support/fleet/person.ts";
import { hostKubelet } from "../../support/monitoring/host-kubelet.ts";
import type { Stage } from "../../support/operator.ts";
import { startRedis } from "../../support/redis/server.ts";
import { tenant } from "../../support/resources.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { again, type FleetPlan, type Place } from "./fault.ts";

const SECRET = "a secret of the people of a fault";
const HOST = "push.example.com";
const USUAL_DAYS = 90;
const PEOPLE = ["ann", "ben"];
/** Two publishes a second: enough for every share to mean something. */
const PUBLISH_MS = 500;

export type Fleet = AsyncDisposable & Place;

/** Resolves once the fleet is Ready and people use it. */
export async function openFleet(stage: Stage, namespace: string, plan: FleetPlan): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const redis = plan.broker ? stack.use(await startRedis({ settings: ["appendonly yes"] })) : undefined;
  const network = redis && plan.broker === "slow" ? stack.use(await startTcpProxy(redis)) : undefined;
  const apply: Place["apply"] = async (...objects) => void (await stage.plane.apply(objects));
  const authority = await createAuthority(`people of ${namespace}`);
  await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const certificate = async (days: number) => await apply(await tlsSecret(namespace, authority, days));
  if (plan.tls) await certificate(USUAL_DAYS);
  await apply(...objectsOf(namespace, plan, network ? `127.0.0.1:${network.port}` : redis?.address));
  const kubelet = stack.use(hostKubelet(stage, namespace, "live", { relayAdmin: plan.relayAdmin ?? false }));
  const pods = await kubelet.ready(plan.pods ?? 1);
  await stage.until("nexuscluster/live", namespace, { type: "Ready", status: "True" }, 90_000);
  await stage.until("tenant/acme", namespace, { type: "Ready", status: "True" }, 60_000);
  await stage.until("tenant/narrow", namespace, { type: "Ready", status: "True" }, 60_000);
  const keys = { acme: await keyOf(stage, namespace, "acme"), narrow: await keyOf(stage, namespace, "narrow") };
  let turn = 0;
  const url = () => pods[turn++ % pods.length]?.url ?? "";
  const publish: Place["publish"] = async (name) => {
    const answer = await fetch(`${url()}/api/v1/notifications/send`, {
      ...{ method: "POST", signal: AbortSignal.timeout(10_000) },
      headers: { "content-type": "application/json", "x-api-key": name === "narrow" ? keys.narrow : keys.acme },
      body: JSON.stringify({ event_type: "load", payload: { text: "hello" }, target_user_id: PEOPLE[turn % PEOPLE.length] }),
    });
    await answer.body?.cancel();
    return answer.status;
  };
  const tokenOf = (user: string) => tokenFor(user);
  if (!plan.tls) {
    const people = await Promise.all(
      PEOPLE.map(
        async (user) =>
          new Person({ user, token: await tokenOf(user), channels: [], place: () => ({ url: url() }), onEntry: () => undefined }),
      ),
    );
    stack.defer(() => {
      for (const person of people) person.close();
    });
    await Promise.all(people.map((person) => person.arrive()));
    const publishing = again(PUBLISH_MS, () => publish("acme"));
    stack.defer(() => publishing.stop());
  }
  const owned = stack.move();
  const must = <T>(value: T | undefined, what: string): T => {
    if (value === undefined) throw new Error(`the plan of ${namespace} has no ${what}`);
    return value;
  };
  return {
    ...{ namespace, pods, apply, certificate, tokenOf, publish },
    get redis() {
      return must(redis, "broker");
    },
    get network() {
      return must(network, "slow broker");
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Cluster, tenants and the secret of the people's tokens. Rates per address and key are off: all people are one address here. */
function objectsOf(namespace: string, { spec = {}, pods = 1, tls = false }: FleetPlan, broker: string | undefined): readonly object[] {
  const auth = {
    issuers: [{ name: "tests", algorithms: ["HS256"], secretRef: { name: "tokens" } }],
    apiKeys: [{ name: "backend", scopes: ["publish", "read"] }],
  };
  const cluster: Pick<NexusCluster, "apiVersion" | "kind" | "metadata"> & { readonly spec: object } = {
    ...{ apiVersion: "nexus.dev/v1alpha1", kind: "NexusCluster", metadata: { name: "live", namespace } },
    spec: {
      replicas: pods,
      redis: broker === undefined ? { mode: "None" } : { mode: "External", external: { addresses: [broker] } },
      limits: { upgradesPerMinutePerAddress: 0, requestsPerSecond: 0 },
      delivery: { drainSeconds: 5 },
      ...(tls ? { tls: { secretRef: { name: "public-tls" } } } : {}),
      ...spec,
    },
  };
  return [
    { apiVersion: "v1", kind: "Secret", metadata: { name: "tokens", namespace }, stringData: { key: SECRET } },
    cluster,
    tenant(namespace, "acme", { auth }),
    tenant(namespace, "narrow", { auth, quotas: { publishPerSecond: 1, publishBurst: 1 } }),
  ];
}

async function tlsSecret(namespace: string, authority: Authority, days: number): Promise<object> {
  const { certPem, keyPem } = await authority.issue({ commonName: HOST, hosts: [HOST], days });
  return {
    ...{ apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls" },
    metadata: { name: "public-tls", namespace, labels: { "nexus.dev/watch": "true" } },
    stringData: { "tls.crt": certPem, "tls.key": keyPem },
  };
}

async function keyOf(stage: Stage, namespace: string, name: string): Promise<string> {
  const secret = await stage.get(`secret/${name}-apikey-backend`, namespace);
  return Buffer.from(secret?.data?.key ?? "", "base64").toString();
}

const tokenFor = (user: string): Promise<string> =>
  new SignJWT({ tenant_id: "acme" })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));

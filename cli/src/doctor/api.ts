// Why: before anything of ours: is the API server there, new enough and on time, does it serve our kinds as this release knows them,
// and which of the optional ones.
import { discover } from "@nexus/operator/kube/discovery.ts";
import { readSchema } from "@nexus/operator/kube/schemas.ts";
import { missingOf } from "@nexus/operator/kube/served-crds.ts";
import { OPTIONAL_KINDS } from "@nexus/operator/loop/kinds.ts";
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { Discovery } from "@nexus/operator/loop/ports.ts";
import { type Connection, failureText } from "../kube/connect.ts";
import { servedKind } from "../kube/objects.ts";
import { type Check, clockCheck, fail, ok, skip, warn } from "./check.ts";

/** As `kubeVersion` of the chart. */
const OLDEST_MINOR = 30;
const OURS = ["NexusCluster", "Tenant", "Template"] as const;
const APPLY = "kubectl apply --server-side -f crds/ (or helm upgrade with the chart of this release)";

/** What each optional kind is for, and what is not had without it. */
const FOR: Readonly<Record<keyof typeof OPTIONAL_KINDS, string>> = {
  HTTPRoute: "spec.exposure.gateway",
  Certificate: "spec.tls.issuerRef",
  ScaledObject: "spec.autoscaling.provider KEDA",
  TriggerAuthentication: "spec.autoscaling.prometheus.authSecretRef",
  PodMonitor: "spec.monitoring.podMonitor",
  PrometheusRule: "spec.monitoring.rules",
};

export type ApiChecks = { readonly isReachable: boolean; readonly checks: readonly Check[] };

/** `nowMs`: the wall clock. Without an answer nothing else is asked. */
export async function apiChecks(connection: Connection, nowMs: () => number): Promise<ApiChecks> {
  const what = "API server";
  const started = performance.now();
  let dateMs: number | undefined;
  let version: Check;
  try {
    const answer = await connection.transport.request({ method: "GET", path: "/version" });
    dateMs = answer.dateMs;
    version = versionCheck(what, answer.body);
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    const fix =
      error.status === 401 ? "log in again, or choose another --context" : "check the address in the kubeconfig, VPN and firewall";
    return { isReachable: false, checks: [fail(what, failureText(error, connection.server), fix)] };
  }
  const roundTripMs = performance.now() - started;
  const clock =
    dateMs === undefined
      ? skip("API server clock", "it does not say the time")
      : wholeSeconds("API server clock", dateMs, nowMs(), roundTripMs);
  return { isReachable: true, checks: [version, clock, ...(await kinds(connection)), ...(await definitions(connection))] };
}

/** A `Date` header has no fractions: half a second is on nobody. */
export const wholeSeconds = (what: string, theirMs: number, ourMs: number, roundTripMs: number): Check =>
  clockCheck(what, theirMs + 500 - (ourMs - roundTripMs / 2), roundTripMs + 1000);

/** Pure: the answer of `/version`. */
export function versionCheck(what: string, body: unknown): Check {
  const {
    gitVersion = "?",
    major = "",
    minor = "",
  } = (typeof body === "object" && body !== null ? body : {}) as Readonly<Record<string, string>>; // version.Info
  const number = Number.parseInt(minor, 10);
  if (major === "1" && number >= OLDEST_MINOR) return ok(what, `reachable, Kubernetes ${gitVersion}`);
  return fail(what, `is Kubernetes ${gitVersion}`, `upgrade to Kubernetes 1.${OLDEST_MINOR} or newer`);
}

async function kinds({ transport }: Connection): Promise<readonly Check[]> {
  const seen = await discover(transport);
  const missing = OURS.filter((kind) => !isServed(seen, servedKind(kind)));
  const ours =
    missing.length === 0
      ? ok("CRDs", `${OURS.join(", ")} are served as v1alpha1`)
      : fail("CRDs", `not served: ${missing.join(", ")}`, APPLY);
  const optional = Object.entries(OPTIONAL_KINDS).map(([name, kind]) => {
    const what = `optional kind ${name}`;
    const use = FOR[name as keyof typeof OPTIONAL_KINDS]; // keys of that table
    if (isServed(seen, kind)) return ok(what, `served, for ${use}`);
    if (seen.unavailable.some((group) => group.startsWith(`${kind.group}/`)))
      return warn(what, "its API does not answer now", `kubectl get apiservices shows why ${kind.group} is not available`);
    return ok(what, `not installed; only ${use} needs it`);
  });
  return [ours, ...optional];
}

type Named = { readonly group: string; readonly version: string; readonly kind: string };

const isServed = (seen: Discovery, { group, version, kind }: Named): boolean =>
  seen.kinds.some((one) => one.group === group && one.version === version && one.kind === kind);

async function definitions({ transport }: Connection): Promise<readonly Check[]> {
  return await Promise.all(
    OURS.map(async (kind) => {
      const what = `CRD ${kind}`;
      const served = await readSchema(transport, servedKind(kind));
      if (served === undefined) return skip(what, "its schema is not published");
      const missing = missingOf(kind, served);
      if (missing.length === 0) return ok(what, "knows every field of this release");
      const shown = missing.slice(0, 5).join(", ");
      return fail(
        what,
        `is older than this program: ${missing.length} fields are dropped (${shown}${missing.length > 5 ? ", …" : ""})`,
        APPLY,
      );
    }),
  );
}

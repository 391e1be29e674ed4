// Why: without an operator nothing of what a spec says happens, and no status says so. Its Deployment, who leads, its release and its
// rights are looked at from outside. It must never be asked anything itself.
import { checkRights } from "@nexus/operator/check.ts";
import { LEASE_NAME } from "@nexus/operator/kube/rights.ts";
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { isForbidden } from "@nexus/operator/loop/kube-error.ts";
import { parseOptions } from "@nexus/operator/options.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import { version } from "../../package.json" with { type: "json" };
import { operatorLink } from "../explain/operator.ts";
import type { Connection } from "../kube/connect.ts";
import { OPERATOR_SELECTOR } from "../render/operator-labels.ts";
import { type Check, fail, ok, skip, warn } from "./check.ts";
import { checkOf } from "./links.ts";

type Container = {
  readonly image?: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
};
export type OperatorDeployment = KubeObject & {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly spec?: { readonly serviceAccountName?: string; readonly containers?: readonly Container[] } };
  };
  readonly status?: { readonly readyReplicas?: number };
};

/** `nowMs`: the wall clock. Rejects with `KubeError`, also when Deployments may not be listed. */
export async function operatorChecks(connection: Connection, nowMs: number): Promise<readonly Check[]> {
  const lead = checkOf(await operatorLink(connection, nowMs));
  let found: readonly OperatorDeployment[];
  try {
    found = (await connection.api.list<OperatorDeployment>(KINDS.Deployment, { labelSelector: OPERATOR_SELECTOR })).items;
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return [lead, skip("operator", "not allowed to look for its Deployment")];
  }
  if (found.length === 0)
    return [
      lead,
      lead.outcome === "ok"
        ? warn(
            "operator",
            `runs, but has no Deployment with the label ${OPERATOR_SELECTOR}`,
            "install it with the chart or the manifests of this release",
          )
        : fail("operator", "is not installed", "helm install nexus oci://…/charts/nexus (docs/install.md)"),
    ];
  const parts = await Promise.all(found.map(async (one) => [readyCheck(one), versionCheck(one, version), await rights(connection, one)]));
  return [lead, ...parts.flat()];
}

const nameOf = ({ metadata }: KubeObject): string => `operator ${metadata.namespace}/${metadata.name}`;

/** Pure. */
export function readyCheck(deployment: OperatorDeployment): Check {
  const [wanted, ready] = [deployment.spec?.replicas ?? 1, deployment.status?.readyReplicas ?? 0];
  const { namespace, name } = deployment.metadata;
  const what = nameOf(deployment);
  const fix = `kubectl describe pods -n ${namespace} -l ${OPERATOR_SELECTOR}; kubectl logs -n ${namespace} deployment/${name}`;
  if (wanted === 0) return fail(what, "is scaled to 0", `kubectl scale -n ${namespace} deployment/${name} --replicas=2`);
  if (ready === 0) return fail(what, `0 of ${wanted} replicas ready`, fix);
  return ready < wanted ? warn(what, `${ready} of ${wanted} replicas ready`, fix) : ok(what, `${ready} of ${wanted} replicas ready`);
}

/** Pure. `own`: release of this program. The operator's image, or its label, says which release it is. */
export function versionCheck(deployment: OperatorDeployment, own: string): Check {
  const what = `${nameOf(deployment)} release`;
  const image = deployment.spec?.template?.spec?.containers?.[0]?.image ?? "";
  const theirs = deployment.metadata.labels?.["app.kubernetes.io/version"] ?? /:([\w.-]+)$/.exec(image.split("@")[0] ?? "")?.[1];
  if (theirs === undefined) return skip(what, "neither its label nor its image says it");
  if (theirs === own) return ok(what, theirs);
  return warn(what, `is ${theirs}, this program is ${own}`, "use the CLI of the operator's release, or upgrade the operator");
}

/** Pure: what the operator was told, as far as the Deployment has it in words. */
export function operatorSettings(deployment: OperatorDeployment): { readonly leaseName: string; readonly namespaces: readonly string[] } {
  const container = deployment.spec?.template?.spec?.containers?.[0];
  const env = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value]));
  const flags = new Map(
    (container?.args ?? [])
      .filter((word) => word.startsWith("--"))
      .map((word) => [word.split("=")[0] ?? "", word.slice(word.indexOf("=") + 1)]),
  );
  const parsed = parseOptions({ env, flags });
  if (parsed.ok) return { leaseName: parsed.options.leaseName, namespaces: parsed.options.namespaces };
  return { leaseName: LEASE_NAME, namespaces: [] }; // it would not start either
}

async function rights({ transport }: Connection, deployment: OperatorDeployment): Promise<Check> {
  const { namespace = "default" } = deployment.metadata;
  const account = { namespace, name: deployment.spec?.template?.spec?.serviceAccountName ?? "default" };
  const what = `${nameOf(deployment)} rights`;
  const { leaseName, namespaces } = operatorSettings(deployment);
  try {
    const { what: seen, problem } = await checkRights(
      transport,
      { leaseName, leaseSeconds: 15, leaseNamespace: namespace, namespaces },
      account,
    );
    if (problem === undefined) return ok(what, seen);
    return fail(what, problem, "kubectl apply --server-side -f operator/deploy/rbac.yaml, or helm upgrade with the chart of this release");
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return skip(what, "not allowed to ask for others (create subjectaccessreviews); helm test asks as the operator");
  }
}

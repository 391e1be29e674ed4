// Why: the rights in operator/src/kube/rights.ts as Kubernetes reads them: rules that the chart puts into its roles, and the
// plain manifests for those without Helm. Pure; it must never add a right of its own.
import { stringify } from "yaml";
import { type Reach, RIGHTS, resourceOf, rulesFor } from "../../operator/src/kube/rights.ts";

const HEADER = "# Generated from operator/src/kube/rights.ts by `npm run generate`. Do not edit.\n";
const NAME = "nexus-operator";
const NAMESPACE = "nexus-system";
/** Objects without a namespace carry it in their name: two releases do not meet. */
const CLUSTER_NAME = `${NAME}.${NAMESPACE}`;
const GROUP = "rbac.authorization.k8s.io";

const yaml = (value: unknown): string => stringify(value, { lineWidth: 0, version: "1.1", aliasDuplicateObjects: false });

/** `charts/nexus/files/rights/<reach>.yaml`: a list of rules. */
export const rightsFile = (reach: Reach): string => `${HEADER}${yaml(rulesFor(reach))}`;

function bound(kind: "ClusterRole" | "Role", name: string, rules: readonly unknown[]): readonly object[] {
  const metadata = { name, ...(kind === "Role" ? { namespace: NAMESPACE } : {}) };
  const apiVersion = `${GROUP}/v1`;
  return [
    { apiVersion, kind, metadata, rules },
    {
      apiVersion,
      kind: `${kind}Binding`,
      metadata,
      roleRef: { apiGroup: GROUP, kind, name },
      subjects: [{ kind: "ServiceAccount", name: NAME, namespace: NAMESPACE }],
    },
  ];
}

/** `operator/deploy/rbac.yaml`: what the chart renders with `watch.scope: Cluster`, without Helm's labels. */
export function plainRoles(): string {
  const objects = [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: NAME, namespace: NAMESPACE } },
    ...bound("ClusterRole", CLUSTER_NAME, [...rulesFor("Cluster"), ...rulesFor("Watched")]),
    ...bound("Role", `${NAME}-lease`, rulesFor("Release")),
  ];
  return `${HEADER}${objects.map((object) => `---\n${yaml(object)}`).join("")}`;
}

const REACH: Readonly<Record<Reach, string>> = {
  Watched: "every watched namespace",
  Cluster: "the cluster, with `watch.scope: Cluster`",
  Listed: "each listed namespace, with `watch.scope: ListedNamespaces`",
  Release: "the operator's own namespace",
};

/** `docs/reference/rights.md`. */
export function rightsReference(): string {
  const rows = RIGHTS.map(({ reach, kinds, subresource, verbs, names, why }) => {
    const resources = kinds.map((kind) => `\`${resourceOf(kind, subresource)}${kind.group === "" ? "" : `.${kind.group}`}\``).join(", ");
    const only = names ? `, only \`${names.join("`, `")}\`` : "";
    return `| ${resources}${only} | ${verbs.join(", ")} | ${REACH[reach]} | ${why} |`;
  });
  return [
    "<!-- Generated from operator/src/kube/rights.ts by `npm run generate`. Do not edit. -->\n",
    "# Rights of the operator\n",
    "Everything the operator's ServiceAccount is granted. No wildcard, no `exec`, no `impersonate`. The test runner compares this",
    "list with the audit logs of the control-plane and node tiers: a right that nothing used, or a request that was denied, fails it.\n",
    "| resource | verbs | where | why |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

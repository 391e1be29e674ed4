// Why: RBAC cannot say "this annotation only" or "your own Secrets only". Two policies, for the chart and for the plain manifests,
// say it: of pods the operator changes the deletion cost of servers it made, of Secrets it writes those it made. Pure.
import { stringify } from "yaml";

const HEADER = "# Generated from scripts/generate/admission-policy.ts by `npm run generate`. Do not edit.\n";
const RELEASE = "nexus-operator.nexus-system";
const COST = "controller.kubernetes.io/pod-deletion-cost";

/** Whether `object` or `oldObject` carries the label of what we made. */
const isOurs = (object: "object" | "oldObject"): string =>
  `${object}.metadata.?labels["app.kubernetes.io/managed-by"].orValue("") == "nexus-operator"`;
const same = (field: string): string => `object.metadata.?${field} == oldObject.metadata.?${field}`;

type Rule = { readonly expression: string; readonly message: string };

const policy = (
  resource: string,
  operations: readonly string[],
  variables: readonly { readonly name: string; readonly expression: string }[],
  rules: readonly Rule[],
) => ({
  failurePolicy: "Fail",
  matchConstraints: {
    resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations, resources: [resource], scope: "Namespaced" }],
  },
  matchConditions: [{ name: "operator", expression: 'request.userInfo.username == "system:serviceaccount:nexus-system:nexus-operator"' }],
  ...(variables.length > 0 ? { variables } : {}),
  validations: rules.map((rule) => ({ ...rule, reason: "Forbidden" })),
});

/** Specs of the policies, by what they are about. */
export const POLICIES = {
  pods: policy(
    "pods",
    ["UPDATE"],
    [
      { name: "before", expression: "oldObject.metadata.?annotations.orValue({})" },
      { name: "after", expression: "object.metadata.?annotations.orValue({})" },
    ],
    [
      { expression: isOurs("oldObject"), message: "the operator changes pods of its own fleets only" },
      {
        expression: [
          `variables.before.all(name, name == "${COST}" || (name in variables.after && variables.after[name] == variables.before[name]))`,
          `variables.after.all(name, name == "${COST}" || name in variables.before)`,
        ].join(" && "),
        message: `the operator changes the annotation ${COST} of a pod only`,
      },
      {
        expression: ["object.spec == oldObject.spec", ...["labels", "finalizers", "ownerReferences"].map(same)].join(" && "),
        message: "the operator changes nothing of a pod but an annotation",
      },
    ],
  ),
  secrets: policy(
    "secrets",
    ["CREATE", "UPDATE", "DELETE"],
    [],
    [
      {
        expression: `request.operation == "CREATE" || ${isOurs("oldObject")}`,
        message: "the operator changes and deletes Secrets only that it made",
      },
      {
        expression: `request.operation == "DELETE" || ${isOurs("object")}`,
        message: "the operator labels every Secret it writes as its own",
      },
    ],
  ),
} as const;

export type PolicyName = keyof typeof POLICIES;

const yaml = (value: unknown): string => stringify(value, { lineWidth: 0, version: "1.1", aliasDuplicateObjects: false });

/** `charts/nexus/files/policies/<name>.yaml`: the spec; the chart puts its own ServiceAccount in. */
export const policySpec = (name: PolicyName): string => yaml(POLICIES[name]);

/** `operator/deploy/admission-policy.yaml`. */
export function plainPolicies(): string {
  const apiVersion = "admissionregistration.k8s.io/v1";
  const objects = Object.entries(POLICIES).flatMap(([about, spec]) => {
    const name = `${RELEASE}.${about}`;
    return [
      { apiVersion, kind: "ValidatingAdmissionPolicy", metadata: { name }, spec },
      { apiVersion, kind: "ValidatingAdmissionPolicyBinding", metadata: { name }, spec: { policyName: name, validationActions: ["Deny"] } },
    ];
  });
  return `${HEADER}${objects.map((object) => `---\n${yaml(object)}`).join("")}`;
}

// Why: RBAC cannot say "this annotation only". One policy, for the chart and for the plain manifests, lets the operator change
// the deletion cost of servers it made and nothing else on any pod. Pure.
import { stringify } from "yaml";

const HEADER = "# Generated from scripts/generate/admission-policy.ts by `npm run generate`. Do not edit.\n";
const NAME = "nexus-operator.nexus-system";
const COST = "controller.kubernetes.io/pod-deletion-cost";

const same = (field: string): string => `object.metadata.?${field} == oldObject.metadata.?${field}`;

const SPEC = {
  failurePolicy: "Fail",
  matchConstraints: {
    resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["UPDATE"], resources: ["pods"], scope: "Namespaced" }],
  },
  matchConditions: [{ name: "operator", expression: 'request.userInfo.username == "system:serviceaccount:nexus-system:nexus-operator"' }],
  variables: [
    { name: "before", expression: "oldObject.metadata.?annotations.orValue({})" },
    { name: "after", expression: "object.metadata.?annotations.orValue({})" },
  ],
  validations: [
    {
      expression: 'oldObject.metadata.?labels["app.kubernetes.io/managed-by"].orValue("") == "nexus-operator"',
      message: "the operator changes pods of its own fleets only",
      reason: "Forbidden",
    },
    {
      expression: [
        `variables.before.all(name, name == "${COST}" || (name in variables.after && variables.after[name] == variables.before[name]))`,
        `variables.after.all(name, name == "${COST}" || name in variables.before)`,
      ].join(" && "),
      message: `the operator changes the annotation ${COST} of a pod only`,
      reason: "Forbidden",
    },
    {
      expression: ["object.spec == oldObject.spec", ...["labels", "finalizers", "ownerReferences"].map(same)].join(" && "),
      message: "the operator changes nothing of a pod but an annotation",
      reason: "Forbidden",
    },
  ],
};

const yaml = (value: unknown): string => stringify(value, { lineWidth: 0, version: "1.1", aliasDuplicateObjects: false });

/** `charts/nexus/files/admission-policy.yaml`: the spec; the chart puts its own ServiceAccount in. */
export const policySpec = (): string => yaml(SPEC);

/** `operator/deploy/admission-policy.yaml`. */
export function plainPolicy(): string {
  const apiVersion = "admissionregistration.k8s.io/v1";
  const objects = [
    { apiVersion, kind: "ValidatingAdmissionPolicy", metadata: { name: NAME }, spec: SPEC },
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name: NAME },
      spec: { policyName: NAME, validationActions: ["Deny"] },
    },
  ];
  return `${HEADER}${objects.map((object) => `---\n${yaml(object)}`).join("")}`;
}

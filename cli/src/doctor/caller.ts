// Why: whoever asks may be the reason why something is not seen. It must never ask for more than the commands of this CLI use.
import { isAllowed, type Question } from "@nexus/operator/check.ts";
import type { Connection } from "../kube/connect.ts";
import { type Check, fail, ok, warn } from "./check.ts";

const OURS = "nexus.dev";

/** What the reading commands need; the first three are what nothing goes without. */
const NEEDED: readonly (Question & { readonly isNeeded?: true })[] = [
  { group: OURS, resource: "nexusclusters", verb: "list", isNeeded: true },
  { group: OURS, resource: "tenants", verb: "list", isNeeded: true },
  { group: OURS, resource: "templates", verb: "list", isNeeded: true },
  { group: "", resource: "pods", verb: "list" },
  { group: "", resource: "pods", subresource: "log", verb: "get" },
  { group: "", resource: "pods", subresource: "proxy", verb: "get" },
  { group: "", resource: "secrets", verb: "get" },
  { group: "", resource: "secrets", verb: "list" },
  { group: "apps", resource: "deployments", verb: "list" },
  { group: "coordination.k8s.io", resource: "leases", verb: "list" },
  { group: "events.k8s.io", resource: "events", verb: "list" },
];

/** `namespace`: undefined asks for all of them. */
export async function callerCheck({ transport }: Connection, namespace: string | undefined): Promise<readonly Check[]> {
  const what = namespace === undefined ? "your rights" : `your rights in ${namespace}`;
  const answers = await Promise.all(
    NEEDED.map(async ({ isNeeded, ...question }) => ({
      text: `${question.verb} ${question.resource}${question.subresource ? `/${question.subresource}` : ""}`,
      isNeeded: isNeeded ?? false,
      isAllowed: await isAllowed(transport, namespace === undefined ? question : { ...question, namespace }),
    })),
  );
  const denied = answers.filter((one) => !one.isAllowed);
  const names = denied.map(({ text }) => text).join(", ");
  const fix = "ask for a RoleBinding to the ClusterRole view, and for what it does not hold (docs/doctor.md)";
  if (denied.length === 0) return [ok(what, "all that these commands read")];
  return [
    denied.some(({ isNeeded }) => isNeeded)
      ? fail(what, `not allowed: ${names}`, fix)
      : warn(what, `not allowed: ${names}; some checks are left out`, fix),
  ];
}

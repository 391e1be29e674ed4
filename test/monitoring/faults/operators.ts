// Why: the operator of all fleets, and another one that may lose its lead without harm to them: processes of their own, as they run in
// pods, started again when they end. Each has the rights of the chart and nothing else.
import { rulesFor } from "@nexus/operator/kube/rights.ts";
import { denyOnPurpose } from "../../support/cluster/rights-log.ts";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/free-port.ts";
import type { Target } from "../../support/monitoring/prometheus.ts";
import type { OperatorProcess, Stage } from "../../support/operator.ts";
import type { OtherOperator } from "./fault.ts";

const NAME = "nexus-operator";
const ACCOUNT = { kind: "ServiceAccount", name: NAME, namespace: "nexus-system" };

/** `job` as the chart's PodMonitor gives it. */
export type RunningOperator = AsyncDisposable & { readonly job: string; readonly target: Target };

/** Resolves once it leads. `namespace`: of the release. */
export async function runOperator(stage: Stage, namespace: string, flags: Readonly<Record<string, string>> = {}): Promise<RunningOperator> {
  const port = await freePort();
  const start = () => stage.process({ "--port": String(port), "--lease-namespace": namespace, ...flags });
  const stop = new AbortController();
  let running: OperatorProcess = await start();
  const keeping = (async () => {
    while (!stop.signal.aborted) {
      await running.exited;
      if (!stop.signal.aborted) running = await start(); // as a kubelet would
    }
  })();
  const leads = async () => /^leader_election_master_status\b.* 1$/m.test(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
  await eventually(`the operator of ${namespace} leads`, leads, { timeoutMs: 60_000 });
  return {
    job: `${namespace}/${NAME}`,
    target: {
      address: `127.0.0.1:${port}`,
      labels: { job: `${namespace}/${NAME}`, namespace, pod: `${NAME}-0`, container: "operator", endpoint: "http" },
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running[Symbol.asyncDispose]();
      await keeping;
    },
  };
}

/** Where the other one keeps its Lease and looks at fleets, of which there are none, with the rights for it, which can be taken away. */
export async function otherRelease(stage: Stage, namespace: string): Promise<OtherOperator> {
  const rules = [...rulesFor("Release"), ...rulesFor("Listed")];
  const binding = {
    ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding", metadata: { name: NAME, namespace } },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: NAME },
    subjects: [ACCOUNT],
  };
  await stage.plane.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  await stage.plane.apply([{ ...binding, kind: "Role", roleRef: undefined, subjects: undefined, rules }, binding]);
  return {
    namespace,
    async takeLeasesAway() {
      for (const { resources, verbs } of rules)
        for (const resource of resources) for (const verb of verbs) denyOnPurpose(stage.plane, { verb, resource, namespace });
      await stage.kubectl("delete", "rolebinding", NAME, "-n", namespace);
    },
    giveLeasesBack: async () => void (await stage.plane.apply(binding)),
  };
}

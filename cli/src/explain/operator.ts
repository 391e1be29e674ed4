// Why: when nobody carries out what a spec asks for, no status says so: the one who would write it is missing.
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { isForbidden } from "@nexus/operator/loop/kube-error.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";
import type { Connection } from "../kube/connect.ts";
import { broken, fine, type Link, unseen } from "./links.ts";

type Lease = KubeObject & {
  readonly spec?: { readonly holderIdentity?: string; readonly renewTime?: string; readonly leaseDurationSeconds?: number };
};

/** Name of the Lease, as the operator's own setting has it. */
const LEASE = "nexus-operator";

/** Whether an operator leads, by its Lease. `nowMs`: wall clock; clocks of machines differ by seconds, a Lease lasts longer. */
export async function operatorLink({ api }: Connection, nowMs: number): Promise<Link> {
  const what = `Lease ${LEASE}`;
  try {
    const { items } = await api.list<Lease>(KINDS.Lease, { fieldSelector: `metadata.name=${LEASE}` });
    const held = items.filter(({ spec }) => spec?.holderIdentity);
    const alive = held.find(({ spec }) => nowMs - Date.parse(spec?.renewTime ?? "") < 3000 * (spec?.leaseDurationSeconds ?? 15));
    if (alive) return fine(what, `an operator leads (${alive.spec?.holderIdentity} in ${alive.metadata.namespace})`);
    const last = held[0]?.spec?.renewTime;
    const says = last === undefined ? "no operator leads" : `no operator leads since ${last}`;
    return broken(
      what,
      says,
      "Start the operator: kubectl get deployments -A -l app.kubernetes.io/name=nexus-operator shows where it should run.",
    );
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return unseen(what, "not allowed to look whether an operator leads");
  }
}

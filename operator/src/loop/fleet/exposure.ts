// Why: how people reach a fleet: Service, Ingress, HTTPRoute, and who may reach its ports inside the cluster.
import { namespaceOf } from "../../desired/acceptance.ts";
import { service } from "../../desired/children.ts";
import { childNames } from "../../desired/names.ts";
import { PORTS } from "../../desired/pod-template.ts";
import type { ExposureSeen } from "../../status/exposure.ts";
import { KINDS } from "../kinds.ts";
import type { FleetWork } from "./work.ts";

/** Rejects with `KubeError`. */
export async function reconcileExposure(work: FleetWork): Promise<ExposureSeen> {
  const { cluster, deps } = work;
  await work.child(KINDS.Service, service(cluster, deps.context));
  return {
    endpoints: [`http://${childNames(cluster.metadata.name).server}.${namespaceOf(cluster)}.svc:${PORTS.http}`],
    waitsFor: undefined,
  };
}

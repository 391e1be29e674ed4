// Why: how people reach a fleet: Service, Ingress, HTTPRoute, and who may reach its ports inside the cluster. What the spec no
// longer asks for is deleted; what cannot be made for want of a kind is told and kept.
import { serviceHost } from "../../desired/exposure/hosts.ts";
import { httpRoute } from "../../desired/exposure/http-route.ts";
import { ingress } from "../../desired/exposure/ingress.ts";
import { service } from "../../desired/exposure/service.ts";
import { childNames } from "../../desired/names.ts";
import { serverPolicy } from "../../desired/network/server-policy.ts";
import { PORTS } from "../../desired/pod-template.ts";
import { type ExposureSeen, endpoints, type Obstacle, routeRefusal } from "../../status/exposure.ts";
import { KINDS, OPTIONAL_KINDS } from "../kinds.ts";
import { kindNotServed, serves } from "./optional.ts";
import type { FleetWork } from "./work.ts";

/** Rejects with `KubeError`. */
export async function reconcileExposure(work: FleetWork): Promise<ExposureSeen> {
  const { cluster, deps } = work;
  const { server } = childNames(cluster.metadata.name);
  const { exposure, tls } = cluster.spec;
  await work.child(KINDS.NetworkPolicy, serverPolicy(cluster, deps.context));
  await work.child(KINDS.Service, service(cluster, deps.context));
  if (exposure.ingress) await work.child(KINDS.Ingress, ingress(cluster, deps.context, exposure.ingress));
  else await work.remove(KINDS.Ingress, server);
  const waitsFor = await reconcileRoute(work);
  return {
    endpoints: endpoints({
      ingress: exposure.ingress,
      gatewayHosts: exposure.gateway?.hostnames ?? [],
      service: work.ours(KINDS.Service, server),
      serviceHost: serviceHost(cluster),
      port: PORTS.http,
      isTls: tls !== undefined,
    }),
    waitsFor,
  };
}

async function reconcileRoute(work: FleetWork): Promise<Obstacle | undefined> {
  const { cluster, deps } = work;
  const { gateway } = cluster.spec.exposure;
  const { server } = childNames(cluster.metadata.name);
  if (!gateway) {
    await work.remove(OPTIONAL_KINDS.HTTPRoute, server);
    return undefined;
  }
  if (!serves(work, OPTIONAL_KINDS.HTTPRoute)) return kindNotServed(OPTIONAL_KINDS.HTTPRoute, "spec.exposure.gateway");
  await work.child(OPTIONAL_KINDS.HTTPRoute, httpRoute(cluster, deps.context, gateway));
  return routeRefusal(work.ours(OPTIONAL_KINDS.HTTPRoute, server));
}

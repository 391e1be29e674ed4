// Why: what the status says of how people reach a fleet. Pure.
import type { Refused } from "@nexus/protocol/resources/conditions.ts";

/** Something that keeps a listener or a route from working. `isProgress`: nobody has to do anything, it is on its way. */
export type Obstacle = Refused & { readonly isProgress: boolean };

export type ExposureSeen = {
  /** URLs people can use, most public first. */
  readonly endpoints: readonly string[];
  readonly waitsFor: Obstacle | undefined;
};

type Named = { readonly metadata: { readonly name: string } };

/** A Service as far as it is looked at. */
export type SeenService = Named & {
  readonly status?: {
    readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
  };
};

/** An HTTPRoute as far as it is looked at. */
export type SeenRoute = Named & {
  readonly status?: {
    readonly parents?: readonly {
      readonly parentRef?: { readonly name?: string };
      readonly conditions?: readonly {
        readonly type: string;
        readonly status: string;
        readonly reason?: string;
        readonly message?: string;
      }[];
    }[];
  };
};

type Ways = {
  readonly ingress: { readonly host: string; readonly tls?: unknown } | undefined;
  /** Host names of the route. A Gateway's listeners decide the scheme, so these are told without one. */
  readonly gatewayHosts: readonly string[];
  readonly service: SeenService | undefined;
  readonly serviceHost: string;
  readonly port: number;
  /** Whether the pods' own port is encrypted. */
  readonly isTls: boolean;
};

/** The status holds no more. */
const MOST = 16;

/** Where people reach the fleet: Ingress, Gateway, load balancer, and the Service's own name last. Patterns of hosts are left out. */
export function endpoints({ ingress, gatewayHosts, service, serviceHost, port, isTls }: Ways): readonly string[] {
  const scheme = isTls ? "https" : "http";
  const balancers = (service?.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => hostname ?? ip ?? []);
  const found = [
    ...(ingress ? [`${ingress.tls ? "https" : "http"}://${ingress.host}`] : []),
    ...gatewayHosts.filter((host) => !host.startsWith("*")),
    ...balancers.map((host) => `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`),
  ];
  return [...new Set(found)].slice(0, MOST - 1).concat(`${scheme}://${serviceHost}:${port}`);
}

/** What a Gateway says against the route, if one does. Gateways that said nothing yet are nothing to wait for. */
export function routeRefusal(route: SeenRoute | undefined): Obstacle | undefined {
  for (const { parentRef, conditions } of route?.status?.parents ?? []) {
    const refused = conditions?.find(({ type, status }) => (type === "Accepted" || type === "ResolvedRefs") && status === "False");
    if (!refused) continue;
    const message = `Gateway ${parentRef?.name ?? "?"}: ${refused.reason ?? refused.type}: ${refused.message ?? ""}`;
    return { reason: "RouteNotAccepted", message: message.trim(), isProgress: false };
  }
  return undefined;
}

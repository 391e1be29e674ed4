// Why: operations on tenants and on the fleet.
import type { Operation } from "./operation.ts";

export const TENANTS = [
  { id: "listTenants", method: "GET", path: "/api/v1/tenants", summary: "Tenants this key may see", auth: "read", served: false },
  { id: "getTenant", method: "GET", path: "/api/v1/tenants/{id}", summary: "One tenant", auth: "read", served: false },
  {
    id: "clusterStatus",
    method: "GET",
    path: "/api/v1/cluster/status",
    summary: "Nodes and sessions of the fleet",
    auth: "read",
    served: false,
  },
  {
    id: "clusterUser",
    method: "GET",
    path: "/api/v1/cluster/users/{id}",
    summary: "Where a user is connected",
    auth: "read",
    served: false,
  },
] as const satisfies readonly Operation[];

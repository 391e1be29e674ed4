// Why: operations on tenants and on the fleet. A tenant key sees its own tenant only; a platform key sees all.
import { type Static, Type } from "@sinclair/typebox";
import type { Operation } from "./operation.ts";

const count = (description: string) => Type.Integer({ minimum: 0, description });

/** Whose numbers a key gets where numbers can be a tenant's or everybody's. */
export const NUMBERS_OF =
  "Of the key's tenant. With a platform key: of the tenant that X-Tenant-ID names, and without that header of all tenants together.";

const TENANT_FIELDS = {
  tenant_id: Type.String(),
  stats: Type.Object({
    active_connections: count("Sessions open now."),
    total_connections: count("Sessions opened since the start."),
    messages_sent: count("Publishes accepted since the start."),
    messages_delivered: count("Sessions those publishes reached."),
  }),
};

export const TenantList = Type.Object({
  enabled: Type.Boolean({ description: "Whether there can be more than one tenant." }),
  tenants: Type.Array(Type.Object(TENANT_FIELDS), { description: "By id: the key's own, or with a platform key all." }),
  total: count("How many are listed."),
});
export type TenantList = Static<typeof TenantList>;

export const TenantInfo = Type.Object({
  ...TENANT_FIELDS,
  connection_stats: Type.Object({ total_connections: count("Sessions open now."), unique_users: count("Users with a session.") }),
  connections: count("Sessions open now."),
  users: count("Users with a session."),
  channels: count("Channels somebody holds."),
  messages_today: count("Publishes accepted since midnight UTC."),
});
export type TenantInfo = Static<typeof TenantInfo>;

export const ClusterStatus = Type.Object(
  {
    enabled: Type.Boolean({ description: "Whether several servers share the load." }),
    mode: Type.Union([Type.Literal("standalone"), Type.Literal("distributed")]),
    server_id: Type.String({ description: "The server that answers." }),
    node_id: Type.String({ description: "The same as server_id." }),
    local_connections: count("Sessions of this server."),
    local_users: count("Users with a session on this server."),
    cluster_connections: count("Sessions of all servers."),
    cluster_users: count("Users with a session on any server."),
    nodes: count("Servers."),
    healthy_nodes: count("Servers that can take sessions."),
    total_connections: count("The same as cluster_connections."),
  },
  { description: NUMBERS_OF },
);
export type ClusterStatus = Static<typeof ClusterStatus>;

export const ClusterUser = Type.Object({
  user_id: Type.String(),
  found: Type.Boolean({ description: "Whether the user has a session anywhere." }),
  sessions: Type.Array(
    Type.Object({
      connection_id: Type.String(),
      server_id: Type.String({ description: "The server that holds the session." }),
      node_id: Type.String({ description: "The same as server_id." }),
      connected_at: Type.Integer({ minimum: 0, description: "Unix seconds." }),
      channels: Type.Array(Type.String(), { description: "By name." }),
    }),
    { description: "The oldest first." },
  ),
  connections: count("How many sessions there are."),
});
export type ClusterUser = Static<typeof ClusterUser>;

export const TENANTS = [
  {
    id: "listTenants",
    method: "GET",
    path: "/api/v1/tenants",
    summary: "Tenants this key may see",
    auth: "read",
    result: TenantList,
  },
  {
    id: "getTenant",
    method: "GET",
    path: "/api/v1/tenants/{id}",
    summary: "One tenant",
    auth: "read",
    result: TenantInfo,
  },
  {
    id: "clusterStatus",
    method: "GET",
    path: "/api/v1/cluster/status",
    summary: "Nodes and sessions of the fleet",
    auth: "read",
    result: ClusterStatus,
  },
  {
    id: "clusterUser",
    method: "GET",
    path: "/api/v1/cluster/users/{id}",
    summary: "Where a user is connected",
    auth: "read",
    result: ClusterUser,
  },
] as const satisfies readonly Operation[];

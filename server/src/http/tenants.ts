// Why: whoever runs the platform sees its tenants and servers, and each tenant sees itself.
// It must never tell a tenant key whether another tenant exists.
import { isUserId, USER_RULE } from "@nexus/protocol/names.ts";
import type { OperationId } from "@nexus/protocol/rest/operations.ts";
import type { ClusterStatus, ClusterUser, TenantInfo, TenantList } from "@nexus/protocol/rest/tenants.ts";
import type { Engine } from "../core/engine.ts";
import type { PresenceCounts, Tenants } from "../core/ports.ts";
import type { Counters } from "../core/record-ports.ts";
import { sideBySide } from "../core/side-by-side.ts";
import type { Handler } from "./call.ts";
import { invalidPath } from "./query.ts";
import { numbersOf } from "./scope.ts";

export type TenantHandlerDeps = {
  readonly tenants: Pick<Tenants, "cluster" | "tenant" | "tenantIds">;
  readonly engine: Pick<Engine, "directory" | "fleet" | "stats">;
  /** Name of this server. */
  readonly node: string;
};

/** How many tenants are counted between two turns of the event loop, and how many of them at a time. */
const LOT = 256;
const TENANTS_AT_ONCE = 16;

/** `getTenant` refuses with `tenant_access_denied` (a tenant key, any other id) and `tenant_not_found`, `clusterUser` with `validation_error`. */
export function tenantHandlers({ tenants, engine, node }: TenantHandlerDeps): Partial<Record<OperationId, Handler>> {
  const { directory, fleet, stats } = engine;

  async function summaryOf(id: string): Promise<TenantList["tenants"][number]> {
    const [counts, total] = await Promise.all([directory.counts(id), stats.total(id)]);
    return { tenant_id: id, stats: statsOf(counts, total) };
  }

  return {
    async listTenants({ caller }) {
      const ids = caller.holder.tenant === undefined ? tenants.tenantIds() : [caller.tenant];
      const listed: TenantList["tenants"] = [];
      for (let start = 0; start < ids.length; start += LOT) {
        if (start > 0) await new Promise<void>((resolve) => setImmediate(resolve));
        listed.push(...(await sideBySide(ids.slice(start, start + LOT), TENANTS_AT_ONCE, summaryOf)));
      }
      const enabled = tenants.cluster().tenancy === "Multiple";
      return { kind: "answer", body: JSON.stringify({ enabled, tenants: listed, total: listed.length } satisfies TenantList) };
    },

    async getTenant({ caller, params }) {
      const { id = "" } = params;
      if (caller.holder.tenant !== undefined && id !== caller.tenant) {
        return { code: "tenant_access_denied", detail: "The API key belongs to another tenant" };
      }
      if (!tenants.tenant(id)) return { code: "tenant_not_found", detail: "No such tenant" };
      const [counts, total, today] = await Promise.all([directory.counts(id), stats.total(id), stats.today(id)]);
      const connections = sessionsOf(counts);
      const answer: TenantInfo = {
        tenant_id: id,
        stats: statsOf(counts, total),
        connection_stats: { total_connections: connections, unique_users: counts.users },
        connections,
        users: counts.users,
        channels: counts.channels,
        messages_today: sentOf(today),
      };
      return { kind: "answer", body: JSON.stringify(answer) };
    },

    async clusterStatus(call) {
      const tenant = numbersOf(call);
      const [counts, nodes] = await Promise.all([directory.counts(tenant), fleet.nodes()]);
      const here = directory.here(tenant);
      const connections = sessionsOf(counts);
      const enabled = fleet.broker().status !== "disabled";
      const answer: ClusterStatus = {
        ...{ enabled, mode: enabled ? "distributed" : "standalone", server_id: node, node_id: node },
        ...{ nodes: nodes.length, healthy_nodes: nodes.length }, // one that is not well is forgotten
        ...{ local_connections: here.sessions, local_users: here.users },
        ...{ cluster_connections: connections, cluster_users: counts.users, total_connections: connections },
      };
      return { kind: "answer", body: JSON.stringify(answer) };
    },

    async clusterUser({ caller, params }) {
      const { id = "" } = params;
      if (!isUserId(id)) return invalidPath("id", `must be ${USER_RULE}`);
      const places = await directory.userSessions(caller.tenant, id);
      const sessions = places.map(({ session, node: holder, channels }) => ({
        connection_id: session.sessionId,
        server_id: holder,
        node_id: holder,
        connected_at: Math.floor(session.connectedAt / 1000),
        channels: [...channels].sort(),
      }));
      const answer: ClusterUser = { user_id: id, found: sessions.length > 0, sessions, connections: sessions.length };
      return { kind: "answer", body: JSON.stringify(answer) };
    },
  };
}

const sessionsOf = ({ websocket, sse }: PresenceCounts): number => websocket + sse;

const sentOf = ({ sent }: Counters): number => sent.user + sent.channel + sent.broadcast;

const statsOf = (counts: PresenceCounts, total: Counters): TenantInfo["stats"] => ({
  active_connections: sessionsOf(counts),
  total_connections: total.sessions,
  messages_sent: sentOf(total),
  messages_delivered: total.delivered,
});

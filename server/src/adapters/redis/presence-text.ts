// Why: what sessions and nodes say of themselves inside their leases, written and read in one place.
// It must never fail on what another release wrote: what cannot be read counts as nothing.
import type { PresenceCounts, SessionInfo, SessionPlace } from "../../core/ports.ts";
import { objectOf } from "./fleet-text.ts";
import type { LocalTenant, Present } from "./presence-local.ts";

/** Role sets beyond this are not told to other nodes: their sessions are then missing in counts of an audience by role. */
export const MOST_ROLE_SETS = 200;

/** How everything a session of this node says begins. */
export const ownBeginning = (self: string): string => `{"self":${JSON.stringify(self)},`;

/** `beginning`: {@link ownBeginning}. */
export function sessionText(beginning: string, node: string, { info, channels }: Pick<Present, "info" | "channels">): string {
  const { roles, transport, connectedAt } = info;
  return beginning + JSON.stringify({ node, roles, transport, connectedAt, channels: [...(channels ?? [])] }).slice(1);
}

/** What a node says of a tenant beside the number of its sessions. */
export function tenantText(tenant: LocalTenant): string {
  const roles = [...tenant.roleSets.values()].slice(0, MOST_ROLE_SETS).map((set) => [set.roles, set.sessions]);
  return JSON.stringify({ ...tenant.counts(), roles });
}

/** A session of another node; undefined when it cannot be read. */
export function readSession(whose: Pick<SessionInfo, "tenant" | "user" | "sessionId">, text: string): SessionPlace | undefined {
  const said = objectOf(text);
  if (!said || typeof said.node !== "string") return undefined;
  const session: SessionInfo = {
    ...whose,
    roles: texts(said.roles),
    connectedAt: whole(said.connectedAt),
    transport: said.transport === "sse" ? "sse" : "websocket",
  };
  return { session, node: said.node, channels: texts(said.channels) };
}

/** `sessions|says` of another node. */
export function readTenant(text: string): {
  readonly sessions: number;
  readonly counts: PresenceCounts;
  roles(wanted: readonly string[]): number;
} {
  const bar = text.indexOf("|");
  const said = objectOf(text.slice(bar + 1)) ?? {};
  const sets = Array.isArray(said.roles) ? (said.roles as readonly unknown[]) : []; // what else it may be is looked at one by one
  return {
    sessions: whole(Number(text.slice(0, bar))),
    counts: readCounts(said),
    roles(wanted) {
      let sessions = 0;
      for (const set of sets) if (Array.isArray(set) && texts(set[0]).some((role) => wanted.includes(role))) sessions += whole(set[1]);
      return sessions;
    },
  };
}

/** What a node says of itself. */
export type NodeSaid = {
  readonly node: string;
  readonly version: string;
  readonly startedAt: number;
  readonly sessions: number;
  readonly localUsers: number;
  readonly counts: PresenceCounts;
};

export const nodeText = ({ counts, ...rest }: NodeSaid): string => JSON.stringify({ ...rest, ...counts });

export function readNode(text: string): NodeSaid | undefined {
  const said = objectOf(text);
  if (!said || typeof said.node !== "string") return undefined;
  return {
    ...{ node: said.node, version: typeof said.version === "string" ? said.version : "", startedAt: whole(said.startedAt) },
    ...{ sessions: whole(said.sessions), localUsers: whole(said.localUsers), counts: readCounts(said) },
  };
}

export const NOBODY: PresenceCounts = { websocket: 0, sse: 0, users: 0, shared: 0, channels: 0, subscriptions: 0 };

export const sumOf = (all: readonly PresenceCounts[]): PresenceCounts =>
  all.reduce(
    (a, b) => ({
      ...{ websocket: a.websocket + b.websocket, sse: a.sse + b.sse, users: a.users + b.users },
      ...{ shared: a.shared + b.shared, channels: a.channels + b.channels, subscriptions: a.subscriptions + b.subscriptions },
    }),
    NOBODY,
  );

function readCounts(said: Readonly<Record<string, unknown>>): PresenceCounts {
  return {
    ...{ websocket: whole(said.websocket), sse: whole(said.sse), users: whole(said.users) },
    ...{ shared: whole(said.shared), channels: whole(said.channels), subscriptions: whole(said.subscriptions) },
  };
}

const whole = (value: unknown): number => (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0);

const texts = (value: unknown): readonly string[] => (Array.isArray(value) ? value.filter((one) => typeof one === "string") : []);

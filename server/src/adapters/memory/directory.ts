// Why: who is online on a fleet of one. Exact, because nobody else can be online.
// It must never count a session twice or keep one that left.
import { isAddressed } from "../../core/audience.ts";
import type { Directory, Notification, SessionInfo, StreamId } from "../../core/ports.ts";

class Present {
  readonly info: SessionInfo;
  channels: Set<string> | undefined;

  constructor(info: SessionInfo) {
    this.info = info;
  }

  get user(): string {
    return this.info.user;
  }

  get roles(): readonly string[] {
    return this.info.roles;
  }

  holdsChannel(channel: string): boolean {
    return this.channels?.has(channel) ?? false;
  }
}

type TenantPresence = {
  readonly sessions: Map<string, Present>;
  readonly users: Map<string, number>;
  readonly channels: Map<string, number>;
};

export class MemoryDirectory implements Directory {
  readonly #tenants = new Map<string, TenantPresence>();

  enter: Directory["enter"] = (session, limits) => {
    const tenant = this.#tenants.get(session.tenant) ?? { sessions: new Map(), users: new Map(), channels: new Map() };
    if (tenant.sessions.has(session.sessionId)) return Promise.resolve("entered");
    if (tenant.sessions.size >= (limits.perTenant ?? Number.POSITIVE_INFINITY)) return Promise.resolve("tenant_limit");
    if ((tenant.users.get(session.user) ?? 0) >= limits.perUser) return Promise.resolve("user_limit");
    this.#tenants.set(session.tenant, tenant);
    tenant.sessions.set(session.sessionId, new Present(session));
    count(tenant.users, session.user, 1);
    return Promise.resolve("entered");
  };

  leave: Directory["leave"] = (session) => {
    const tenant = this.#tenants.get(session.tenant);
    const present = tenant?.sessions.get(session.sessionId);
    if (!tenant || !present) return Promise.resolve();
    for (const channel of present.channels ?? []) count(tenant.channels, channel, -1);
    count(tenant.users, session.user, -1);
    tenant.sessions.delete(session.sessionId);
    if (tenant.sessions.size === 0) this.#tenants.delete(session.tenant);
    return Promise.resolve();
  };

  join: Directory["join"] = (session, channel) => {
    const tenant = this.#tenants.get(session.tenant);
    const present = tenant?.sessions.get(session.sessionId);
    if (!tenant || !present || present.holdsChannel(channel)) return Promise.resolve();
    present.channels ??= new Set();
    present.channels.add(channel);
    count(tenant.channels, channel, 1);
    return Promise.resolve();
  };

  part: Directory["part"] = (session, channel) => {
    const tenant = this.#tenants.get(session.tenant);
    if (tenant?.sessions.get(session.sessionId)?.channels?.delete(channel)) count(tenant.channels, channel, -1);
    return Promise.resolve();
  };

  /** Sessions a notification to this stream is for. Only an audience makes it walk them. */
  online(stream: StreamId, { metadata: { audience } }: Notification): number {
    const tenant = this.#tenants.get(stream.tenant);
    if (!tenant) return 0;
    if (stream.kind === "inbox") return tenant.users.get(stream.user) ?? 0;
    if (stream.kind === "channel") return tenant.channels.get(stream.channel) ?? 0;
    if (!audience || audience.type === "All") return tenant.sessions.size;
    let addressed = 0;
    for (const present of tenant.sessions.values()) if (isAddressed(audience, present)) addressed++;
    return addressed;
  }
}

function count(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const next = (counts.get(key) ?? 0) + by;
  if (next > 0) counts.set(key, next);
  else counts.delete(key);
}

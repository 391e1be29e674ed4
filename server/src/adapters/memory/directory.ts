// Why: who is online on a fleet of one. Exact, because nobody else can be online.
// It must never count a session twice or keep one that left.
import type { Audience } from "@nexus/protocol/frames.ts";
import { isAddressed } from "../../core/audience.ts";
import { Members } from "../../core/members.ts";
import type { ChannelPresence, Clock, Directory, PresenceCounts, SessionInfo, SessionPlace, StreamId } from "../../core/ports.ts";

class Present {
  readonly info: SessionInfo;
  channels: Members<string> | undefined;

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

type Held = { sessions: number; readonly since: number };

class TenantPresence {
  readonly sessions = new Map<string, Present>();
  readonly users = new Map<string, number>();
  readonly channels = new Map<string, Held>();
  readonly transports = { websocket: 0, sse: 0 };
  shared = 0;
  subscriptions = 0;
}

export type MemoryDirectoryOptions = { readonly node: string; readonly clock: Pick<Clock, "now"> };

export class MemoryDirectory implements Directory {
  readonly #options: MemoryDirectoryOptions;
  readonly #tenants = new Map<string, TenantPresence>();

  constructor(options: MemoryDirectoryOptions) {
    this.#options = options;
  }

  enter: Directory["enter"] = async (session, limits) => {
    const tenant = this.#tenants.get(session.tenant) ?? new TenantPresence();
    if (tenant.sessions.has(session.sessionId)) return "entered";
    const ofUser = tenant.users.get(session.user) ?? 0;
    if (tenant.sessions.size >= (limits.perTenant ?? Number.POSITIVE_INFINITY)) return "tenant_limit";
    if (ofUser >= limits.perUser) return "user_limit";
    this.#tenants.set(session.tenant, tenant);
    tenant.sessions.set(session.sessionId, new Present(session));
    tenant.users.set(session.user, ofUser + 1);
    tenant.transports[session.transport]++;
    if (ofUser === 1) tenant.shared++;
    return "entered";
  };

  leave: Directory["leave"] = async (session) => {
    const tenant = this.#tenants.get(session.tenant);
    const present = tenant?.sessions.get(session.sessionId);
    if (!tenant || !present) return;
    for (const channel of present.channels ?? []) part(tenant, channel);
    const left = (tenant.users.get(session.user) ?? 1) - 1;
    if (left > 0) tenant.users.set(session.user, left);
    else tenant.users.delete(session.user);
    if (left === 1) tenant.shared--;
    tenant.transports[present.info.transport]--;
    tenant.sessions.delete(session.sessionId);
    if (tenant.sessions.size === 0) this.#tenants.delete(session.tenant);
  };

  join: Directory["join"] = async (session, channel) => {
    const tenant = this.#tenants.get(session.tenant);
    const present = tenant?.sessions.get(session.sessionId);
    if (!tenant || !present || present.holdsChannel(channel)) return;
    present.channels ??= new Members();
    present.channels.add(channel);
    tenant.subscriptions++;
    const held = tenant.channels.get(channel);
    if (held) held.sessions++;
    else tenant.channels.set(channel, { sessions: 1, since: this.#options.clock.now() });
  };

  part: Directory["part"] = async (session, channel) => {
    const tenant = this.#tenants.get(session.tenant);
    if (tenant?.sessions.get(session.sessionId)?.channels?.delete(channel)) part(tenant, channel);
  };

  online: Directory["online"] = async (stream, audience) => this.count(stream, audience);

  /** As `online`, at once. Only an audience makes it walk sessions. */
  count(stream: StreamId, audience: Audience | undefined): number {
    const tenant = this.#tenants.get(stream.tenant);
    if (!tenant) return 0;
    if (stream.kind === "inbox") return tenant.users.get(stream.user) ?? 0;
    if (stream.kind === "channel") return tenant.channels.get(stream.channel)?.sessions ?? 0;
    if (!audience || audience.type === "All") return tenant.sessions.size;
    let addressed = 0;
    for (const present of tenant.sessions.values()) if (isAddressed(audience, present)) addressed++;
    return addressed;
  }

  userSessions: Directory["userSessions"] = async (id, user) => {
    const tenant = this.#tenants.get(id);
    if (!tenant?.users.has(user)) return [];
    const places: SessionPlace[] = [];
    for (const { info, channels } of tenant.sessions.values()) {
      if (info.user === user) places.push({ session: info, node: this.#options.node, channels: [...(channels ?? [])] });
    }
    return places;
  };

  channels: Directory["channels"] = async (id) => {
    const held = [...(this.#tenants.get(id)?.channels ?? [])];
    return held.map(([name, one]): ChannelPresence => ({ name, ...one })).sort((a, b) => (a.name < b.name ? -1 : 1));
  };

  channel: Directory["channel"] = async (id, name) => {
    const held = this.#tenants.get(id)?.channels.get(name);
    return held && { name, ...held };
  };

  counts: Directory["counts"] = async (id) => {
    const tenants = id === undefined ? [...this.#tenants.values()] : [this.#tenants.get(id) ?? new TenantPresence()];
    const sum = { websocket: 0, sse: 0, users: 0, shared: 0, channels: 0, subscriptions: 0 };
    for (const { transports, users, shared, channels, subscriptions } of tenants) {
      sum.websocket += transports.websocket;
      sum.sse += transports.sse;
      sum.users += users.size;
      sum.shared += shared;
      sum.channels += channels.size;
      sum.subscriptions += subscriptions;
    }
    return sum satisfies PresenceCounts;
  };

  here: Directory["here"] = (id) => {
    const tenants = id === undefined ? [...this.#tenants.values()] : [this.#tenants.get(id) ?? new TenantPresence()];
    return {
      sessions: tenants.reduce((sum, { sessions }) => sum + sessions.size, 0),
      users: tenants.reduce((sum, { users }) => sum + users.size, 0),
    };
  };
}

function part(tenant: TenantPresence, channel: string): void {
  tenant.subscriptions--;
  const held = tenant.channels.get(channel);
  if (!held) return;
  held.sessions--;
  if (held.sessions === 0) tenant.channels.delete(channel);
}

// Why: who is online in the whole fleet: what this node holds, known at once, and what the others hold, by their leases.
// It must never count a session of a node that is gone for longer than its lease.
import { Failure } from "@nexus/protocol/failures.ts";
import type { Audience } from "@nexus/protocol/frames.ts";
import { audienceValues } from "../../core/audience.ts";
import { Gate } from "../../core/gate.ts";
import type { ChannelPresence, Directory, SessionInfo, SessionPlace, StreamId } from "../../core/ports.ts";
import { LEASE_MS, Leases } from "./leases.ts";
import type { Reply } from "./link.ts";
import type { RedisParts } from "./parts.ts";
import { LocalPresence, type LocalTenant } from "./presence-local.ts";
import { PresenceReads, wholeOf } from "./presence-read.ts";
import { ENTER, LEAVE, TAKE } from "./presence-scripts.ts";
import { NOBODY, type NodeSaid, ownBeginning, sessionText, sumOf, tenantText } from "./presence-text.ts";

/** Sessions that come and go at the same time: a few hundredths of a second of Redis. */
const AT_ONCE = 1000;

export class RedisDirectory implements Directory {
  readonly #parts: RedisParts;
  readonly #leaseMs: number;
  readonly #beginning: string;
  readonly #local: LocalPresence;
  readonly #reads: PresenceReads;
  readonly #leases: Leases;
  readonly #running = new Set<Promise<unknown>>();
  readonly #gate = new Gate(AT_ONCE);

  constructor(parts: RedisParts) {
    this.#parts = parts;
    this.#leaseMs = parts.leaseMs ?? LEASE_MS;
    this.#beginning = ownBeginning(parts.self);
    this.#local = new LocalPresence(parts);
    this.#reads = new PresenceReads(parts);
    this.#leases = new Leases({ parts, local: this.#local, leaseMs: this.#leaseMs });
  }

  enter: Directory["enter"] = async (session, limits) => {
    const tenant = this.#local.open(session.tenant);
    if (tenant.sessions.has(session.sessionId)) return "entered";
    tenant.busy++;
    try {
      if (limits.perTenant === undefined) return await this.#admit(tenant, session, limits.perUser);
      const giveBack = await this.#take(tenant, limits.perTenant);
      return giveBack ? await this.#admit(tenant, session, limits.perUser, giveBack) : "tenant_limit";
    } finally {
      tenant.busy--;
      this.#local.tidy(tenant);
    }
  };

  /** Never rejects because Redis is away: what it could not be told runs out by itself. */
  leave: Directory["leave"] = async (session) => {
    const left = this.#local.leave(session);
    if (!left) return;
    const { streams, user } = left;
    const gone = this.#run(LEAVE, user.key, [this.#beginning, session.sessionId]).then(([elsewhere, isFirst]) => {
      if (user.sessions.length > 0) this.#local.learnUser(user, { elsewhere: wholeOf(elsewhere), isFirst: wholeOf(isFirst) === 1 });
    });
    await this.#tracked(
      Promise.all([gone, ...streams.map((held) => this.#leases.count(held))]).catch((error: unknown) => this.#late(error)),
    );
  };

  join: Directory["join"] = async (session, channel) => {
    const tenant = this.#local.tenants.get(session.tenant);
    const present = tenant?.sessions.get(session.sessionId);
    const joined = tenant && present && this.#local.join(tenant, present, channel);
    if (!joined) return;
    const { held, isNew } = joined;
    try {
      await Promise.all([this.#leases.count(held), isNew ? this.#leases.name(held) : undefined]);
    } catch (error) {
      this.#local.part(tenant, present, channel);
      throw error;
    }
  };

  /** Never rejects because Redis is away, as `leave`. */
  part: Directory["part"] = async (session, channel) => {
    const tenant = this.#local.tenants.get(session.tenant);
    const present = tenant?.sessions.get(session.sessionId);
    const held = tenant && present && this.#local.part(tenant, present, channel);
    if (held) await this.#tracked(this.#leases.count(held).catch((error: unknown) => this.#late(error)));
  };

  /**
   * `Roles` are exact as long as a node's tenant has at most `MOST_ROLE_SETS` different sets of them. Several `Channels`:
   * exact here; for other nodes the sum over the channels, at most their sessions.
   */
  online: Directory["online"] = async (stream, audience) => {
    const tenant = this.#local.tenants.get(stream.tenant);
    if (stream.kind === "inbox") {
      const [elsewhere = 0] = await this.#reads.sessions([stream]);
      return elsewhere + (tenant?.users.get(stream.user)?.sessions.length ?? 0);
    }
    if (stream.kind === "broadcast" && audience && audience.type !== "All") {
      return (tenant?.addressed(audience) ?? 0) + (await this.#addressedElsewhere(stream, audience));
    }
    const [elsewhere] = await this.#reads.listening([stream]);
    const here = stream.kind === "channel" ? tenant?.channels.get(stream.channel)?.sessions : tenant?.sessions.size;
    return (elsewhere?.sessions ?? 0) + (here ?? 0);
  };

  userSessions: Directory["userSessions"] = async (id, user) => {
    const elsewhere = await this.#reads.places(id, user);
    const here = this.#local.tenants.get(id)?.users.get(user)?.sessions ?? [];
    const places = here.map(
      ({ info, channels }): SessionPlace => ({ session: info, node: this.#parts.node, channels: [...(channels ?? [])] }),
    );
    const order = ({ session: a }: SessionPlace, { session: b }: SessionPlace) =>
      a.connectedAt - b.connectedAt || (a.sessionId < b.sessionId ? -1 : 1);
    return [...elsewhere, ...places].sort(order);
  };

  channels: Directory["channels"] = async (id) => {
    const here = [...(this.#local.tenants.get(id)?.channels ?? [])].flatMap(([name, { sessions }]) => (sessions > 0 ? [name] : []));
    const names = [...new Set([...(await this.#reads.channelNames(id)), ...here])].sort();
    return await this.#presences(id, names);
  };

  channel: Directory["channel"] = async (id, name) => {
    const [found] = await this.#presences(id, [name]);
    return found;
  };

  /** Sessions and subscriptions are exact for this node and at most one renewal old for others; users and channels as well. */
  counts: Directory["counts"] = async (id) => {
    if (id === undefined) return sumOf([this.#hereInAll(), ...[...(await this.#reads.nodes()).values()].map(({ counts }) => counts)]);
    const here = this.#local.tenants.get(id)?.counts() ?? NOBODY;
    const [others, channels] = await Promise.all([this.#reads.tenant(id), this.#reads.channelCount(id)]);
    return { ...sumOf([here, ...others.map(({ counts }) => counts)]), channels: Math.max(channels, here.channels) };
  };

  here: Directory["here"] = (id) => {
    const tenants = id === undefined ? [...this.#local.tenants.values()] : [this.#local.tenants.get(id)];
    return {
      sessions: tenants.reduce((sum, tenant) => sum + (tenant?.sessions.size ?? 0), 0),
      users: tenants.reduce((sum, tenant) => sum + (tenant?.users.size ?? 0), 0),
    };
  };

  /** What this node says of itself to others: what it counts, so that sums over nodes count each user once. */
  says(): Pick<NodeSaid, "sessions" | "localUsers" | "counts"> {
    const { sessions, users } = this.here();
    return { sessions, localUsers: users, counts: this.#hereInAll() };
  }

  /** Other nodes, by what they are called in leases. */
  others(): Promise<ReadonlyMap<string, NodeSaid>> {
    return this.#reads.nodes();
  }

  /** Renews every lease now. Rejects with `Failure`. */
  renew(): Promise<void> {
    return this.#leases.renew();
  }

  /** Takes everything of this node out of the fleet. Never rejects. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
    await this.#leases.close();
  }

  #hereInAll() {
    return sumOf([...this.#local.tenants.values()].map((tenant) => tenant.counts()));
  }

  /** Takes a place of the tenant's limit in one step. Undefined when there is none; else what gives it back here. */
  async #take(tenant: LocalTenant, limit: number): Promise<(() => void) | undefined> {
    const { broadcast } = tenant;
    const recount = (by: 1 | -1) => {
      tenant.taken += by;
      broadcast.sessions = tenant.seats();
    };
    recount(1); // before asking: those that ask side by side count each other
    let isTaken = false;
    try {
      const args = [this.#leaseMs, this.#parts.self, limit, broadcast.sessions, tenantText(tenant)];
      isTaken = wholeOf(await this.#gate.pass(() => this.#parts.link.run(TAKE, [broadcast.key], args))) === 1;
    } finally {
      if (!isTaken) recount(-1);
    }
    return isTaken ? () => recount(-1) : undefined;
  }

  /** `giveBack`: its place in the tenant, which the session itself takes over. */
  async #admit(tenant: LocalTenant, session: SessionInfo, perUser: number, giveBack?: () => void): ReturnType<Directory["enter"]> {
    const { keys, node } = this.#parts;
    const key = keys.of({ kind: "inbox", tenant: session.tenant, user: session.user }, "u");
    const says = sessionText(this.#beginning, node, { info: session, channels: undefined });
    const args = [this.#leaseMs, this.#beginning, perUser, session.sessionId, says];
    const reply = await this.#run(ENTER, key, args)
      .finally(giveBack)
      .catch((error: unknown) => this.#undone(key, session, error));
    const [entered, elsewhere, isFirst] = reply;
    const isIn = wholeOf(entered) === 1;
    if (isIn) this.#local.enter(tenant, session, { elsewhere: wholeOf(elsewhere), isFirst: wholeOf(isFirst) === 1 });
    else if (giveBack) await this.#leases.count(tenant.broadcast).catch((error: unknown) => this.#late(error));
    if (!isIn) return "user_limit";
    try {
      await this.#leases.count(tenant.broadcast);
    } catch (error) {
      await this.leave(session);
      throw error;
    }
    return "entered";
  }

  /** Whether Redis took it is not known: what it may have taken is taken out again, or runs out. */
  #undone(key: string, { sessionId }: SessionInfo, error: unknown): never {
    void this.#tracked(this.#run(LEAVE, key, [this.#beginning, sessionId]).catch((late: unknown) => this.#late(late)));
    throw error;
  }

  async #addressedElsewhere(stream: Extract<StreamId, { kind: "broadcast" }>, audience: Audience): Promise<number> {
    const values = [...new Set(audienceValues(audience))];
    const { tenant } = stream;
    if (audience.type === "Users") {
      const sessions = await this.#reads.sessions(values.map((user): StreamId => ({ kind: "inbox", tenant, user })));
      return sessions.reduce((a, b) => a + b, 0);
    }
    if (audience.type === "Roles") return (await this.#reads.tenant(tenant)).reduce((sum, node) => sum + node.roles(values), 0);
    const [all, ...channels] = await this.#reads.listening([
      stream,
      ...values.map((channel): StreamId => ({ kind: "channel", tenant, channel })),
    ]);
    return Math.min(
      channels.reduce((sum, { sessions }) => sum + sessions, 0),
      all?.sessions ?? 0,
    );
  }

  async #presences(id: string, names: readonly string[]): Promise<readonly ChannelPresence[]> {
    const elsewhere = await this.#reads.listening(names.map((channel): StreamId => ({ kind: "channel", tenant: id, channel })));
    const channels = this.#local.tenants.get(id)?.channels;
    return names.flatMap((name, i) => {
      const [here, there] = [channels?.get(name), elsewhere[i]];
      const sessions = (here?.sessions ?? 0) + (there?.sessions ?? 0);
      return sessions === 0 ? [] : { name, sessions, since: there?.since ?? here?.since ?? 0 };
    });
  }

  async #run(script: typeof ENTER, key: string, args: readonly (string | number)[]): Promise<readonly Reply[]> {
    const reply = await this.#gate.pass(() => this.#parts.link.run(script, [key], args));
    return Array.isArray(reply) ? (reply as readonly Reply[]) : []; // a list, as the scripts say
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    return work.finally(() => this.#running.delete(work));
  }

  #late(error: unknown): void {
    if (!(error instanceof Failure)) throw error;
    this.#parts.log.debug("presence.late", { error: error.message });
  }
}

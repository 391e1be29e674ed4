// Why: what this node holds itself is known here exactly and at once; Redis only tells it of the others.
// It must never wait for anything.
import type { Audience } from "@nexus/protocol/frames.ts";
import { isAddressed } from "../../core/audience.ts";
import { Members } from "../../core/members.ts";
import type { Clock, PresenceCounts, SessionInfo, StreamId } from "../../core/ports.ts";
import { type Keys, PARTITIONS, streamPartition, tenantPartition } from "./keys.ts";

/** A session of this node. `roles`: as they were counted. `isTold`: whether Redis knows what it holds now. */
export class Present {
  readonly info: SessionInfo;
  roles: readonly string[];
  channels: Members<string> | undefined;
  isTold = true;

  constructor(info: SessionInfo) {
    this.info = info;
    this.roles = info.roles;
  }

  get user(): string {
    return this.info.user;
  }

  holdsChannel(channel: string): boolean {
    return this.channels?.has(channel) ?? false;
  }
}

/** What Redis said of a user: sessions on other nodes, and whether this node has the first of all and so counts the user. */
export type UserElsewhere = { readonly elsewhere: number; readonly isFirst: boolean };

export class LocalUser {
  readonly tenant: LocalTenant;
  readonly key: string;
  readonly partition: number;
  readonly sessions: Present[] = [];
  elsewhere = 0;
  isFirst = true;
  /** What the tenant's sums hold of it. */
  counted = { user: 0, shared: 0 };

  constructor(tenant: LocalTenant, place: { readonly key: string; readonly partition: number }) {
    this.tenant = tenant;
    this.key = place.key;
    this.partition = place.partition;
  }
}

/** A channel or broadcast with sessions here, until Redis knows that there is none any more. `isFirst` as for users. */
export class Held {
  readonly stream: Exclude<StreamId, { readonly kind: "inbox" }>;
  readonly key: string;
  readonly partition: number;
  since: number;
  sessions = 0;
  isFirst = true;
  /** Whether nobody anywhere held it when this node last gave it up. */
  isNobodys = false;
  /** What the tenant's sums hold of it. */
  counted = 0;

  constructor(stream: Held["stream"], place: { readonly key: string; readonly partition: number; readonly since: number }) {
    this.stream = stream;
    this.key = place.key;
    this.partition = place.partition;
    this.since = place.since;
  }
}

type RoleSet = { readonly roles: readonly string[]; sessions: number };

export class LocalTenant {
  readonly id: string;
  readonly broadcast: Held;
  readonly sessions = new Map<string, Present>();
  readonly users = new Map<string, LocalUser>();
  readonly channels = new Map<string, Held>();
  readonly roleSets = new Map<string, RoleSet>();
  readonly transports = { websocket: 0, sse: 0 };
  /** Users and channels whose first holder is here. */
  readonly owned = { users: 0, shared: 0, channels: 0 };
  subscriptions = 0;
  /** Places of the tenant's limit that sessions on their way in have. */
  taken = 0;
  /** Calls that will touch it again. */
  busy = 0;

  constructor(id: string, broadcast: Held) {
    this.id = id;
    this.broadcast = broadcast;
  }

  /** Sessions and places on their way, as the broadcast's listeners are written. */
  seats(): number {
    return this.sessions.size + this.taken;
  }

  /** Sessions of an audience here; exact. */
  addressed(audience: Audience): number {
    let count = 0;
    for (const present of this.sessions.values()) if (isAddressed(audience, present)) count++;
    return count;
  }

  /** What this node counts of the tenant: its own sessions; users and channels whose first holder is here. */
  counts(): PresenceCounts {
    return { ...this.transports, ...this.owned, subscriptions: this.subscriptions };
  }

  /** Call after every change of the user's sessions, here or elsewhere. */
  recountUser(one: LocalUser): void {
    const user = one.sessions.length > 0 && one.isFirst ? 1 : 0;
    const shared = user === 1 && one.sessions.length + one.elsewhere > 1 ? 1 : 0;
    this.owned.users += user - one.counted.user;
    this.owned.shared += shared - one.counted.shared;
    one.counted = { user, shared };
  }

  /** Call after every change of the channel's listeners, here or elsewhere. */
  recountChannel(held: Held): void {
    if (held.stream.kind !== "channel") return;
    const counted = held.sessions > 0 && held.isFirst ? 1 : 0;
    this.owned.channels += counted - held.counted;
    held.counted = counted;
  }

  rolesChanged(present: Present): void {
    this.#countRoles(present.roles, -1);
    present.roles = present.info.roles;
    this.#countRoles(present.roles, 1);
  }

  countRoles(present: Present, by: 1 | -1): void {
    this.#countRoles(present.roles, by);
  }

  #countRoles(roles: readonly string[], by: 1 | -1): void {
    if (roles.length === 0) return;
    const sorted = [...new Set(roles)].sort();
    const key = sorted.join("\n");
    const set = this.roleSets.get(key) ?? { roles: sorted, sessions: 0 };
    set.sessions += by;
    if (set.sessions > 0) this.roleSets.set(key, set);
    else this.roleSets.delete(key);
  }
}

export type LocalPresenceOptions = { readonly keys: Keys; readonly clock: Pick<Clock, "now"> };

/** Everything this node holds, by tenant and by partition. */
export class LocalPresence {
  readonly #options: LocalPresenceOptions;
  readonly tenants = new Map<string, LocalTenant>();
  readonly tenantsOf: readonly Map<string, LocalTenant>[] = Array.from({ length: PARTITIONS }, () => new Map());
  readonly users: readonly Map<string, LocalUser>[] = Array.from({ length: PARTITIONS }, () => new Map());
  readonly held: readonly Map<string, Held>[] = Array.from({ length: PARTITIONS }, () => new Map());

  constructor(options: LocalPresenceOptions) {
    this.#options = options;
  }

  /** The tenant, made where there is none yet. Whoever asks marks it busy and calls `tidy` at the end. */
  open(id: string): LocalTenant {
    const found = this.tenants.get(id);
    if (found) return found;
    const tenant = new LocalTenant(id, this.#hold({ kind: "broadcast", tenant: id }));
    this.tenants.set(id, tenant);
    this.tenantsOf[tenantPartition(id)]?.set(id, tenant);
    return tenant;
  }

  /** `said`: what Redis answered. */
  enter(tenant: LocalTenant, info: SessionInfo, said: UserElsewhere): void {
    const present = new Present(info);
    const stream: StreamId = { kind: "inbox", tenant: tenant.id, user: info.user };
    const user =
      tenant.users.get(info.user) ?? new LocalUser(tenant, { key: this.#options.keys.of(stream, "u"), partition: streamPartition(stream) });
    tenant.users.set(info.user, user);
    this.users[user.partition]?.set(user.key, user);
    user.sessions.push(present);
    this.learnUser(user, said);
    tenant.sessions.set(info.sessionId, present);
    tenant.transports[info.transport]++;
    tenant.countRoles(present, 1);
    tenant.broadcast.sessions = tenant.seats();
  }

  learnUser(user: LocalUser, { elsewhere, isFirst }: UserElsewhere): void {
    user.elsewhere = elsewhere;
    user.isFirst = isFirst;
    user.tenant.recountUser(user);
  }

  /** `since`: undefined leaves it. */
  learnHeld(held: Held, { isFirst, since }: { readonly isFirst: boolean; readonly since: number | undefined }): void {
    held.isFirst = isFirst;
    if (since !== undefined) held.since = since;
    this.tenants.get(held.stream.tenant)?.recountChannel(held);
  }

  /** The streams it was counted in, and its user; undefined for a session that is not here. */
  leave({ tenant: id, sessionId, user: name }: SessionInfo): { readonly streams: readonly Held[]; readonly user: LocalUser } | undefined {
    const tenant = this.tenants.get(id);
    const present = tenant?.sessions.get(sessionId);
    const user = tenant?.users.get(name);
    if (!tenant || !present || !user) return undefined;
    const streams = [...(present.channels ?? [])].flatMap((channel) => this.part(tenant, present, channel) ?? []);
    tenant.sessions.delete(sessionId);
    tenant.transports[present.info.transport]--;
    tenant.countRoles(present, -1);
    user.sessions.splice(user.sessions.indexOf(present), 1);
    tenant.recountUser(user);
    if (user.sessions.length === 0) {
      tenant.users.delete(name);
      this.users[user.partition]?.delete(user.key);
    }
    tenant.broadcast.sessions = tenant.seats();
    return { streams: [...streams, tenant.broadcast], user };
  }

  /** Undefined where it holds the channel already. `isNew`: the first here. */
  join(tenant: LocalTenant, present: Present, channel: string): { readonly held: Held; readonly isNew: boolean } | undefined {
    if (present.holdsChannel(channel)) return undefined;
    present.channels ??= new Members();
    present.channels.add(channel);
    present.isTold = false;
    tenant.subscriptions++;
    const found = tenant.channels.get(channel);
    const held = found ?? this.#hold({ kind: "channel", tenant: tenant.id, channel });
    tenant.channels.set(channel, held);
    const isNew = held.sessions === 0;
    if (isNew) held.since = this.#options.clock.now();
    if (isNew) held.isNobodys = false;
    held.sessions++;
    tenant.recountChannel(held);
    return { held, isNew };
  }

  /** Undefined where it does not hold the channel. */
  part(tenant: LocalTenant, present: Present, channel: string): Held | undefined {
    if (!present.channels?.delete(channel)) return undefined;
    present.isTold = false;
    tenant.subscriptions--;
    const held = tenant.channels.get(channel);
    if (!held) return undefined;
    held.sessions--;
    tenant.recountChannel(held);
    return held;
  }

  /** Redis knows that nobody here holds it. */
  forget(held: Held): void {
    const tenant = this.tenants.get(held.stream.tenant);
    if (held.sessions > 0) return;
    if (held.stream.kind === "channel") {
      if (tenant?.channels.get(held.stream.channel) === held) tenant.channels.delete(held.stream.channel);
      if (this.held[held.partition]?.get(held.key) === held) this.held[held.partition]?.delete(held.key);
    }
    if (tenant) this.tidy(tenant);
  }

  /** Lets go of a tenant nobody is in. */
  tidy(tenant: LocalTenant): void {
    if (tenant.busy > 0 || tenant.seats() > 0 || tenant.channels.size > 0) return;
    if (this.tenants.get(tenant.id) !== tenant) return;
    this.tenants.delete(tenant.id);
    this.tenantsOf[tenantPartition(tenant.id)]?.delete(tenant.id);
    this.held[tenant.broadcast.partition]?.delete(tenant.broadcast.key);
  }

  #hold(stream: Held["stream"]): Held {
    const partition = streamPartition(stream);
    const held = new Held(stream, { key: this.#options.keys.of(stream, "l"), partition, since: this.#options.clock.now() });
    this.held[partition]?.set(held.key, held);
    return held;
  }
}

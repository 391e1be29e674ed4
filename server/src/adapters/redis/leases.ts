// Why: everything this node holds is a lease in Redis: written when it changes, renewed while it lasts, taken out when it ends.
// It must never let a lease outlive what it stands for by more than its length, nor drop one that still holds.

import { PARTITIONS, tenantPartition } from "./keys.ts";
import { Batch } from "./leases-batch.ts";
import type { Reply } from "./link.ts";
import type { RedisParts } from "./parts.ts";
import type { Held, LocalPresence, LocalUser, Present } from "./presence-local.ts";
import { KEYS_PER_CALL, wholeOf } from "./presence-read.ts";
import { NAME, RENEW, WITHDRAW } from "./presence-scripts.ts";
import { ownBeginning, sessionText, tenantText } from "./presence-text.ts";

/** A lease that is not renewed for so long counts as gone, in milliseconds; renewed three times as often. */
export const LEASE_MS = 10_000;

/** Hashes of users live for two leases: every so many renewals are told to let them live on, long before they end. */
const LONG_EVERY = 3;

/** Renewals are spread over this many turns, so that neither Redis nor this node stands still for all of them at once. */
const TURNS = 32;

export type LeasesOptions = { readonly parts: RedisParts; readonly local: LocalPresence; readonly leaseMs: number };

type Named = { readonly tenant: string; readonly name: string };
type Rest = { readonly users: readonly LocalUser[]; readonly held: readonly Held[] };

export class Leases {
  readonly #options: LeasesOptions;
  readonly #beginning: string;
  readonly #counts: readonly Batch<Held>[];
  readonly #names: readonly Batch<Named>[];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #renewing = new Set<number>();
  /** Renewals of each partition that were done. */
  readonly #renewed: number[] = Array.from({ length: PARTITIONS }, () => 0);
  #turn = 0;
  #isFailing = false;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#beginning = ownBeginning(options.parts.self);
    this.#counts = Array.from({ length: PARTITIONS }, () => new Batch<Held>((held) => this.#write({ users: [], held })));
    this.#names = Array.from({ length: PARTITIONS }, () => new Batch<Named>((names) => this.#writeNames(names)));
    this.#timer = setInterval(() => this.#renewTurn(), (options.leaseMs * 0.3) / TURNS);
    this.#timer.unref();
  }

  /** Tells Redis how many sessions listen here now. Resolves once publishes count them; rejects with `Failure`. */
  async count(held: Held): Promise<void> {
    await this.#counts[held.partition]?.write(held.key, held);
    if (held.sessions === 0 && held.isNobodys) await this.name(held);
  }

  /** Tells Redis whether the channel is held here; rejects with `Failure`. */
  async name({ stream }: Held): Promise<void> {
    if (stream.kind !== "channel") return;
    const named = { tenant: stream.tenant, name: stream.channel };
    await this.#names[tenantPartition(stream.tenant)]?.write(`${stream.tenant}/${stream.channel}`, named);
  }

  /** Renews everything now. Rejects with `Failure` when a part could not be. */
  async renew(): Promise<void> {
    await Promise.all(Array.from({ length: PARTITIONS }, (_, partition) => this.#renew(partition)));
  }

  /** Takes everything out at once; leases that cannot be run out by themselves. Never rejects. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#counts, ...this.#names].map((batch) => batch.settled()));
    const { parts, local } = this.#options;
    const results = await Promise.allSettled(
      Array.from({ length: PARTITIONS }, async (_, partition) => {
        const users = [...(local.users[partition]?.values() ?? [])];
        const held = [...(local.held[partition]?.values() ?? [])];
        if (users.length + held.length === 0) return;
        const args = users.flatMap(({ sessions }) => [sessions.length, ...sessions.map(({ info }) => info.sessionId)]);
        await parts.link.run(
          WITHDRAW,
          [...users, ...held].map(({ key }) => key),
          [parts.self, users.length, ...args],
        );
      }),
    );
    const failed = results.filter(({ status }) => status === "rejected").length;
    if (failed > 0) parts.log.warn("presence.withdraw_failed", { partitions: failed });
  }

  #renewTurn(): void {
    const { log } = this.#options.parts;
    const turn = this.#turn;
    this.#turn = (turn + 1) % TURNS;
    if (this.#renewing.has(turn)) return; // Redis is slower than we ask
    this.#renewing.add(turn);
    const partitions = Array.from({ length: PARTITIONS / TURNS }, (_, i) => turn + i * TURNS);
    void Promise.all(partitions.map((partition) => this.#renew(partition)))
      .then(
        (renewed) => {
          if (this.#isFailing && renewed.some(Boolean)) log.info("presence.renewal_resumed");
          if (renewed.some(Boolean)) this.#isFailing = false;
        },
        (error: unknown) => {
          if (!this.#isFailing) log.warn("presence.renewal_failed", { error: String(error) });
          this.#isFailing = true;
        },
      )
      .finally(() => this.#renewing.delete(turn));
  }

  /** Whether there was anything. */
  async #renew(partition: number): Promise<boolean> {
    const { local } = this.#options;
    const users = [...(local.users[partition]?.values() ?? [])];
    const held = [...(local.held[partition]?.values() ?? [])];
    const names: Named[] = [];
    for (const { id, channels } of local.tenantsOf[partition]?.values() ?? []) {
      for (const [name, { sessions }] of channels) if (sessions > 0) names.push({ tenant: id, name });
    }
    if (users.length + held.length + names.length === 0) return false;
    const done = this.#renewed[partition] ?? 0;
    await Promise.all([this.#write({ users, held }, done % LONG_EVERY === 0), this.#writeNames(names)]);
    this.#renewed[partition] = done + 1; // one that failed is done again as it was
    return true;
  }

  async #write({ users, held }: Rest, isLong = false): Promise<void> {
    const calls: Promise<void>[] = [];
    for (let at = 0; at < users.length; at += KEYS_PER_CALL)
      calls.push(this.#call({ users: users.slice(at, at + KEYS_PER_CALL), held: [] }, { isLong }));
    for (let at = 0; at < held.length; at += KEYS_PER_CALL) calls.push(this.#call({ users: [], held: held.slice(at, at + KEYS_PER_CALL) }));
    await Promise.all(calls);
  }

  async #call({ users, held }: Rest, { isLong = false, whole = false } = {}): Promise<void> {
    const { parts, local, leaseMs } = this.#options;
    const { link, self, node } = parts;
    const told = held.map(({ sessions }) => sessions);
    const args: (string | number)[] = [leaseMs, self, this.#beginning, isLong ? 1 : 0, users.length];
    for (const { sessions } of users) {
      args.push(sessions.length);
      for (const present of sessions) args.push(present.info.sessionId, this.#says(present, node, whole));
    }
    for (const one of held) args.push(one.sessions, this.#tenantSays(one), one.since);
    const keys = [...users, ...held].map(({ key }) => key);
    const reply = await link.run(RENEW, keys, args).catch((error: unknown) => {
      for (const { sessions } of users) for (const present of sessions) present.isTold = false;
      throw error;
    });
    const list = Array.isArray(reply) ? (reply as readonly Reply[]) : []; // a list, as the script says
    const unknown: LocalUser[] = [];
    users.forEach((user, i) => {
      if (wholeOf(list[i * 3]) > 0) unknown.push(user);
      local.learnUser(user, { elsewhere: wholeOf(list[i * 3 + 1]), isFirst: wholeOf(list[i * 3 + 2]) === 1 });
    });
    held.forEach((one, i) => {
      const [others, first, since] = list.slice((users.length + i) * 3, (users.length + i + 1) * 3).map(wholeOf);
      if (told[i] !== 0) local.learnHeld(one, { isFirst: first === 1, since });
      else if (one.sessions === 0) {
        one.isNobodys = others === 0;
        local.forget(one);
      }
    });
    if (unknown.length > 0 && !whole) await this.#call({ users: unknown, held: [] }, { isLong: true, whole: true }); // Redis lost them
  }

  /** What a session says, where Redis has to be told; '' leaves it as it is. */
  #says(present: Present, node: string, whole: boolean): string {
    const { info } = present;
    if (present.roles !== info.roles) {
      this.#options.local.tenants.get(info.tenant)?.rolesChanged(present);
      present.isTold = false;
    }
    if (present.isTold && !whole) return "";
    present.isTold = true;
    return sessionText(this.#beginning, node, present);
  }

  #tenantSays({ stream }: Held): string {
    const tenant = stream.kind === "broadcast" ? this.#options.local.tenants.get(stream.tenant) : undefined;
    return tenant ? tenantText(tenant) : "";
  }

  async #writeNames(names: readonly Named[]): Promise<void> {
    const { parts, local, leaseMs } = this.#options;
    const byTenant = Map.groupBy(names, ({ tenant }) => tenant);
    await Promise.all(
      [...byTenant].map(async ([tenant, ofTenant]) => {
        const isHeld = ({ name }: Named) => (local.tenants.get(tenant)?.channels.get(name)?.sessions ?? 0) > 0;
        const [held, left] = [ofTenant.filter(isHeld), ofTenant.filter((one) => !isHeld(one))].map((some) => some.map(({ name }) => name));
        for (const lot of lotsOf(held ?? [])) await parts.link.run(NAME, [parts.keys.ofTenant(tenant, "c")], [leaseMs, lot.length, ...lot]);
        for (const lot of lotsOf(left ?? [])) await parts.link.run(NAME, [parts.keys.ofTenant(tenant, "c")], [leaseMs, 0, ...lot]);
      }),
    );
  }
}

/** Names of one call. */
const NAMES_PER_CALL = 500;

function lotsOf(names: readonly string[]): readonly (readonly string[])[] {
  return Array.from({ length: Math.ceil(names.length / NAMES_PER_CALL) }, (_, i) =>
    names.slice(i * NAMES_PER_CALL, (i + 1) * NAMES_PER_CALL),
  );
}

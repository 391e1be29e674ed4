// Why: what publishes, batches and keys mean, said once more and as plainly as possible, to hold the real thing against.
// It must share no code with the server: one mistake must not be made twice.

export type Target =
  | { readonly type: "user" | "channel"; readonly name: string }
  | { readonly type: "users" | "channels"; readonly names: readonly string[] }
  | { readonly type: "broadcast" };
/** `says`: its payload. `eventType`: of direct content; every template has `e`. A `template` may be unknown. */
export type Said = { readonly says: number; readonly eventType: string; readonly template?: string };
export type Item = { readonly target: Target; readonly said: Said };
export type Ask =
  | { readonly kind: "one"; readonly item: Item }
  | { readonly kind: "batch"; readonly items: readonly Item[]; readonly stopOnError: boolean; readonly deduplicate: boolean };

/** `id` is a number the oracle made up: the same number has to be the same notification. 0: none. */
export type Sent = { readonly id: number; readonly deliveredTo: number; readonly queued: boolean };
export type ItemFate =
  | ({ readonly kind: "published" } & Sent)
  | { readonly kind: "refused"; readonly code: string }
  | { readonly kind: "duplicate" | "stopped" };
export type Fate =
  | { readonly kind: "away" }
  | { readonly kind: "refused"; readonly code: string }
  | ({ readonly kind: "published"; readonly replayed: boolean } & Sent)
  | { readonly kind: "batch"; readonly replayed: boolean; readonly results: readonly ItemFate[] };

type Session = { readonly user: string; readonly channels: Set<string> };
class Away extends Error {}

export class Oracle {
  readonly sessions: Session[] = [];
  readonly templates = new Set(["good"]);
  /** Ids by stream, in order; live-only streams too. */
  readonly streams = new Map<string, number[]>();
  /** Steps of the engine until it is away. */
  stepsLeft = Number.POSITIVE_INFINITY;
  readonly #heads = new Map<string, { readonly body: string; readonly id: number }>();
  readonly #records = new Map<string, Sent>();
  readonly #answered = new Map<string, readonly ItemFate[]>();
  #ids = 0;

  ask(ask: Ask, key: string | undefined): Fate {
    try {
      return ask.kind === "one" ? this.#one(ask.item, key, JSON.stringify(ask)) : this.#batch(ask, key, JSON.stringify(ask));
    } catch (thrown) {
      if (thrown instanceof Away) return { kind: "away" };
      throw thrown;
    }
  }

  #one({ target, said }: Item, key: string | undefined, body: string): Fate {
    if (!this.#knows(said)) return { kind: "refused", code: "unknown_template" };
    const head = key === undefined ? { id: ++this.#ids, isNew: true } : this.#bind(key, body);
    if (!head) return { kind: "refused", code: "idempotency_conflict" };
    const streams = streamsOf(target);
    if (streams.length === 0) return { kind: "published", id: 0, deliveredTo: 0, queued: false, replayed: !head.isNew };
    const { replayed, ...sent } = this.#send(streams, head.id, key);
    return { kind: "published", ...sent, replayed };
  }

  #batch(ask: Extract<Ask, { kind: "batch" }>, key: string | undefined, body: string): Fate {
    if (key === undefined) return { kind: "batch", replayed: false, results: this.#items(ask, undefined) };
    if (!this.#bind(key, body)) return { kind: "refused", code: "idempotency_conflict" };
    const answered = this.#answered.get(key);
    if (answered) {
      // An answer is read from the records, and those are the engine's.
      for (const [index, { target }] of ask.items.entries()) {
        const streams = answered[index]?.kind === "published" ? streamsOf(target) : [];
        if (streams.length > 0) this.#send(streams, 0, `${key} ${index}`);
      }
      return { kind: "batch", replayed: true, results: answered };
    }
    const results = this.#items(ask, key);
    if (!results.some((result) => result.kind === "refused" && result.code === "broker_unavailable")) this.#answered.set(key, results);
    return { kind: "batch", replayed: false, results };
  }

  #items({ items, stopOnError, deduplicate }: Extract<Ask, { kind: "batch" }>, key: string | undefined): ItemFate[] {
    const fates: ItemFate[] = [];
    const said: string[] = [];
    let isStopped = false;
    for (const [index, item] of items.entries()) {
      const words = JSON.stringify([item.target.type, namesOf(item.target).sort(), eventTypeOf(item.said)]);
      if (isStopped) fates.push({ kind: "stopped" });
      else if (deduplicate && this.#knows(item.said) && said.includes(words)) fates.push({ kind: "duplicate" });
      else {
        const fate = this.#item(
          item,
          key === undefined ? undefined : `${key} ${index}`,
          fates.some(({ kind }) => kind === "published"),
        );
        fates.push(fate);
        if (fate.kind === "published") said.push(words);
        if (stopOnError && !(fate.kind === "published" && fate.deliveredTo > 0)) isStopped = true;
      }
    }
    return fates;
  }

  #item({ target, said }: Item, claim: string | undefined, hasSent: boolean): ItemFate {
    if (!this.#knows(said)) return { kind: "refused", code: "unknown_template" };
    const streams = streamsOf(target);
    if (streams.length === 0) return { kind: "published", id: 0, deliveredTo: 0, queued: false };
    try {
      const { replayed: _, ...sent } = this.#send(streams, ++this.#ids, claim);
      return { kind: "published", ...sent };
    } catch (thrown) {
      if (thrown instanceof Away && hasSent) return { kind: "refused", code: "broker_unavailable" };
      throw thrown;
    }
  }

  #knows = ({ template }: Said): boolean => template === undefined || this.templates.has(template);

  #step(): void {
    if (this.stepsLeft-- <= 0) throw new Away();
  }

  #bind(key: string, body: string): { readonly id: number; readonly isNew: boolean } | undefined {
    this.#step();
    const known = this.#heads.get(key);
    if (known) return known.body === body ? { id: known.id, isNew: false } : undefined;
    this.#heads.set(key, { body, id: ++this.#ids });
    return { id: this.#ids, isNew: true };
  }

  /** With a claim the first goes first; the others are all tried, also when one of them fails. */
  #send(streams: readonly string[], fresh: number, claim: string | undefined): Sent & { readonly replayed: boolean } {
    const sum = { deliveredTo: 0, queued: false };
    let id = fresh;
    let replayed = true;
    let away: unknown;
    for (const [index, stream] of streams.entries()) {
      try {
        const put = this.#put(stream, id, claim);
        if (index === 0) id = put.id;
        sum.deliveredTo += put.deliveredTo;
        sum.queued ||= put.queued;
        replayed &&= put.replayed;
      } catch (thrown) {
        if (claim !== undefined && index === 0) throw thrown;
        away = thrown;
      }
    }
    if (away) throw away;
    return { id, ...sum, replayed };
  }

  #put(stream: string, id: number, claim: string | undefined): Sent & { readonly replayed: boolean } {
    this.#step();
    const record = claim === undefined ? undefined : this.#records.get(`${claim}\n${stream}`);
    if (record) return { ...record, replayed: true };
    const deliveredTo = this.#online(stream);
    const sent = { id, deliveredTo, queued: deliveredTo === 0 && stream.startsWith("u/") };
    this.streams.set(stream, [...(this.streams.get(stream) ?? []), id]);
    if (claim !== undefined) this.#records.set(`${claim}\n${stream}`, sent);
    return { ...sent, replayed: false };
  }

  #online(stream: string): number {
    const [kind, name = ""] = stream.split("/");
    if (kind === "b") return this.sessions.length;
    return this.sessions.filter(({ user, channels }) => (kind === "u" ? user === name : channels.has(name))).length;
  }
}

function namesOf(target: Target): string[] {
  if (target.type === "broadcast") return [];
  return "names" in target ? [...new Set(target.names)] : [target.name];
}

/** `u/<user>`, `c/<channel>`, `b/`. */
function streamsOf(target: Target): string[] {
  if (target.type === "broadcast") return ["b/"];
  return namesOf(target).map((name) => `${target.type.startsWith("user") ? "u" : "c"}/${name}`);
}

/** What a published item is known again by. */
const eventTypeOf = ({ eventType, template }: Said): string => (template === undefined ? eventType : "e");

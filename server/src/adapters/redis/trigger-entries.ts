// Why: what is done to entries of the trigger stream, each step so that a node may die before or after it: an entry is
// away only when it was published or lies among the dead letters. It must never acknowledge before that.
import type { RemoteParent } from "@nexus/tracing/context.ts";
import type { RedisLink, Reply, Script } from "./link.ts";

export const GROUP = "nexus";
/** Dead letters that are kept, roughly; the oldest go. */
const MAX_DEAD = 100_000;
/** A consumer that has not asked for so long, and holds nothing, has no node any more. */
const GONE_MS = 60_000;

/** KEYS: the stream. ARGV: the group, then ids. What is acknowledged is deleted: the stream is a queue of ours. */
const FINISH: Script = {
  name: "nexusTriggerFinish",
  lua: `
local ids = {unpack(ARGV, 2)}
redis.call('XACK', KEYS[1], ARGV[1], unpack(ids))
redis.call('XDEL', KEYS[1], unpack(ids))
return 0`,
};

/** KEYS: the stream, the dead letters. ARGV: the group, id, reason, attempts, body, most letters. */
const BURY: Script = {
  name: "nexusTriggerBury",
  lua: `
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*', 'id', ARGV[2], 'reason', ARGV[3], 'attempts', ARGV[4], 'body', ARGV[5])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 0`,
};

/**
 * KEYS: the stream. ARGV: the group, ms, then a name, or none for all. Deletes consumers that hold nothing: those that are
 * silent for so long, or the one named. One step, because deleting one that holds entries would lose them.
 */
const FORGET: Script = {
  name: "nexusTriggerForget",
  lua: `
local gone = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local of = {}
  for i = 1, #fields, 2 do of[fields[i]] = fields[i + 1] end
  if of.pending == 0 and (of.name == ARGV[3] or (not ARGV[3] and of.idle > tonumber(ARGV[2]))) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of.name)
    gone = gone + 1
  end
end
return gone`,
};

/** `body` undefined: the entry has no such field. `remote`: the trace of its fields `traceparent` and `tracestate`, unread. */
export type TriggerEntry = { readonly id: string; readonly body: string | undefined; readonly remote?: RemoteParent };
export type DeadLetter = { readonly id: string; readonly reason: string; readonly attempts: number; readonly body: string };

/** Every call rejects with `Failure` `broker_unavailable` while Redis is away. */
export class TriggerEntries {
  readonly #link: RedisLink;
  readonly #key: string;
  readonly #consumer: string;
  /** Whether a script may touch the stream and its dead letters at once. */
  readonly #isOneSlot: boolean;

  constructor({ link, key, consumer, isOneSlot }: { link: RedisLink; key: string; consumer: string; isOneSlot: boolean }) {
    this.#link = link;
    this.#key = key;
    this.#consumer = consumer;
    this.#isOneSlot = isOneSlot;
  }

  async finish(ids: readonly string[]): Promise<void> {
    await this.#link.run(FINISH, [this.#key], [GROUP, ...ids]);
  }

  /** Across two slots the letter is written first: it may be there twice, and is never lost. */
  async bury({ id, reason, attempts, body }: DeadLetter): Promise<void> {
    const dead = `${this.#key}:dead`;
    if (this.#isOneSlot) {
      await this.#link.run(BURY, [this.#key, dead], [GROUP, id, reason, attempts, body, MAX_DEAD]);
      return;
    }
    const letter = ["id", id, "reason", reason, "attempts", attempts, "body", body];
    await this.#link.call("XADD", dead, "MAXLEN", "~", MAX_DEAD, "*", ...letter);
    await this.finish([id]);
  }

  /** Entries that nobody has worked on for `idleMs` are this node's now. How often each was given out, this time included. */
  async claim(idleMs: number, most: number): Promise<readonly (TriggerEntry & { readonly attempts: number })[]> {
    const entries: TriggerEntry[] = [];
    let cursor = "0-0";
    do {
      const answer = await this.#link.call("XAUTOCLAIM", this.#key, GROUP, this.#consumer, idleMs, cursor, "COUNT", most - entries.length);
      const [next, claimed] = Array.isArray(answer) ? answer : [];
      entries.push(...entriesOf(claimed));
      cursor = typeof next === "string" ? next : "0-0";
    } while (cursor !== "0-0" && entries.length < most);
    return await Promise.all(entries.map(async (entry) => ({ ...entry, attempts: await this.#attemptsOf(entry.id) })));
  }

  async #attemptsOf(id: string): Promise<number> {
    const [row] = rows(await this.#link.call("XPENDING", this.#key, GROUP, id, id, 1));
    return Number(row?.[3] ?? 1);
  }

  /** Ids that are this node's and were not finished. */
  async held(): Promise<readonly string[]> {
    const pending = await this.#link.call("XPENDING", this.#key, GROUP, "-", "+", 10_000, this.#consumer);
    return rows(pending).flatMap(([id]) => (typeof id === "string" ? [id] : []));
  }

  /** They are still worked on here: nobody else takes them for another `idleMs` of theirs. */
  async keep(ids: readonly string[]): Promise<void> {
    await this.#link.call("XCLAIM", this.#key, GROUP, this.#consumer, 0, ...ids, "JUSTID");
  }

  /** This node will not finish them: anybody may claim them at once. */
  async giveBack(ids: readonly string[], idleMs: number): Promise<void> {
    await this.#link.call("XCLAIM", this.#key, GROUP, this.#consumer, 0, ...ids, "IDLE", idleMs, "JUSTID");
  }

  /** Consumers whose nodes are gone; how many. */
  async forgetOthers(): Promise<number> {
    return Number(await this.#link.run(FORGET, [this.#key], [GROUP, GONE_MS]));
  }

  async forgetSelf(): Promise<void> {
    await this.#link.run(FORGET, [this.#key], [GROUP, 0, this.#consumer]);
  }
}

/** Entries as XREADGROUP and XAUTOCLAIM list them; those that were deleted meanwhile are left out. */
export function entriesOf(list: unknown): readonly TriggerEntry[] {
  return rows(list).flatMap(([id, fields]) => {
    if (typeof id !== "string" || !Array.isArray(fields)) return [];
    const [body, traceparent, tracestate] = ["body", "traceparent", "tracestate"].map((name) => textOf(fields, name));
    return [{ id, body, ...(traceparent === undefined ? {} : { remote: { traceparent, tracestate } }) }];
  });
}

/** Of a flat list of names and values, the value after the first such name. */
function textOf(fields: readonly unknown[], name: string): string | undefined {
  const at = fields.findIndex((field, index) => index % 2 === 0 && field === name);
  const value = at < 0 ? undefined : fields[at + 1];
  return typeof value === "string" ? value : undefined;
}

function rows(list: unknown): readonly (readonly Reply[])[] {
  return Array.isArray(list) ? list.filter((row) => Array.isArray(row)) : [];
}

// Why: how far a purge has come is written down in Redis, so that any node goes on where the last one stopped, and so that
// every node knows when it is done. A place in one server's keys means nothing to another: it is kept by the server's run.
// It must never outlive its tombstone for long.
import type { Tombstone } from "../../core/purge-ports.ts";
import type { Keys } from "./keys.ts";
import type { RedisLink, Script } from "./link.ts";

/** A tombstone lives for 7 days. */
const LIFE_MS = 8 * 86_400_000;

/** ARGV: life in ms, fields and values. Nothing is taken back from a purge that is done. */
const SAVE: Script = {
  name: "nexusPurgeSave",
  lua: `
if redis.call('HEXISTS', KEYS[1], 'done') == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`,
};

/** ARGV: life in ms. A pass is over and found something: the next one looks at everything again. */
const AGAIN: Script = {
  name: "nexusPurgeAgain",
  lua: `
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'found', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 0`,
};

export class PurgeProgress {
  readonly #link: Pick<RedisLink, "run" | "call">;
  readonly #key: string;
  readonly #cursors = new Map<string, string>();
  /** Keys that were removed in this pass, by whichever node. */
  found = 0;
  isDone = false;

  constructor(link: Pick<RedisLink, "run" | "call">, keys: Keys, { tenant, uid }: Tombstone) {
    this.#link = link;
    this.#key = keys.fleet(`purge/${tenant}/${uid}`);
  }

  /** Every call rejects with `Failure` `broker_unavailable`. */
  async read(): Promise<void> {
    const reply = await this.#link.call("HGETALL", this.#key);
    const flat = Array.isArray(reply) ? reply.map(String) : [];
    this.#cursors.clear();
    for (let at = 0; at + 1 < flat.length; at += 2) this.#take(flat[at] ?? "", flat[at + 1] ?? "");
  }

  /** Where the walk through this run of a server stands: a cursor of `SCAN`; undefined once it is through. */
  cursor(run: string): string | undefined {
    const known = this.#cursors.get(run) ?? "0";
    return known === "end" ? undefined : known;
  }

  /** `cursor`: `0` when the walk is through. */
  async save(run: string, cursor: string): Promise<void> {
    const value = cursor === "0" ? "end" : cursor;
    this.#cursors.set(run, value);
    await this.#link.run(SAVE, [this.#key], [LIFE_MS, `at:${run}`, value, "found", this.found]);
  }

  async again(): Promise<void> {
    this.found = 0;
    this.#cursors.clear();
    await this.#link.run(AGAIN, [this.#key], [LIFE_MS]);
  }

  async finish(): Promise<void> {
    await this.#link.run(SAVE, [this.#key], [LIFE_MS, "done", 1]);
    this.isDone = true;
  }

  #take(field: string, value: string): void {
    if (field === "done") this.isDone = true;
    else if (field === "found") this.found = Number(value);
    else if (field.startsWith("at:")) this.#cursors.set(field.slice(3), value);
  }
}

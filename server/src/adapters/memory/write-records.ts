// Why: a write that is asked twice with one Idempotency-Key is done once and answered twice, for a day, as long as memory
// lasts. It must never answer another scope's record.
import { AgingMap } from "../../core/aging-map.ts";
import type { Clock, IdempotencyClaim } from "../../core/ports.ts";
import type { StoredAnswer, WriteRecords } from "../../core/record-ports.ts";
import type { ByteBudget, Item } from "./byte-budget.ts";

const DAY_MS = 86_400_000;
/** After this a write that never finished does not hold its key any longer. */
const STUCK_MS = 60_000;
const RECORD_BYTES = 600;

class Claimed implements Item {
  readonly name: string;
  readonly fingerprint: string;
  readonly at: number;
  bytes = RECORD_BYTES;
  answer: StoredAnswer | undefined;
  older: Item | undefined;
  newer: Item | undefined;
  counted = false;
  readonly #home: AgingMap<string, Claimed>;

  constructor(home: AgingMap<string, Claimed>, name: string, what: { readonly fingerprint: string; readonly at: number }) {
    this.#home = home;
    this.name = name;
    this.fingerprint = what.fingerprint;
    this.at = what.at;
  }

  evict(): void {
    this.#home.delete(this.name);
  }
}

export class MemoryWriteRecords implements WriteRecords {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #budget: ByteBudget;
  /** In order of beginning. */
  readonly #records = new AgingMap<string, Claimed>();

  constructor(clock: Pick<Clock, "monotonic">, budget: ByteBudget) {
    this.#clock = clock;
    this.#budget = budget;
  }

  begin: WriteRecords["begin"] = async (scope, claim) => {
    const now = this.#clock.monotonic();
    this.#expire(now);
    const name = nameOf(scope, claim.key);
    const known = this.#records.get(name);
    if (known && (known.answer || known.at + STUCK_MS > now)) return standing(known, claim);
    if (known) this.#forget(known);
    const claimed = new Claimed(this.#records, name, { fingerprint: claim.fingerprint, at: now });
    this.#records.set(name, claimed);
    this.#budget.add(claimed);
    return { kind: "begun" };
  };

  finish: WriteRecords["finish"] = async (scope, key, answer) => {
    const claimed = this.#records.get(nameOf(scope, key));
    if (!claimed || claimed.answer) return;
    this.#budget.remove(claimed);
    claimed.answer = answer;
    claimed.bytes += answer.body.length * 2;
    this.#budget.add(claimed);
  };

  abandon: WriteRecords["abandon"] = async (scope, key) => {
    const claimed = this.#records.get(nameOf(scope, key));
    if (claimed && !claimed.answer) this.#forget(claimed);
  };

  /** Lets go of a tenant's. Yields after each that was looked at. */
  *purge(tenant: string): Generator<void> {
    for (const [name, claimed] of this.#records.entries()) {
      if (name.startsWith(`${tenant}/`)) this.#forget(claimed);
      yield;
    }
  }

  #expire(now: number): void {
    for (let next = this.#records.oldest(); next && next[1].at + DAY_MS <= now; next = this.#records.oldest()) this.#forget(next[1]);
  }

  #forget(claimed: Claimed): void {
    this.#budget.remove(claimed);
    claimed.evict();
  }
}

function standing({ fingerprint, answer }: Claimed, claim: IdempotencyClaim): Awaited<ReturnType<WriteRecords["begin"]>> {
  if (fingerprint !== claim.fingerprint) return { kind: "conflict" };
  return answer ? { kind: "done", answer } : { kind: "in_flight" };
}

/** Neither a tenant, an operation nor a key holds a line break. */
const nameOf = (scope: string, key: string): string => `${scope}\n${key}`;

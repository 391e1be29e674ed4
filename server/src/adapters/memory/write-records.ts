// Why: a write that is asked twice with one Idempotency-Key is done once and answered twice, for a day.
// It must never answer another scope's record.
import type { Clock } from "../../core/ports.ts";
import type { StoredAnswer, WriteRecords } from "../../core/record-ports.ts";

const DAY_MS = 86_400_000;
/** After this a write that never finished does not hold its key any longer. */
const STUCK_MS = 60_000;
const MAX_RECORDS = 50_000;

type Record = { readonly fingerprint: string; readonly at: number; answer: StoredAnswer | undefined };

export class MemoryWriteRecords implements WriteRecords {
  readonly #clock: Pick<Clock, "monotonic">;
  /** In order of beginning. */
  readonly #records = new Map<string, Record>();

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  begin: WriteRecords["begin"] = async (scope, { key, fingerprint }) => {
    const now = this.#clock.monotonic();
    for (const [name, { at }] of this.#records) {
      if (this.#records.size < MAX_RECORDS && at + DAY_MS > now) break;
      this.#records.delete(name);
    }
    const name = `${scope}\n${key}`;
    const known = this.#records.get(name);
    if (known && (known.answer || known.at + STUCK_MS > now)) {
      if (known.fingerprint !== fingerprint) return { kind: "conflict" };
      return known.answer ? { kind: "done", answer: known.answer } : { kind: "in_flight" };
    }
    this.#records.delete(name);
    this.#records.set(name, { fingerprint, at: now, answer: undefined });
    return { kind: "begun" };
  };

  finish: WriteRecords["finish"] = async (scope, key, answer) => {
    const record = this.#records.get(`${scope}\n${key}`);
    if (record) record.answer = answer;
  };

  abandon: WriteRecords["abandon"] = async (scope, key) => {
    this.#records.delete(`${scope}\n${key}`);
  };
}

// Why: /health says what inboxes hold, anyone may ask, and the answer needs a walk over all of them: it is remembered for a
// time that grows with what it cost.
import type { Database } from "bun:sqlite";
import type { Clock } from "../../core/ports.ts";

/** Entries in inboxes that their users have not had, and how many users those are. */
export type WaitingCounts = { readonly messages: number; readonly users: number };

const LEAST_MS = 1000;
/** The walk may take this part of the time. */
const SHARE = 100;

/** Entries that expired, were removed or acknowledged by id count until they leave. */
export function countWaiting(db: Database, clock: Pick<Clock, "monotonic">): () => WaitingCounts {
  const walk = db.query<{ messages: number | null; users: number }, []>(
    `SELECT sum(top - max(mark, gone)) AS messages, count(*) AS users FROM streams
     WHERE key >= 'u/' AND key < 'u0' AND top > max(mark, gone)`,
  );
  let counted: WaitingCounts = { messages: 0, users: 0 };
  let until = Number.NEGATIVE_INFINITY;
  return () => {
    const began = clock.monotonic();
    if (began < until) return counted;
    const row = walk.get();
    counted = { messages: row?.messages ?? 0, users: row?.users ?? 0 };
    const ended = clock.monotonic();
    until = ended + Math.max(LEAST_MS, (ended - began) * SHARE);
    return counted;
  };
}

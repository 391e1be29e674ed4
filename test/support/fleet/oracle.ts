// Why: the promise of the fleet, judged: every entry answered with 200 reaches everybody who follows its stream, or that
// person is told of a loss that covers it. It must never forgive a loss that was told before the entry was published.
import { inboxOf, type Ledger } from "./ledger.ts";
import type { Person, Told } from "./person.ts";

export type Verdict = {
  /** Deliveries owed: entries times people who follow their stream. */
  readonly owed: number;
  readonly delivered: number;
  /** Not delivered, and the person was told so. */
  readonly told: number;
  /** Of those, on streams with history: what could have been recovered. */
  readonly toldKept: number;
  /** Not delivered and not told: each is a broken promise. The first few, named. */
  readonly holes: number;
  readonly examples: readonly string[];
  /** Handed to the application twice. */
  readonly repeated: number;
};

const EXAMPLES = 5;

/** What is to be known of a person. */
export type Witness = Pick<Person, "user" | "got" | "told" | "repeated">;

export function judge(ledger: Ledger, people: readonly Witness[]): Verdict {
  const sum = { owed: 0, delivered: 0, told: 0, toldKept: 0, holes: 0, repeated: 0 };
  const examples: string[] = [];
  for (const person of people) {
    sum.repeated += person.repeated.length;
    for (const [stream, got] of person.got) {
      const told = person.told.get(stream) ?? [];
      for (const { id, askedAt } of ledger.of(stream === "user" ? inboxOf(person.user) : stream)) {
        sum.owed++;
        if (got.has(id)) sum.delivered++;
        else if (covers(told, askedAt)) {
          sum.told++;
          if (!stream.startsWith("channel:live.")) sum.toldKept++;
        } else {
          sum.holes++;
          if (examples.length < EXAMPLES) examples.push(`${person.user} has no ${stream} ${id}, published at ${Math.round(askedAt)}`);
        }
      }
    }
  }
  return { ...sum, examples };
}

/** A loss covers what was published before it was told. */
const covers = (told: readonly Told[], askedAt: number): boolean => told.some(({ at }) => at >= askedAt);

// Why: two vectors meet where all labels that count are the same. Which labels the result has, and whether the two can meet at all,
// is known without any data. Pure.
import type { Labels } from "../catalogue.ts";

/** What stands between two sides; undefined: it does not stand there. `set`: `And`, `Or`, `Unless`. */
export type Matching = {
  readonly set: string | undefined;
  readonly on: readonly string[] | undefined;
  readonly ignoring: readonly string[] | undefined;
  readonly groupLeft: readonly string[] | undefined;
  readonly groupRight: readonly string[] | undefined;
};

export type Joined = { readonly labels: Labels; readonly complaints: readonly string[] };

/** Labels of the result of an operator between two vectors, and what is wrong with it. */
export function joined(left: Labels, right: Labels, matching: Matching): Joined {
  const complaints = [...neverMet(left, right, matching)];
  const { set, on, ignoring = [], groupLeft, groupRight } = matching;
  if (set === "Or") {
    const always = new Set([...left.always].filter((label) => right.always.has(label)));
    return { labels: { always, possible: new Set([...left.possible, ...right.possible]) }, complaints };
  }
  if (set !== undefined) return { labels: left, complaints };
  const taken = groupLeft ?? groupRight;
  if (taken) {
    const [many, one] = groupLeft ? [left, right] : [right, left];
    for (const label of taken) if (!one.possible.has(label)) complaints.push(`takes label ${label} from a side that does not have it`);
    return { labels: { always: new Set([...many.always, ...taken]), possible: new Set([...many.possible, ...taken]) }, complaints };
  }
  if (on) return { labels: { always: new Set(on), possible: new Set(on) }, complaints };
  const kept = (some: ReadonlySet<string>) => new Set([...some].filter((label) => !ignoring.includes(label)));
  return { labels: { always: kept(left.always), possible: kept(left.possible) }, complaints };
}

/** A label that counts and that only one side has keeps the two apart for ever. */
function neverMet(left: Labels, right: Labels, { set, on, ignoring = [] }: Matching): readonly string[] {
  if (on)
    return on
      .filter((label) => !left.possible.has(label) || !right.possible.has(label))
      .map((label) => `matches on label ${label}, which one side does not have`);
  if (set === "Or") return [];
  const lonely = (some: Labels, other: Labels) =>
    [...some.always].filter((label) => !ignoring.includes(label) && !other.possible.has(label));
  const alone = [...lonely(left, right), ...lonely(right, left)].sort();
  return alone.length === 0 ? [] : [`has two sides that never match: only one has ${alone.join(", ")}`];
}

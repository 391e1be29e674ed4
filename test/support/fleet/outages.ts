// Why: how a crowd comes back after its links were cut: when, and how many at once. Pure over what people recorded.
import type { Person } from "./person.ts";

/** Times in milliseconds of `performance.now()`. */
export type Comeback = { readonly downAt: number; readonly upAt: number };

/** Every link that was lost after `since` and is up again. */
export const comebacks = (people: readonly Pick<Person, "outages">[], since: number): readonly Comeback[] =>
  people.flatMap(({ outages }) => outages.filter(([downAt]) => downAt >= since).map(([downAt, upAt]) => ({ downAt, upAt })));

/** The most of these moments within any one second. */
export function busiestSecond(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (const [index, at] of sorted.entries()) {
    while ((sorted[first] ?? at) <= at - 1000) first++;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

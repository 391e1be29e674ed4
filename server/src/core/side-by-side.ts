// Why: some answers ask the engine once per tenant or name: side by side, so that they come soon, but not all at once.
// It must never have more than so many on the way.

/** What `work` answers for each item, in their order, with at most `width` under way. Rejects with the first rejection. */
export async function sideBySide<T, R>(items: readonly T[], width: number, work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T); // inside, as just compared
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}

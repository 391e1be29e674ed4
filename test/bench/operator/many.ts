// Why: the clients of the bench do many things at once, but not all.

const AT_ONCE = 32;

/** Runs `work` for 0…count-1, so many at once; answers seconds. */
export async function many(count: number, work: (at: number) => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  let next = 0;
  const one = async () => {
    for (let at = next++; at < count; at = next++) await work(at);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return (performance.now() - startedMs) / 1000;
}

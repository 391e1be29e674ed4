// Why: whoever dials again waits a random while first, so that a fleet does not come back in step, and never waits for
// something that has no end. It must never keep a process alive or a closed connection dialling.

const FIRST_MS = 50;
const MOST_MS = 2000;

/** Milliseconds before try number `failures` (from 0): anything up to 50 ms, doubled each time up to 2 s. */
export const fullJitter = (failures: number, random: () => number = Math.random): number =>
  random() * Math.min(FIRST_MS * 2 ** Math.min(failures, 16), MOST_MS);

/** Resolves after a while, or at once when `signal` is aborted. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });
}

/** What `work` resolves with; rejects when that takes longer. What comes too late is given to `late`, its failure to nobody. */
export async function within<T>(milliseconds: number, work: Promise<T>, late: (value: T) => void = () => undefined): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  let isOver = false;
  const timer = setTimeout(() => {
    isOver = true;
    reject(new Error(`no answer within ${milliseconds} ms`));
  }, milliseconds);
  work.then(
    (value) => isOver && late(value),
    () => undefined, // whoever still waits gets it from the race
  );
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

// Why: every property-based test is as long as its setting says and can be run again exactly: `npm test` takes the short
// one, a night the long one. It must never be the reason for a different result: one seed, one run.

/** What `fc.assert` takes as its second argument; `seed` is any 32-bit integer. */
export type FuzzSettings = { readonly numRuns: number; readonly seed: number };

const DEFAULT_STEPS = 500;

/**
 * Settings for one `fc.assert`. `stepsPerRun`: how many steps one run of the property makes at least (1 where a run is one
 * step). At least `NEXUS_FUZZ_STEPS` (500) steps are made in all. A failure names the seed; `NEXUS_FUZZ_SEED=<seed>`
 * makes the same runs again.
 * @throws Error when a variable is set to no number: a typo must not quietly mean "the default"
 */
export function fuzzSettings(stepsPerRun = 1): FuzzSettings {
  const steps = wholeNumber("NEXUS_FUZZ_STEPS") ?? DEFAULT_STEPS;
  const seed = wholeNumber("NEXUS_FUZZ_SEED") ?? Math.floor(Math.random() * 0x7fffffff);
  return { numRuns: Math.max(1, Math.ceil(steps / stepsPerRun)), seed };
}

/**
 * A deadline for a fuzz test, in milliseconds: `msPerStep` for every step that was asked for, and never less than a
 * minute, so that the nightly setting is not cut off.
 */
export function fuzzTimeoutMs(msPerStep: number): number {
  return Math.max(60_000, (wholeNumber("NEXUS_FUZZ_STEPS") ?? DEFAULT_STEPS) * msPerStep);
}

function wholeNumber(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === "") return undefined;
  if (!/^-?\d+$/.test(text)) throw new Error(`${name} must be a whole number`);
  return Number(text);
}

// Why: new pods that turn clients away must not replace the last good ones. Failures to open a session are counted over a
// minute; above a threshold the rollout pauses, and goes on after two quiet minutes. Pure: time comes in as a parameter.

/** As a pod counts since its start. */
export type Attempts = { readonly opened: number; readonly refused: number };

export type ErrorsState = {
  /** What each pod said last, by uid. */
  readonly last: ReadonlyMap<string, Attempts>;
  readonly rounds: readonly ({ readonly atMs: number } & Attempts)[];
  /** When attempts failed last while there were too many; undefined: never. */
  readonly badMs: number | undefined;
};

export const NO_ERRORS: ErrorsState = { last: new Map(), rounds: [], badMs: undefined };

const WINDOW_MS = 60_000;
/** Fewer failures than so many, or than this share of all attempts, pause nothing. */
export const FAILURES = 20;
export const FAILING_SHARE = 0.1;
export const QUIET_MS = 120_000;

/** Takes down one round: every pod there is, undefined where it did not say. A pod that counts from 0 again has restarted. */
export function countedAttempts(state: ErrorsState, pods: ReadonlyMap<string, Attempts | undefined>, atMs: number): ErrorsState {
  let [opened, refused] = [0, 0];
  const last = new Map<string, Attempts>();
  for (const [uid, said] of pods) {
    const before = state.last.get(uid) ?? { opened: 0, refused: 0 };
    const now = said ?? before;
    last.set(uid, now);
    const isRestarted = now.opened < before.opened || now.refused < before.refused;
    opened += now.opened - (isRestarted ? 0 : before.opened);
    refused += now.refused - (isRestarted ? 0 : before.refused);
  }
  const isFirst = state.last.size === 0; // what was before this leader looked is nobody's rollout
  const round = isFirst ? { atMs, opened: 0, refused: 0 } : { atMs, opened, refused };
  const rounds = [...state.rounds.filter((one) => one.atMs > atMs - WINDOW_MS), round];
  const isBad = isTooMany(sumOf(rounds)) && round.refused > 0;
  return { last, rounds, badMs: isBad ? atMs : state.badMs };
}

/** Failures and attempts of the last minute. */
export const sumOf = (rounds: readonly Attempts[]): Attempts => ({
  opened: rounds.reduce((sum, one) => sum + one.opened, 0),
  refused: rounds.reduce((sum, one) => sum + one.refused, 0),
});

const isTooMany = ({ opened, refused }: Attempts): boolean => refused >= FAILURES && refused >= (opened + refused) * FAILING_SHARE;

/** Whether a rollout has to wait. */
export const mustPause = ({ badMs }: ErrorsState, nowMs: number): boolean => badMs !== undefined && nowMs - badMs < QUIET_MS;

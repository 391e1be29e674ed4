// Why: one cluster whose objects fail again and again must not take the workers from the others. It gets a bounded share of them
// always, none for a while after a row of failures, then one to find out. Failures of the API server itself are not its fault and
// do not count: after an outage every cluster must go on at once.
import { type BackoffLimits, backoffDelayMs } from "./backoff.ts";
import type { Cancel, Clock, Random } from "./clock.ts";
import { KubeError } from "./kube-error.ts";

export type BreakerOptions = {
  readonly clock: Clock;
  readonly random: Random;
  /** Keys of one cluster that may be worked on at once. */
  readonly most: number;
  /** A limit changed: see `WorkQueue.serve`. */
  readonly onChange: () => void;
  readonly onOpen?: (cluster: string, forMs: number) => void;
  /** How many clusters are held back now. */
  readonly gauge?: (open: number) => void;
};

/** Failures in a row, without one pass that went well. */
export const FAILURES_TO_OPEN = 20;
const PAUSE: BackoffLimits = { baseMs: 1_000, capMs: 30_000 };
/** Opened so often that the pause is the longest there is. */
const MOST_OPENINGS = 10;

type State = { failures: number; openings: number; isProbing: boolean; cancel: Cancel | undefined };

export class Breakers {
  readonly #options: BreakerOptions;
  readonly #states = new Map<string, State>();

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  /** How many keys of a cluster may be worked on at once. Keys of no cluster are not limited. */
  most(cluster: string): number {
    if (cluster === "") return Number.POSITIVE_INFINITY;
    const state = this.#states.get(cluster);
    if (state?.cancel) return 0;
    return state?.isProbing ? 1 : this.#options.most;
  }

  /** It failed so often in a row that it is worked on rarely for now. */
  isHeldBack(cluster: string): boolean {
    const state = this.#states.get(cluster);
    return state !== undefined && isOpen(state);
  }

  succeeded(cluster: string): void {
    const state = this.#states.get(cluster);
    if (!state) return;
    if (state.cancel) return; // began before the row of failures ended
    this.#states.delete(cluster);
    if (state.isProbing) this.#changed();
  }

  failed(cluster: string, error: unknown): void {
    if (cluster === "" || isNobodysFault(error)) return;
    const state = this.#states.get(cluster) ?? { failures: 0, openings: 0, isProbing: false, cancel: undefined };
    this.#states.set(cluster, state);
    state.failures++;
    if (state.cancel || (!state.isProbing && state.failures < FAILURES_TO_OPEN)) return;
    state.openings = Math.min(MOST_OPENINGS, state.openings + 1);
    const { clock, random, onOpen } = this.#options;
    const forMs = PAUSE.baseMs + backoffDelayMs(PAUSE, state.openings, random);
    state.cancel = clock.after(forMs, () => {
      state.cancel = undefined;
      state.isProbing = true;
      this.#changed();
    });
    onOpen?.(cluster, forMs);
    this.#changed();
  }

  /** The cluster is gone. */
  forget(cluster: string): void {
    this.#states.get(cluster)?.cancel?.();
    this.#states.delete(cluster);
  }

  stop(): void {
    for (const cluster of [...this.#states.keys()]) this.forget(cluster);
  }

  #changed(): void {
    let open = 0;
    for (const state of this.#states.values()) if (isOpen(state)) open++;
    this.#options.gauge?.(open);
    this.#options.onChange();
  }
}

const isOpen = ({ cancel, isProbing }: State): boolean => cancel !== undefined || isProbing;

/** No answer, too many requests, a server that fails, a conflict with a newer state: the next try may go well. */
const isNobodysFault = (error: unknown): boolean =>
  error instanceof KubeError && (error.status === 0 || error.status === 409 || error.status === 429 || error.status >= 500);

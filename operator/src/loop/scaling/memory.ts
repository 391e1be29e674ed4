// Why: what scaling remembers of each cluster between two passes: windows, steps, what was written. A new leader begins with
// nothing, and every rule over it is safe then. It must never be the only place where something is known that must last.
import type { ErrorsState } from "../../plan/rollout-errors.ts";
import { NO_ERRORS } from "../../plan/rollout-errors.ts";
import type { ScaleState } from "../../plan/scale.ts";
import type { Clock } from "../clock.ts";
import type { Loads } from "./loads.ts";

/** Who needs to know how loaded the pods are. */
export type Reader = "scaler" | "shrink" | "balance" | "rollout";

export type ClusterMemory = {
  /** The rules that `scale` is about, as text. */
  rules: string | undefined;
  scale: ScaleState | undefined;
  /** Rounds that were taken into `scale` and into `errors`. */
  scaledRound: number;
  errorsRound: number;
  /** Deletion costs as written last, by pod uid. */
  readonly costs: Map<string, { readonly cost: number; readonly atMs: number }>;
  /** Since when somebody waits to shrink, and since when the costs are seen in the watch. */
  shrinkSinceMs: number | undefined;
  costsSeenMs: number | undefined;
  /** Size at the last look. */
  size: number | undefined;
  /** Set after growth, until the sessions are spread. */
  balance: { readonly untilMs: number; busyUntilMs: number; rounds: number } | undefined;
  /** KEDA's own autoscaler was looked for and is not there. */
  isKedaGone: boolean;
  errors: ErrorsState;
  readonly readers: Set<Reader>;
};

export class Scaling {
  readonly clock: Clock;
  readonly loads: Loads;
  readonly #memories = new Map<string, ClusterMemory>();

  constructor(clock: Clock, loads: Loads) {
    this.clock = clock;
    this.loads = loads;
  }

  /** `cluster` is `namespace/name`. */
  memory(cluster: string): ClusterMemory {
    const known = this.#memories.get(cluster);
    if (known) return known;
    const fresh: ClusterMemory = {
      ...{ rules: undefined, scale: undefined, scaledRound: 0, errorsRound: 0, costs: new Map() },
      ...{
        shrinkSinceMs: undefined,
        costsSeenMs: undefined,
        size: undefined,
        balance: undefined,
        isKedaGone: false,
        errors: NO_ERRORS,
        readers: new Set(),
      },
    };
    this.#memories.set(cluster, fresh);
    return fresh;
  }

  /** Pods are asked while anybody needs it. */
  read(cluster: string, reader: Reader, isNeeded: boolean): void {
    const { readers } = this.memory(cluster);
    if (isNeeded) readers.add(reader);
    else readers.delete(reader);
    this.loads.follow(cluster, readers.size > 0);
  }

  forget(cluster: string): void {
    this.#memories.delete(cluster);
    this.loads.forget(cluster);
  }

  stop(): void {
    this.loads.stop();
  }
}

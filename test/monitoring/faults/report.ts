// Why: what a run of the faults tells, for whoever judges it or draws it. Nothing but shapes.
import type { Fired } from "../../support/monitoring/alert-log.ts";
import type { Fault } from "./fault.ts";

/** What became of one fault; seconds. `alert` is undefined when it did not fire within `promised`. */
export type Account = {
  readonly fault: Fault;
  readonly promised: number;
  readonly alert: Fired | undefined;
  readonly firedAfter: number | undefined;
  /** Undefined: not within the time the fault names, or it names none and it took longer than the others. */
  readonly resolvedAfter: number | undefined;
};
export type Report = {
  /** What fired before the first fault. */
  readonly before: readonly Fired[];
  readonly accounts: readonly Account[];
  /** What fired from the first fault on. */
  readonly fired: readonly Fired[];
  /** `job` of the operator that is to lose its lead. */
  readonly otherJob: string;
};

// Why: what is asked of an alert on the night, in one place for the test and for whoever records a table: the right one, in time,
// over when the fault is, and no other without a reason. Pure.
import type { Fired } from "../../support/monitoring/alert-log.ts";
import type { Fault } from "./fault.ts";
import type { Account, Report } from "./report.ts";

/** Whose alert this is, by the labels that routes use. `otherJob`: of the operator that loses its lead. */
export const isOf = (fault: Fault, { labels }: Pick<Fired, "labels">, otherJob: string): boolean =>
  fault.on === "operator" ? labels.job === otherJob : (labels.namespace ?? labels.nexus_namespace) === fault.namespace;

/** Sentences; empty when all is as promised. */
export function problemsOf({ fault, promised, firedAfter, resolvedAfter }: Account, { fired, otherJob }: Report): readonly string[] {
  const { alert, companions, resolvesWithinSeconds } = fault;
  const others = fired.filter((one) => one.name !== alert && isOf(fault, one, otherJob) && !(one.name in companions));
  return [
    ...(firedAfter === undefined ? [`${alert} did not fire within ${promised} s`] : []),
    ...(firedAfter !== undefined && firedAfter > promised ? [`${alert} fired after ${firedAfter} s, promised are ${promised} s`] : []),
    ...(resolvesWithinSeconds !== undefined && (resolvedAfter === undefined || resolvedAfter > resolvesWithinSeconds)
      ? [`${alert} was not over ${resolvesWithinSeconds} s after the fault was`]
      : []),
    ...others.map(({ name, description }) => `${name} fired without a reason: ${description}`),
  ];
}

/** What fired before anything happened, or belongs to no fault. */
export const strangersOf = ({ before, fired, otherJob }: Report, faults: readonly Fault[]): readonly string[] => [
  ...before.map(({ name, description }) => `before anything happened: ${name}: ${description}`),
  ...fired
    .filter((one) => !faults.some((fault) => isOf(fault, one, otherJob)))
    .map(({ name, labels, description }) => `of nobody's: ${name} ${JSON.stringify(labels)}: ${description}`),
];

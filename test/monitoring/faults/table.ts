// Why: what was seen of the faults, as a table that fits into a page. Pure.
import { isOf } from "./judge.ts";
import type { Account, Report } from "./report.ts";

export const HEADER = "| fault | alert | promised | fired after | over after the end | besides |\n| --- | --- | --- | --- | --- | --- |";

const text = (seconds: number | undefined): string => (seconds === undefined ? "not seen" : `${seconds.toFixed(0)} s`);

export function rowOf({ fault, promised, firedAfter, resolvedAfter }: Account, { fired, otherJob }: Report): string {
  const besides = new Set(fired.filter((one) => one.name !== fault.alert && isOf(fault, one, otherJob)).map(({ name }) => name));
  const over = resolvedAfter === undefined && fault.resolvesWithinSeconds === undefined ? "later" : text(resolvedAfter);
  return `| ${fault.name} | ${fault.alert} | ${promised} s | ${text(firedAfter)} | ${over} | ${[...besides].sort().join(", ") || "none"} |`;
}

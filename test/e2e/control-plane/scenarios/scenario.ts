// Why: each row of the table of scenarios says where it comes from, what people saw there, and what is done here, beside the
// code that shows it. docs/scenarios.md is written from the rows; a row without a run cannot exist.
import type { Place } from "./place.ts";

export type Scenario<P = Place> = {
  /** `owner/repository#number` of the report. */
  readonly source: string;
  /** What is shown, as a sentence that goes on after the source. */
  readonly title: string;
  /** What the people of that report saw. */
  readonly symptom: string;
  /** What this operator does instead. */
  readonly answer: string;
  readonly run: (place: P) => Promise<void>;
};

/** The name of a scenario's test. */
export const testName = ({ source, title }: Pick<Scenario, "source" | "title">): string => `${source}: ${title}`;

// Why: what a fleet promised, drawn the same way for its three promises: how fast the budget of errors burns, and what is left of
// it. Errors and objectives are those of the recording rules, so that a page and an alert can never disagree. Pure.
import type { Panel, Row } from "./model.ts";

/** A metric with the matchers of a dashboard; `more` as text. */
export type Of = (metric: string, more?: string) => string;

export type Objective = {
  readonly title: string;
  /** What is promised, in words with numbers. */
  readonly what: string;
  /** Label `slo` of `nexus:objective:ratio`. */
  readonly slo: "delivery" | "latency" | "handshakes";
  /** Start of the recording rules' names. */
  readonly errors: string;
  /** Start of its alerts' names. */
  readonly alerts: string;
};

/** The three promises; `delivery` and `latency` say in words what was promised. */
export const objectives = (delivery: string, latency: string, handshakes: string): readonly Objective[] => [
  { title: "Delivery", what: delivery, slo: "delivery", errors: "nexus:delivery_errors", alerts: "NexusDeliveryBudget" },
  { title: "Latency", what: latency, slo: "latency", errors: "nexus:delivery_slow", alerts: "NexusLatencyBudget" },
  { title: "Handshakes", what: handshakes, slo: "handshakes", errors: "nexus:handshake_errors", alerts: "NexusHandshakeBudget" },
];

/** From which burn rates somebody is woken: within minutes, within half an hour. */
export const FAST = 14.4;
export const SLOW = 6;

const budget = (slo: string, of: Of): string => `(1 - ${of("nexus:objective:ratio", `slo="${slo}"`)})`;

/** How many times faster than it may the budget burns, by fleet. */
export const burnRate = ({ slo, errors }: Objective, window: string, of: Of): string =>
  `${of(`${errors}:ratio_rate${window}`)} / on (namespace, nexus_cluster) ${budget(slo, of)}`;

/** First line: what is left of three days' budgets; below: how fast they burn. */
export const budgetRow = (promises: readonly Objective[], of: Of): Row => ({
  title: "What it promises",
  panels: [...promises.map((promise) => left(promise, of)), ...promises.map((promise) => burn(promise, of))],
});

const left = (objective: Objective, of: Of): Panel => ({
  kind: "stat",
  title: `${objective.title}: budget left`,
  description: `What is left of the errors that three days may hold: ${objective.what}. 100 % is untouched; below 0 the promise is broken.`,
  unit: "percentunit",
  decimals: 1,
  width: 8,
  thresholds: { warning: 0.5, error: 0.1 },
  queries: [{ expr: `1 - ${burnRate(objective, "3d", of)}`, legend: "left" }],
});

const burn = (objective: Objective, of: Of): Panel => ({
  kind: "timeseries",
  title: `${objective.title}: how fast the budget burns`,
  description: `Times faster than allowed (${objective.what}). 1 uses up the budget exactly. ${FAST} over 5 minutes and an hour, or ${SLOW} over half an hour and six hours, wakes somebody.`,
  unit: "short",
  width: 8,
  thresholds: { warning: SLOW, error: FAST },
  queries: ["5m", "1h", "6h"].map((window) => ({ expr: burnRate(objective, window, of), legend: `over ${window}` })),
  alerts: [`${objective.alerts}BurnsFast`, `${objective.alerts}Burns`, `${objective.alerts}BurnsSlowly`],
});

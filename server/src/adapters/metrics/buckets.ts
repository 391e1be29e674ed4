// Why: bounds of histograms, chosen per kind of duration, so that what has an objective has a bound there. In seconds.
// Every bound is a series per label set on every pod: it must never grow without somebody who reads it.

/** What a person waits for, from half a millisecond to ten seconds; objectives of `spec.monitoring.slo` fall on these. */
export const LATENCY = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** Work of this process alone: below a tenth of a millisecond as a rule, a stall when it is above a tenth of a second. */
export const WORK = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25] as const;

/** A call to a store in the same network, with the time-outs at its end. */
export const CALL = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

/** What waits for a program or a person on the other side. */
export const ANSWER = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

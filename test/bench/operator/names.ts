// Why: what the measured objects are called, for all parts of the bench.

export const NAMESPACE = "bench";
export const CLUSTER = "live";

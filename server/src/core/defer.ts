// Why: core asks for time through one function, so that tests move it by hand.

/** Calls `run` once, after at least `ms` milliseconds; with 0 at the end of the event loop's turn. */
export type Defer = (run: () => void, ms: number) => void;

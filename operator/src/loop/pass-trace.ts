// Why: what the loop needs to have its passes traced, without knowing how. It must never change what a pass does or answers.

/** Runs one pass of a key (`kind:namespace/name`), as a span where that is recorded. Throws what the pass throws. */
export type PassTrace = <T>(key: string, pass: () => Promise<T>) => Promise<T>;

export const untraced: PassTrace = (_key, pass) => pass();

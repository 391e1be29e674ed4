// Why: people and backends of a test need an address and credentials, nothing else: processes on this machine and pods behind
// a Service are the same to them.

export type Place = { /** `http://host:port`. */ readonly url: string };

export type Target = {
  /** In turn: what a balancer that knows its endpoints would choose. */
  next(): Place;
  /** The last one is hit by no fault alone. */
  readonly nodes: readonly Place[];
  readonly boot: { readonly apiKey: string; tokenOf(user: string): string };
};

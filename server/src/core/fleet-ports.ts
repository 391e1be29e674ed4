// Why: what one node knows of the others: who they are, how to reach their sessions, and whether the broker between them
// is well. It must never be on the way of a delivery.

/** Sessions somebody wants gone: all of a user, or one. */
export type DisconnectRequest =
  | { readonly tenant: string; readonly user: string }
  | { readonly tenant: string; readonly sessionId: string };

/** `node`: its name in answers. `startedAt`: milliseconds since 1970. `sessions`, `users`: as it last said, at most 3 s ago. */
export type NodePresence = { readonly node: string; readonly startedAt: number; readonly sessions: number; readonly users: number };

/** How the broker is, as this node sees it. `disabled`: the engine has none. */
export type BrokerHealth = {
  readonly status: "healthy" | "reconnecting" | "circuit_open" | "disabled";
  readonly connected: boolean;
  readonly breaker: "closed" | "open" | "half_open";
  /** Failures in a row that the breaker counts now. */
  readonly failures: number;
  /** Attempts to connect again, and those that came through, since the start. */
  readonly reconnectionAttempts: number;
  readonly reconnections: number;
  /** From publish to arrival of the last probe, in milliseconds; undefined before the first and without a broker. */
  readonly lagMs: number | undefined;
};

/** Nodes that share one engine. A node that vanished is forgotten within 10 s. */
export type Fleet = {
  /** Live nodes, this one included, by name. */
  nodes(): Promise<readonly NodePresence[]>;
  /** Ends the sessions wherever they are; how many ended. Rejects with `Failure` `broker_unavailable` when nodes could not be asked. */
  disconnect(request: DisconnectRequest): Promise<number>;
  /** How this node ends its own; called once, before the first `disconnect`. */
  onDisconnect(handler: (request: DisconnectRequest) => number): void;
  broker(): BrokerHealth;
};

/** What a node without a broker says of it. */
export const NO_BROKER: BrokerHealth = {
  status: "disabled",
  connected: false,
  breaker: "closed",
  failures: 0,
  reconnectionAttempts: 0,
  reconnections: 0,
  lagMs: undefined,
};

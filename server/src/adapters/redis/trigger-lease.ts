// Why: of all nodes one listens to Redis pub/sub for triggers, so that each message is taken once. The lease is a key that
// lives 5 s by Redis' own clock and is renewed every second.
// It must never let a node that may have lost it go on: what counts is when its last renewal began, on its own clock.

import { createKeyLease, type KeyLease } from "./key-lease.ts";
import type { RedisParts } from "./parts.ts";

export const TRIGGER_LEASE_MS = 5_000;
export const TRIGGER_BEAT_MS = 1_000;

export type TriggerLease = KeyLease;

export const createTriggerLease = (parts: Pick<RedisParts, "link" | "keys" | "self" | "clock">): TriggerLease =>
  createKeyLease(parts, { name: "triggers/leader", leaseMs: TRIGGER_LEASE_MS });

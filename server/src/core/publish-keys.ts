// Why: one Idempotency-Key means one body and one notification id, over however many streams, for as long as records live.
// It must never be what makes a publish happen at most once: that is the record beside each stream, atomic with its append.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { IdempotencyClaim, StreamId } from "./ports.ts";
import type { PublisherDeps } from "./publish-content.ts";

/** `idempotencyKey`: 1-255 visible ASCII characters. `fingerprint`: digest of the operation and its whole body. */
export type Keyed = { readonly tenant: string; readonly idempotencyKey?: string; readonly fingerprint?: string };

/** What the first publish under a key was given. `isNew`: it was given now. */
export type KeyHead = { readonly id: string; readonly occurredAt: number; readonly isNew: boolean };

export const CONFLICT: Refusal = { code: "idempotency_conflict", detail: "This Idempotency-Key was used with another body" };
export const IN_FLIGHT: Refusal = { code: "idempotency_in_flight", detail: "A request with this Idempotency-Key is still running" };

/** Publishes with a key that run on this node now: a second one is told to wait, whatever its body. */
export class KeysInFlight {
  readonly #names = new Set<string>();

  /** Runs `work` unless the key is in flight: then `idempotency_in_flight`. Without a key it only runs. */
  hold<T>(keyed: Keyed, work: () => Promise<T | Refusal>): Promise<T | Refusal> {
    return keyed.idempotencyKey === undefined ? work() : this.#alone(`${keyed.tenant}\n${keyed.idempotencyKey}`, work);
  }

  async #alone<T>(name: string, work: () => Promise<T | Refusal>): Promise<T | Refusal> {
    if (this.#names.has(name)) return IN_FLIGHT;
    this.#names.add(name);
    try {
      return await work();
    } finally {
      this.#names.delete(name);
    }
  }
}

export function claimOf({ idempotencyKey, fingerprint = "" }: Keyed): IdempotencyClaim | undefined {
  return idempotencyKey === undefined ? undefined : { key: idempotencyKey, fingerprint };
}

/** The claim of one part of a publish. No key holds a space, so no part is another key. */
export const partOf = ({ key, fingerprint }: IdempotencyClaim, part: number): IdempotencyClaim => ({ key: `${key} ${part}`, fingerprint });

/**
 * Binds a key to its body before anything is sent, whichever targets the body names: the record of an entry that is never
 * stored (ttl 0), in a stream nobody can listen to. The same key with another body is `idempotency_conflict`.
 */
export async function bindKey(deps: PublisherDeps, tenant: string, claim: IdempotencyClaim): Promise<KeyHead | Refusal> {
  const notification = {
    ...{ id: deps.ids.uuid(), occurredAt: deps.clock.now(), eventType: "", payloadJson: "null" },
    metadata: { source: "", priority: "Normal" as const, ttl: 0 },
  };
  const outcome = await deps.engine.store.publish({
    ...{ stream: keyStream(tenant, claim.key), notification, idempotency: claim },
    retention: { entries: 0, ttlSeconds: 0 },
  });
  if (outcome.kind === "conflict") return CONFLICT;
  const { notificationId, occurredAt } = outcome.record;
  return { id: notificationId, occurredAt, isNew: outcome.kind === "published" };
}

/** `@` and `/` are in no legal channel name, so no publish and no subscription can meet it. */
const keyStream = (tenant: string, key: string): StreamId => ({ kind: "channel", tenant, channel: `@key/${key}` });

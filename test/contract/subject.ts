// Why: one suite per port, run against every engine; this is all a suite knows of the engine it gets.
import type { Engine } from "@nexus/server/core/engine.ts";
import type { Notification, PublishOutcome, PublishRequest, StreamId } from "@nexus/server/core/ports.ts";

/** `advance` moves the engine's time. `restart` makes a new engine as a restarted process would. */
export type Subject = AsyncDisposable & { readonly engine: Engine; now(): number; advance(ms: number): Promise<void> };
export type MakeSubject = () => Promise<Subject>;

let counter = 0;

/** A notification published now; `ttl` in seconds. */
export function notification(
  subject: Subject,
  change: { readonly id?: string; readonly ttl?: number; readonly payload?: unknown } = {},
): Notification {
  return {
    id: change.id ?? `n-${++counter}`,
    occurredAt: subject.now(),
    eventType: "test",
    payloadJson: JSON.stringify(change.payload ?? null),
    metadata: { source: "test", priority: "Normal", ...(change.ttl === undefined ? {} : { ttl: change.ttl }) },
  };
}

/** Publishes with room for ten entries of a minute, unless `change` says otherwise. */
export function publish(subject: Subject, stream: StreamId, change: Partial<PublishRequest> = {}): Promise<PublishOutcome> {
  return subject.engine.store.publish({
    stream,
    notification: notification(subject),
    retention: { entries: 10, ttlSeconds: 60 },
    ...change,
  });
}

let streams = 0;
/** Streams nobody used before: suites share an engine's keyspace. */
export const freshInbox = (): StreamId => ({ kind: "inbox", tenant: "acme", user: `user-${++streams}` });
export const freshChannel = (): StreamId => ({ kind: "channel", tenant: "acme", channel: `channel-${++streams}` });
export const freshTenant = (): string => `tenant-${++streams}`;

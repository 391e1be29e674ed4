// Why: what an engine keeps beside streams: templates made by REST, tickets, what became of notifications, counters, and
// the answers of writes that may be asked twice. It must never name a product or leak one's errors.
import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import type { IdempotencyClaim, Identity, StreamId } from "./ports.ts";

/** A template made by REST. Times in milliseconds since 1970. `settings` has passed the same rules as a custom resource's. */
export type StoredTemplate = {
  readonly name: string;
  readonly description: string | undefined;
  readonly settings: TemplateSettings;
  readonly createdAt: number;
  readonly updatedAt: number;
};

/** Templates by tenant and id. Every call is one atomic step; they outlive a restart where the engine's streams do. */
export type TemplateStore = {
  get(tenant: string, id: string): Promise<StoredTemplate | undefined>;
  /** By id, ascending. */
  list(tenant: string): Promise<readonly StoredTemplate[]>;
  /** Only where there is none with this id and the tenant has fewer than `limit`. */
  create(tenant: string, template: StoredTemplate, limit: number): Promise<"created" | "exists" | "limit">;
  /** Only where the stored one still has this `updatedAt`; `changed` means somebody else was faster. */
  replace(tenant: string, template: StoredTemplate, expectedUpdatedAt: number): Promise<"replaced" | "missing" | "changed">;
  delete(tenant: string, id: string): Promise<boolean>;
};

/** One-use admission tickets, so that no JWT sits in a URL. A ticket is a secret: 128 random bits or more, base64url. */
export type Tickets = {
  issue(identity: Identity, lifeMs: number): Promise<string>;
  /** Undefined for a ticket that is unknown, used or too old. At most one caller ever gets the identity. */
  redeem(ticket: string): Promise<Identity | undefined>;
};

/** What was published under one notification id; several targets add up. */
export type ReceiptFacts = {
  readonly notificationId: string;
  /** Milliseconds since 1970. */
  readonly occurredAt: number;
  readonly eventType: string;
  /** Milliseconds since 1970; absent: without a ttl. */
  readonly expiresAt?: number;
  readonly stream: StreamId;
  readonly deliveredTo: number;
  readonly queued: boolean;
};

/** `acknowledgedAt`: milliseconds since 1970, by user. */
export type Receipt = {
  readonly notificationId: string;
  readonly occurredAt: number;
  readonly eventType: string;
  readonly expiresAt: number | undefined;
  readonly targets: readonly { readonly stream: StreamId; readonly deliveredTo: number; readonly queued: boolean }[];
  /** Targets beyond the first 100 are counted, not listed. */
  readonly targetCount: number;
  readonly deliveredTo: number;
  readonly acknowledgements: readonly { readonly user: string; readonly at: number }[];
  readonly acknowledgementCount: number;
};

/**
 * `tracked`: notifications to users that reached a session and so may be acknowledged, one per user. `expired`: those not
 * acknowledged within the ACK timeout. `latencyMs`: sum over `acknowledged`, from publish to ACK.
 */
export type AckCounts = {
  readonly tracked: number;
  readonly acknowledged: number;
  readonly expired: number;
  readonly pending: number;
  readonly latencyMs: number;
};

/**
 * What became of notifications, for delivery status and ACK statistics. Best effort and bounded: the oldest are
 * forgotten first, and all after a day. Never on the way of a delivery: `published` and `acknowledged` do not fail.
 */
export type Receipts = {
  /** `ackTimeoutMs`: after which a tracked notification that nobody acknowledged counts as expired. */
  published(tenant: string, facts: ReceiptFacts, ackTimeoutMs: number): void;
  /** By one user; again changes nothing. */
  acknowledged(tenant: string, notificationId: string, user: string): void;
  find(tenant: string, notificationId: string): Promise<Receipt | undefined>;
  /** One tenant's, or everybody's, since the start. */
  acks(tenant?: string): Promise<AckCounts>;
};

export type Counters = {
  /** Sessions ever opened. */
  readonly sessions: number;
  /** Publishes that were accepted, by target. */
  readonly sent: { readonly user: number; readonly channel: number; readonly broadcast: number };
  /** Sessions that publishes reached. */
  readonly delivered: number;
  /** Publishes that were refused or could not be stored. */
  readonly failed: number;
};

/** Counters per tenant since the start, and of the current UTC day. */
export type Stats = {
  sessionOpened(tenant: string): void;
  published(tenant: string, kind: StreamId["kind"], deliveredTo: number): void;
  failed(tenant: string): void;
  total(tenant?: string): Promise<Counters>;
  today(tenant?: string): Promise<Counters>;
};

/** The answer of a write that was done, to be given again. */
export type StoredAnswer = { readonly status: number; readonly body: string };

export type WriteClaim =
  | { readonly kind: "begun" }
  | { readonly kind: "in_flight" }
  | { readonly kind: "conflict" }
  | { readonly kind: "done"; readonly answer: StoredAnswer };

/**
 * Idempotency of writes that are no publishes (those have their record beside the stream). `scope` is the tenant and
 * operation. A record lives 24 h; one that was begun and never finished is given free after a minute.
 */
export type WriteRecords = {
  begin(scope: string, claim: IdempotencyClaim): Promise<WriteClaim>;
  finish(scope: string, key: string, answer: StoredAnswer): Promise<void>;
  /** The write was refused or failed: the key is free again. */
  abandon(scope: string, key: string): Promise<void>;
};

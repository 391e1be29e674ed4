// Why: everything core needs from the outside, as guarantees. Engines implement these; core never knows which one runs.
// It must never name a product (Redis, SQLite) or leak one's errors: a broken engine throws `Failure`.
import type { ClusterSettings, TemplateSettings, TenantSettings } from "@nexus/protocol/bundle.ts";
import type { Position } from "@nexus/protocol/cursor.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Audience, NotificationMetadata } from "@nexus/protocol/frames.ts";
import type { TypedLog } from "@nexus/protocol/log-line.ts";
import type { KeyScope } from "@nexus/protocol/resources/credentials.ts";
import type { LogEvents } from "./log-events.ts";

/** `now` is wall time in milliseconds since 1970; `monotonic` only grows and measures durations, in milliseconds. */
export type Clock = { now(): number; monotonic(): number };

/** `uuid`: UUIDv7. `epoch`: 1-16 of `[A-Za-z0-9_-]`, never the same twice. */
export type Ids = { uuid(): string; epoch(): string };

/** Takes the events, levels and fields of the catalogue only; fields are facts, never payloads, tokens or headers. Never throws. */
export type Log = TypedLog<LogEvents>;

/** Everything delivered is an entry of a stream. Wire names: `user`, `broadcast`, `channel:<name>`. */
export type StreamId =
  | { readonly kind: "inbox"; readonly tenant: string; readonly user: string }
  | { readonly kind: "channel"; readonly tenant: string; readonly channel: string }
  | { readonly kind: "broadcast"; readonly tenant: string };

/**
 * What a publisher said, before a stream gave it a place. `occurredAt` in milliseconds since 1970.
 * `payloadJson`: the payload as compact JSON text, written once when it is published; no engine or edge writes it again.
 */
export type Notification = {
  readonly id: string;
  readonly occurredAt: number;
  readonly eventType: string;
  readonly payloadJson: string;
  readonly metadata: NotificationMetadata;
  /** Its place in a trace that is recorded (`carry` of `@nexus/tracing`); engines keep and announce it, clients never see it. */
  readonly trace?: string;
};

/** `position` is absent on a stream that keeps no history (live only). */
export type Entry = { readonly stream: StreamId; readonly notification: Notification; readonly position?: Position };

/** How much a stream keeps: its last `entries` offsets (removed entries count), for so long. 0 entries means live only. */
export type Retention = { readonly entries: number; readonly ttlSeconds: number };

/** What an idempotent publish is compared by: the same key with another fingerprint is a conflict. */
export type IdempotencyClaim = { readonly key: string; readonly fingerprint: string };

export type PublishRequest = {
  readonly stream: StreamId;
  readonly notification: Notification;
  readonly retention: Retention;
  readonly idempotency?: IdempotencyClaim;
};

/**
 * `deliveredTo`: sessions online for the target (and in its audience) when it was published. `queued`: 0 of them and the
 * inbox keeps it. With `ttl` 0 nothing is stored or announced: `deliveredTo` 0, `queued` false.
 */
export type PublishRecord = {
  readonly notificationId: string;
  readonly occurredAt: number;
  readonly position?: Position;
  readonly deliveredTo: number;
  readonly queued: boolean;
};

export type PublishOutcome =
  | { readonly kind: "published"; readonly record: PublishRecord }
  | { readonly kind: "replayed"; readonly record: PublishRecord }
  | { readonly kind: "conflict" };

/** A read that cannot prove itself whole says why instead of returning a part. */
export type ReadResult =
  | { readonly kind: "recovered"; readonly entries: readonly Entry[]; readonly top: Position }
  | {
      readonly kind: "not_recovered";
      readonly reason: "epoch_changed" | "window_exceeded" | "unverifiable";
      readonly top: Position;
    };

/**
 * Streams and inbox marks.
 * - `publish` is one atomic step: idempotency check, append, trim, announce on the bus. When it resolves with
 *   `published` the entry is stored (where the stream keeps history) and was announced to every listening node.
 * - Order: entries of one stream are announced in the order of their offsets.
 * - `read` answers entries after `since` in order, expired ones left out (they keep their offset, which is no hole).
 * - `mark` is the highest offset a user has had (per user, not per device); `setMark` never moves it back.
 * After the engine's `close` every call throws `Failure` `broker_unavailable`.
 */
export type StreamStore = {
  publish(request: PublishRequest): Promise<PublishOutcome>;
  read(stream: StreamId, since: Position): Promise<ReadResult>;
  /** Where a reader that starts now stands. */
  top(stream: StreamId): Promise<Position>;
  /**
   * This node has seen the stream announced up to here. A store that is behind (a failover took entries back) starts a new
   * epoch, so that nobody mistakes what comes now for what was lost. The top after that.
   */
  seen(stream: StreamId, position: Position): Promise<Position>;
  /** Entries of an inbox above the user's mark, oldest first, with the top they were read at. */
  unread(inbox: StreamId): Promise<{ readonly entries: readonly Entry[]; readonly top: Position }>;
  setMark(inbox: StreamId, position: Position): Promise<void>;
  /** Whether this user's inbox holds (or held, within retention) the notification. */
  has(inbox: StreamId, notificationId: string): Promise<boolean>;
  /**
   * Acknowledges one entry of an inbox: `unread` leaves it out from now on, and the mark moves up over every leading
   * entry that is acknowledged or expired. False when the inbox does not hold it.
   */
  acknowledge(inbox: StreamId, notificationId: string): Promise<boolean>;
  /** A page of what is kept, for people who look: newest first. Expired entries are left out. */
  page(stream: StreamId, request: PageRequest): Promise<Page>;
  /** How many entries `unread` would answer. */
  unreadCount(inbox: StreamId): Promise<number>;
  /**
   * Drops one entry of an inbox; from now on no call knows it, `has` and `acknowledge` neither. Its offset stays taken,
   * which is no hole. The mark moves up as `acknowledge` moves it. False when the inbox does not hold it, or it has expired.
   */
  remove(inbox: StreamId, notificationId: string): Promise<boolean>;
};

/** `before`: only entries with a smaller offset; absent: from the newest. `limit`: 1-1000 entries. */
export type PageRequest = { readonly before?: number; readonly limit: number };

/** `unread` is true only in an inbox, above the mark and not acknowledged. `more`: older entries are kept below the last one. */
export type Page = {
  readonly entries: readonly { readonly entry: Entry; readonly unread: boolean }[];
  readonly top: Position;
  readonly more: boolean;
};

/**
 * `onEntry`: at most once per announcement, in stream order where one engine announces alone. `onGap`: announcements may
 * have been missed up to now; those from now on arrive.
 */
export type BusListener = { readonly onEntry: (entry: Entry) => void; readonly onGap: (stream: StreamId, reason: string) => void };

/**
 * Announcements to this node. At-most-once: what may have been missed is told by `onGap`, never silently.
 * Calls for one stream take effect in the order they were made.
 */
export type Bus = {
  /** Resolves once announcements flow. One listener per stream and node. */
  listen(stream: StreamId, listener: BusListener): Promise<void>;
  leave(stream: StreamId): Promise<void>;
};

export type SessionInfo = {
  readonly sessionId: string;
  readonly tenant: string;
  readonly user: string;
  /** For audiences by role. */
  readonly roles: readonly string[];
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  readonly transport: Transport;
};

export type Transport = "websocket" | "sse";

export type SessionLimits = { readonly perTenant?: number; readonly perUser: number };

/**
 * Who is online, in the whole cluster. Limits are checked and taken in one step. Sessions are told apart by their id;
 * `leave`, `join` and `part` of a session that is not in (any more) change nothing. `leave` gives back its channels too.
 */
export type Directory = {
  enter(session: SessionInfo, limits: SessionLimits): Promise<"entered" | "user_limit" | "tenant_limit">;
  leave(session: SessionInfo): Promise<void>;
  join(session: SessionInfo, channel: string): Promise<void>;
  part(session: SessionInfo, channel: string): Promise<void>;
  /** Sessions a notification to this stream would be counted for now; what `publish` answers as `deliveredTo`. */
  online(stream: StreamId, audience?: Audience): Promise<number>;
  /** Where a user is, oldest session first; empty when nowhere. */
  userSessions(tenant: string, user: string): Promise<readonly SessionPlace[]>;
  /** Channels of a tenant that somebody holds, by name. */
  channels(tenant: string): Promise<readonly ChannelPresence[]>;
  channel(tenant: string, name: string): Promise<ChannelPresence | undefined>;
  /** One tenant's sessions, or everybody's. */
  counts(tenant?: string): Promise<PresenceCounts>;
  /** Of these, the ones this node holds; known at once. `users`: different users with a session here. */
  here(tenant?: string): { readonly sessions: number; readonly users: number };
};

/** `node` names the server process that holds the session. */
export type SessionPlace = { readonly session: SessionInfo; readonly node: string; readonly channels: readonly string[] };

/** `since`: milliseconds since 1970 at which the channel got its first holder of now. */
export type ChannelPresence = { readonly name: string; readonly sessions: number; readonly since: number };

/** `shared`: users with more than one session. `subscriptions`: channel memberships of all sessions. */
export type PresenceCounts = {
  readonly websocket: number;
  readonly sse: number;
  readonly users: number;
  readonly shared: number;
  readonly channels: number;
  readonly subscriptions: number;
};

/** `remaining` whole tokens of the burst; `retryAfterSeconds` is 0 when allowed. */
export type RateDecision = {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  readonly resetAt: number;
  readonly retryAfterSeconds: number;
};

/** Rates by key, of this node. What is refused is not counted. A key belongs to one of the two kinds. */
export type RateLimits = {
  /** A token bucket. `perSecond` 0 means no limit. */
  take(key: string, rate: { readonly perSecond: number; readonly burst: number }): RateDecision;
  /** Never more than `limit` in any span of `windowMs`, wherever it begins; 0 means no limit. The decision's `limit` is this one. */
  window(key: string, rate: { readonly limit: number; readonly windowMs: number }): RateDecision;
};

/** A verified token. `expiresAt` in milliseconds since 1970; absent: the token had no `exp`. */
export type Identity = {
  readonly tenant: string;
  readonly user: string;
  readonly roles: readonly string[];
  readonly channels: readonly string[];
  readonly expiresAt?: number;
};

/** `issuer_unavailable`: the token may be good, and the keys that would tell cannot be had now (with `retryAfterSeconds`). */
export type TokenRefusal = Refusal & { readonly kind: "refused"; readonly code: "unauthorized" | "issuer_unavailable" };

/** Verifies signature and claims against the tenant's issuers. Refusals never repeat the token. */
export type TokenVerifier = {
  verify(token: string): Promise<{ readonly kind: "verified"; readonly identity: Identity } | TokenRefusal>;
};

/** Who holds an API key. `tenant` undefined: a platform key. */
export type KeyHolder = { readonly tenant: string | undefined; readonly name: string; readonly scopes: readonly KeyScope[] };

/** The live configuration. Every read sees one consistent state; `tenant` is undefined for an id nobody declared. */
export type Tenants = {
  cluster(): ClusterSettings;
  tenant(id: string): TenantSettings | undefined;
  /** Every declared tenant, in ascending order. Sorts them, so ask for it seldom. */
  tenantIds(): readonly string[];
  template(tenant: string, id: string): TemplateSettings | undefined;
  /** Ids of a tenant's templates of the configuration, ascending. Looks at all there are, so ask for it seldom. */
  templateIds(tenant: string): readonly string[];
  /** Constant-time on the hash; undefined when no key matches. */
  keyHolder(apiKey: string): KeyHolder | undefined;
};

/**
 * What is counted of one tenant on its sessions' way: whoever holds it adds to it directly, and takes back only sessions.
 * `sessions` are open now, `deliveries` were written since somebody looked.
 */
export type TenantTally = { sessions: number; deliveries: number };

/**
 * Counters and histograms, by closed label sets only: what is no member of its set is counted as `other`. Durations are in
 * milliseconds. Names are in `adapters/metrics-table.ts`. Nothing here throws or waits.
 */
export type Metrics = {
  /** Once per target that took it, or once for a publish that came to nothing. `failed`: by our fault. */
  published(kind: StreamId["kind"], outcome: "published" | "replayed" | "refused" | "failed", tenant: string): void;
  publishTook(kind: StreamId["kind"], milliseconds: number): void;
  fannedOut(milliseconds: number): void;
  delivered(transport: Transport, count: number): void;
  /** Of a live entry; what a client catches up with is not told. */
  deliveryLatency(milliseconds: number): void;
  dropped(reason: "slow_consumer" | "expired", count: number): void;
  marksLost(count: number): void;
  /** An attempt to open a session: `rejected` is the client's to change, `failed` ours. */
  handshake(transport: Transport, outcome: "accepted" | "rejected" | "failed"): void;
  /** To the connection, or to the refusal. */
  handshakeTook(transport: Transport, milliseconds: number): void;
  sessionOpened(transport: Transport): void;
  sessionClosed(transport: Transport, code: number): void;
  sessionsShed(count: number): void;
  /** A session came to a stream. `gap`: what it missed cannot be proved whole. */
  resumed(outcome: "recovered" | "gap" | "fresh"): void;
  /** So many sessions have a hole in a stream. */
  gap(reason: string, sessions: number): void;
  acked(kind: "one" | "up_to"): void;
  ackLatency(milliseconds: number): void;
  /** `tenant`: where it is known whose request it was. */
  refused(code: string, tenant?: string): void;
  frame(type: string): void;
  purged(outcome: "done" | "failed"): void;
  /** Undefined for an id that nobody declared, and where tenants are not counted. */
  tally(tenant: string): TenantTally | undefined;
};

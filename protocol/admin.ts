// Why: what the operator and the server say to each other on the admin port (TLS + bearer token), declared once.
// It must never carry a credential in the clear: the bundle holds hashes and verification keys only.
import { type Static, Type } from "@sinclair/typebox";
import { BUCKET_COUNT, BundleEntry } from "./bundle.ts";

export const ADMIN_PATHS = {
  bundle: "/admin/bundle",
  status: "/admin/status",
  drain: "/admin/drain",
  shed: "/admin/shed",
  logLevel: "/admin/log-level",
} as const;

/** The name every admin certificate carries; the operator dials pod addresses and checks this name. */
export const adminServerName = (cluster: string, namespace: string): string => `admin.${cluster}.${namespace}.nexus`;

const digest = Type.String({ pattern: "^[0-9a-f]{64}$" });

/** One bucket's change. With `full` the entries are the whole bucket; otherwise they are laid over digest `from`. */
export const BucketPush = Type.Object({
  index: Type.Integer({ minimum: 0, maximum: BUCKET_COUNT - 1 }),
  from: digest,
  to: digest,
  full: Type.Boolean(),
  entries: Type.Array(BundleEntry),
  /** `entryKey`s that go. */
  removed: Type.Array(Type.String()),
});
export type BucketPush = Static<typeof BucketPush>;

/**
 * `POST /admin/bundle`. `term` (decimal of a Lease's resourceVersion, compared as BigInt) and `sequence` fence old
 * leaders: a pod refuses a lower pair with 412. `digest` is the bundle's after this push; equality there makes a new
 * pod ready. A push without buckets only confirms. `reset` accepts a lower term once (after an etcd restore).
 * Body may be `Content-Encoding: zstd`.
 */
export const PushRequest = Type.Object({
  format: Type.Integer({ minimum: 1 }),
  term: Type.String({ pattern: "^[0-9]{1,20}$" }),
  sequence: Type.Integer({ minimum: 0 }),
  reset: Type.Optional(Type.Boolean()),
  digest,
  buckets: Type.Array(BucketPush),
});
export type PushRequest = Static<typeof PushRequest>;

/** An entry the pod could not use; it keeps the one it had. `uid` and `generation` name the object's version. */
export const RejectedEntry = Type.Object({
  key: Type.String(),
  uid: Type.String(),
  generation: Type.Integer(),
  reason: Type.String(),
});
export type RejectedEntry = Static<typeof RejectedEntry>;

/** 200: everything pushed is live, except what is in `rejected`. */
export const PushResult = Type.Object({ digest, rejected: Type.Array(RejectedEntry) });
export type PushResult = Static<typeof PushResult>;

/** 409: these buckets are at another digest than `from`; nothing of the push was taken. */
export const PushMismatch = Type.Object({
  digest,
  buckets: Type.Array(Type.Object({ index: Type.Integer(), digest })),
});
export type PushMismatch = Static<typeof PushMismatch>;

/** 412: a newer leader was here. */
export const PushStale = Type.Object({ term: Type.String(), sequence: Type.Integer() });
export type PushStale = Static<typeof PushStale>;

/** Of a tombstone in the pod's bundle: everything that was kept of the tenant is gone. */
export const PurgedTenant = Type.Object({ tenant_id: Type.String(), uid: Type.String() });
export type PurgedTenant = Static<typeof PurgedTenant>;

/** Whether the node reaches its broker. `detail` is for people: what it waits for, never a secret; empty while it is up. */
export const BrokerWord = Type.Object({
  state: Type.Union([Type.Literal("up"), Type.Literal("down")]),
  detail: Type.String({ maxLength: 512 }),
});
export type BrokerWord = Static<typeof BrokerWord>;

const amount = Type.Number({ minimum: 0 });
const count = Type.Integer({ minimum: 0 });

/** How loaded a node is: what the operator scales by. Of a pod of several processes the sum, of their lags the worst. */
export const NodeLoad = Type.Object({
  /** Notifications written to sessions a second, over the last 15 s. */
  messages_per_second: amount,
  /** 99th percentile of the event loop's delay over the last 15 to 30 s, in milliseconds. */
  loop_lag_p99_ms: amount,
  /** Cores used over the last 15 s. */
  cpu_cores: amount,
  rss_bytes: count,
  /** Of the container; 0 without a limit. */
  memory_limit_bytes: count,
  /** Sessions a second it could take now; 0 while it drains or is full. */
  accepts_per_second: count,
  /** Since the start: sessions opened, and attempts that failed here although the client did nothing wrong. */
  sessions_opened: count,
  sessions_refused: count,
});
export type NodeLoad = Static<typeof NodeLoad>;

/** `GET /admin/status`. */
export const AdminStatus = Type.Object({
  version: Type.String(),
  cluster: Type.String(),
  bundle_formats: Type.Array(Type.Integer()),
  digest,
  /** By index, {@link BUCKET_COUNT} items. */
  buckets: Type.Array(digest),
  term: Type.String(),
  sequence: Type.Integer(),
  ready: Type.Boolean(),
  draining: Type.Boolean(),
  sessions: Type.Integer(),
  /** Absent: the node has no broker, or cannot tell (several processes behind one port). */
  broker: Type.Optional(BrokerWord),
  /** Told until the tombstone leaves the bundle; absent: none. */
  purged: Type.Optional(Type.Array(PurgedTenant)),
  uptime_seconds: Type.Number(),
  /** Absent from servers that cannot say. */
  load: Type.Optional(NodeLoad),
});
export type AdminStatus = Static<typeof AdminStatus>;

/**
 * `POST /admin/shed`: tells that many sessions, picked at random, to come back elsewhere (4000, each with another moment), at
 * an even rate. Answers 202 with {@link ShedResult} at once. A second request replaces the first; `sessions: 0` stops it.
 */
export const ShedRequest = Type.Object({
  sessions: Type.Integer({ minimum: 0, maximum: 10_000_000 }),
  perSecond: Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 }),
});
export type ShedRequest = Static<typeof ShedRequest>;

/** How many will be closed: never more than there are. */
export const ShedResult = Type.Object({ sessions: count });
export type ShedResult = Static<typeof ShedResult>;

/** `POST /admin/log-level`. With `minutes` the level goes back by itself. */
export const LogLevelRequest = Type.Object({
  level: Type.Union((["debug", "info", "warn", "error"] as const).map((level) => Type.Literal(level))),
  minutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 1440 })),
});

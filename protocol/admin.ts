// Why: what the operator and the server say to each other on the admin port (TLS + bearer token), declared once.
// It must never carry a credential in the clear: the bundle holds hashes and verification keys only.
import { type Static, Type } from "@sinclair/typebox";
import { BUCKET_COUNT, BundleEntry } from "./bundle.ts";

export const ADMIN_PATHS = {
  bundle: "/admin/bundle",
  status: "/admin/status",
  drain: "/admin/drain",
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
  uptime_seconds: Type.Number(),
});
export type AdminStatus = Static<typeof AdminStatus>;

/** `POST /admin/log-level`. */
export const LogLevelRequest = Type.Object({
  level: Type.Union((["debug", "info", "warn", "error"] as const).map((level) => Type.Literal(level))),
});

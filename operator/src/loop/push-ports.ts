// Why: what the pusher needs from the outside, as interfaces with their guarantees: the admin port of pods, and somebody who
// hears what happened. `kube/admin-client.ts` implements the port; tests put in-process pods behind it.
import type { AdminStatus, BucketPush, PushMismatch, PushRequest, PushResult, PushStale } from "@nexus/protocol/admin.ts";

/** The port every server's admin listener has. */
export const ADMIN_PORT = 9091;

/** How to reach the pods of one cluster. `caPem` may hold several certificates (old and new while a CA is replaced). */
export type AdminAccess = { readonly serverName: string; readonly caPem: string; readonly token: string };

export type AdminTarget = AdminAccess & { readonly ip: string; readonly port: number };

/**
 * - `Timeout`, `Network` (refused, reset, TLS), `Aborted`: no answer; a push may have been taken all the same.
 * - `Refused`: an answer that is none of the protocol's (`status` says which).
 * - `Malformed`: an answer that does not have the protocol's shape.
 */
export class AdminError extends Error {
  readonly reason: "Timeout" | "Network" | "Aborted" | "Refused" | "Malformed";
  readonly status: number;

  constructor(reason: AdminError["reason"], message: string, options: { readonly status?: number; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AdminError";
    this.reason = reason;
    this.status = options.status ?? 0;
  }
}

export type PushAnswer =
  | { readonly kind: "taken"; readonly result: PushResult }
  | { readonly kind: "mismatch"; readonly mismatch: PushMismatch }
  | { readonly kind: "stale"; readonly stale: PushStale };

/** A push whose entries are JSON text already: all pods of a cluster share it. `entriesJson`: a JSON array. */
export type BucketText = Omit<BucketPush, "entries"> & { readonly entriesJson: string };
export type PushText = Omit<PushRequest, "buckets"> & { readonly buckets: readonly BucketText[] };

export type AdminCall = { readonly timeoutMs: number; readonly signal?: AbortSignal };

/** Rejects with {@link AdminError} and nothing else. Nothing is sent twice, nothing goes through a proxy. */
export interface AdminPort {
  push(target: AdminTarget, request: PushText, call: AdminCall): Promise<PushAnswer>;
  status(target: AdminTarget, call: AdminCall): Promise<AdminStatus>;
}

/** A server pod as the API server tells of it. `restarts` counts its container's; a change means that its memory is new. */
export type PushPod = {
  readonly uid: string;
  readonly name: string;
  readonly ip: string;
  readonly ready: boolean;
  readonly restarts?: number;
  /** Default {@link ADMIN_PORT}. */
  readonly port?: number;
};

/** What happened, for logs, metrics and Kubernetes events; never content. `cluster` is `namespace/name`, `pod` a name. */
export type PushEvent =
  | {
      readonly kind: "pushed";
      readonly cluster: string;
      readonly pod: string;
      readonly seconds: number;
      readonly full: number;
      readonly delta: number;
    }
  | { readonly kind: "mismatch"; readonly cluster: string; readonly pod: string; readonly buckets: number }
  | { readonly kind: "repaired"; readonly cluster: string; readonly pod: string; readonly buckets: number }
  | { readonly kind: "failed"; readonly cluster: string; readonly pod: string; readonly error: unknown; readonly retryInMs: number }
  | { readonly kind: "rejected"; readonly cluster: string; readonly pod: string; readonly entries: readonly string[] }
  /** A pod follows a newer leader: `raised` says whether the Lease is still ours and the term went up. */
  | { readonly kind: "stale"; readonly cluster: string; readonly pod: string; readonly raised: boolean }
  /** Terms went backwards (an etcd restore): the pod was told to accept a lower one. */
  | { readonly kind: "reset"; readonly cluster: string; readonly pod: string };

/** Must not throw and must not block. */
export type PushObserver = (event: PushEvent) => void;

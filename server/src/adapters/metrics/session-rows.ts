// Why: sessions as a fleet sees them: who comes in, who is turned away and by whose fault, who is too slow, who leaves.
// It must never name a user, a channel or a session.
import { FAILURES } from "@nexus/protocol/failures.ts";
import { CLIENT_FRAMES } from "@nexus/protocol/frames.ts";
import { ANSWER, LATENCY } from "./buckets.ts";
import type { ServerMetricRow } from "./row.ts";

export const TRANSPORTS = ["websocket", "sse"] as const;

/** Codes a session can end with that are not from the table of failures. */
const PLAIN_CLOSES = [1000, 1001, 1005, 1006, 1009] as const;

/** Close codes with a series of their own; any other is `other`. */
export const CLOSE_CODES: readonly string[] = [
  ...new Set([...PLAIN_CLOSES, ...Object.values(FAILURES).flatMap((row) => ("close" in row ? [row.close] : []))]),
].map(String);

/** Failure codes, and `other` for what is none. */
export const REFUSAL_CODES: readonly string[] = [...Object.keys(FAILURES), "other"];

/** Types of frames, and what is none. */
export const FRAME_TYPES: readonly string[] = [...Object.keys(CLIENT_FRAMES), "binary", "invalid"];

/** Why entries may be missing; our own words. */
export const GAP_REASONS = [
  "hole",
  "behind",
  "overflow",
  "slow_consumer",
  "epoch_changed",
  "window_exceeded",
  "unverifiable",
  "reconnected",
  "unreadable",
  "other",
] as const;

export const SESSION_ROWS = {
  nexus_handshakes_total: {
    type: "counter",
    help: "Attempts to open a session: accepted, rejected (token, quota or a bad request; the client's to change, or a node that drains) or failed (ours: no room, broker away, a bug).",
    labels: { transport: TRANSPORTS, outcome: ["accepted", "rejected", "failed"] },
  },
  nexus_handshake_duration_seconds: {
    type: "histogram",
    help: "From the arrival of an attempt to open a session to the connection, or to the refusal.",
    labels: { transport: TRANSPORTS },
    buckets: LATENCY,
  },
  nexus_sessions: { type: "gauge", help: "Open sessions.", labels: { transport: TRANSPORTS } },
  nexus_sessions_limit: { type: "gauge", help: "Sessions this node may hold." },
  nexus_sessions_opened_total: { type: "counter", help: "Sessions opened.", labels: { transport: TRANSPORTS } },
  nexus_sessions_closed_total: {
    type: "counter",
    help: "Sessions closed, by close code.",
    labels: { transport: TRANSPORTS, code: [...CLOSE_CODES, "other"] },
  },
  nexus_sessions_shed_total: { type: "counter", help: "Sessions sent to other nodes because this one was fuller than they." },
  nexus_users: { type: "gauge", help: "Different users with a session on this node." },
  nexus_channels: { type: "gauge", help: "Channels somebody listens to on this node." },
  nexus_subscriptions: { type: "gauge", help: "Channel subscriptions of all sessions." },
  nexus_send_queue_bytes: { type: "gauge", help: "Bytes that wait to be written to sessions." },
  nexus_send_queue_limit_bytes: { type: "gauge", help: "Bytes that may wait for one session.", across: "max" },
  nexus_slow_sessions: { type: "gauge", help: "Sessions whose connection takes no more now, with frames that wait for it." },
  nexus_resumes_total: {
    type: "counter",
    help: "Streams that sessions came to, by outcome: recovered whole from where the client stood, gap (entries may be missing), or fresh (the client named no place).",
    labels: { outcome: ["recovered", "gap", "fresh"] },
  },
  nexus_gaps_total: {
    type: "counter",
    help: "Holes in streams that sessions were left with, by reason; those of the full dialect are told of them.",
    labels: { reason: GAP_REASONS },
  },
  nexus_acks_total: {
    type: "counter",
    help: "ACKs taken: of one notification, or of all up to a place.",
    labels: { kind: ["one", "up_to"] },
  },
  nexus_ack_latency_seconds: {
    type: "histogram",
    help: "From the write of a live notification to a client's ACK that names it, on the same node.",
    buckets: ANSWER,
  },
  nexus_frames_received_total: {
    type: "counter",
    help: "Frames received from sessions.",
    labels: { type: FRAME_TYPES },
  },
  nexus_refusals_total: {
    type: "counter",
    help: "Requests, upgrades and frames refused, by failure code.",
    labels: { code: REFUSAL_CODES },
  },
} as const satisfies Record<string, ServerMetricRow>;

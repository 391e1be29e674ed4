// Why: core's port for counting, over the registry. What the hot path counts has its cell looked up here, once; the rest is
// found by its labels. It must never let a peer choose a label's value: what is no member of a closed set is `other`.
import type { Metrics, Transport } from "../../core/ports.ts";
import type { Cell, CounterFamily } from "./counters.ts";
import type { MetricRegistry } from "./registry.ts";
import { CLOSE_CODES, FRAME_TYPES, GAP_REASONS, REFUSAL_CODES, TRANSPORTS } from "./session-rows.ts";
import type { TenantTallies } from "./tallies.ts";

export function createCoreMetrics(registry: MetricRegistry, tallies: TenantTallies): Metrics {
  return { ...messageMetrics(registry, tallies), ...sessionMetrics(registry, tallies) };
}

type MessageMetrics = Pick<
  Metrics,
  "published" | "publishTook" | "fannedOut" | "delivered" | "deliveryLatency" | "dropped" | "marksLost" | "acked" | "ackLatency" | "purged"
>;

function messageMetrics(registry: MetricRegistry, tallies: TenantTallies): MessageMetrics {
  const publishes = registry.counter("nexus_publishes_total");
  const publishTimes = registry.histogram("nexus_publish_duration_seconds");
  const fanOut = registry.histogram("nexus_fan_out_duration_seconds").cell();
  const delivered = byTransport(registry.counter("nexus_deliveries_total"));
  const latency = registry.histogram("nexus_delivery_latency_seconds").cell();
  const dropped = registry.counter("nexus_dropped_total");
  const marksLost = registry.counter("nexus_marks_lost_total").cell();
  const acks = registry.counter("nexus_acks_total");
  const ackLatency = registry.histogram("nexus_ack_latency_seconds").cell();
  const purges = registry.counter("nexus_purges_total");
  return {
    published(stream, outcome, tenant) {
      publishes.add(1, stream, outcome);
      tallies.published(tenant, outcome);
    },
    publishTook: (stream, milliseconds) => publishTimes.cell(stream).observe(milliseconds / 1000),
    fannedOut: (milliseconds) => fanOut.observe(milliseconds / 1000),
    delivered(transport, count) {
      delivered[transport].value += count;
    },
    deliveryLatency: (milliseconds) => latency.observe(milliseconds / 1000),
    dropped: (reason, count) => dropped.add(count, reason),
    marksLost(count) {
      marksLost.value += count;
    },
    acked: (kind) => acks.add(1, kind),
    ackLatency: (milliseconds) => ackLatency.observe(milliseconds / 1000),
    purged: (outcome) => purges.add(1, outcome),
  };
}

type SessionMetrics = Omit<Metrics, keyof MessageMetrics>;

function sessionMetrics(registry: MetricRegistry, tallies: TenantTallies): SessionMetrics {
  const handshakes = registry.counter("nexus_handshakes_total");
  const handshakeTimes = registry.histogram("nexus_handshake_duration_seconds");
  const open = { websocket: 0, sse: 0 };
  registry.readBy("nexus_sessions", () => open);
  const opened = byTransport(registry.counter("nexus_sessions_opened_total"));
  const closed = registry.counter("nexus_sessions_closed_total");
  const shed = registry.counter("nexus_sessions_shed_total").cell();
  const resumes = registry.counter("nexus_resumes_total");
  const gaps = registry.counter("nexus_gaps_total");
  const refusals = registry.counter("nexus_refusals_total");
  const frames = registry.counter("nexus_frames_received_total");
  return {
    handshake: (transport, outcome) => handshakes.add(1, transport, outcome),
    handshakeTook: (transport, milliseconds) => handshakeTimes.cell(transport).observe(milliseconds / 1000),
    sessionOpened(transport) {
      open[transport]++;
      opened[transport].value++;
    },
    sessionClosed(transport, code) {
      open[transport]--;
      closed.add(1, transport, oneOf(KNOWN_CLOSES, String(code), "other"));
    },
    sessionsShed(count) {
      shed.value += count;
    },
    resumed: (outcome) => resumes.add(1, outcome),
    gap: (reason, sessions) => gaps.add(sessions, oneOf(KNOWN_GAPS, reason, "other")),
    refused(code, tenant) {
      const known = oneOf(KNOWN_REFUSALS, code, "other");
      refusals.add(1, known);
      if (tenant !== undefined) tallies.refused(tenant, known);
    },
    frame: (type) => frames.add(1, oneOf(KNOWN_FRAMES, type, "invalid")),
    tally: (tenant) => tallies.of(tenant),
  };
}

const KNOWN_CLOSES: ReadonlySet<string> = new Set(CLOSE_CODES);
const KNOWN_GAPS: ReadonlySet<string> = new Set(GAP_REASONS);
const KNOWN_REFUSALS: ReadonlySet<string> = new Set(REFUSAL_CODES);
const KNOWN_FRAMES: ReadonlySet<string> = new Set(FRAME_TYPES);

const oneOf = (known: ReadonlySet<string>, value: string, other: string): string => (known.has(value) ? value : other);

const byTransport = (family: CounterFamily) =>
  Object.fromEntries(TRANSPORTS.map((transport) => [transport, family.cell(transport)])) as Record<Transport, Cell>;

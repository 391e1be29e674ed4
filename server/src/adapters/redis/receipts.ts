// Why: what became of notifications, known to every node: delivery status and ACK statistics of the fleet. A node gathers
// what happens on it and tells Redis four times a second, in one script call for each of 16 partitions.
// It must never fail a publish or wait on the way of a delivery, and never tell one tenant of another's.

import type { StreamId } from "../../core/ports.ts";
import type { AckCounts, Receipt, Receipts } from "../../core/record-ports.ts";
import { PARTITIONS, partitionOf } from "./keys.ts";
import type { RedisParts } from "./parts.ts";
import { type Acknowledged, type Batch, nameOf, ReceiptsBuffer, textOf } from "./receipts-buffer.ts";
import { purgeReceipts } from "./receipts-purge.ts";
import { FIND, MAX_LISTED, SEGMENTS, TAKE, TALLY } from "./receipts-script.ts";

const DAY_MS = 86_400_000;
export const RECEIPT_PARTITIONS = 16;
const FLUSH_MS = 250;
/** Receipts, listed targets and users that the fleet keeps, 100-300 bytes each. */
const MAX_WEIGHT = 400_000;
/** An ACK may be here before the node of the publish told of it: it is tried again for so long. */
const UNKNOWN_MS = 1_500;
const DROPPED_LOG_MS = 60_000;

export type RedisReceipts = Receipts & {
  /** Tells Redis what was gathered. Resolves also when Redis did not take it. */
  flush(): Promise<void>;
  /** Publishes and ACKs that were let go: too many waited, or Redis failed them. */
  dropped(): number;
  /** Lets go of all that is kept of a tenant. Rejects with `Failure` `broker_unavailable`. */
  purge(tenant: string): Promise<void>;
  close(): Promise<void>;
};

/** `maxWeight`: receipts, listed targets and users kept in the whole fleet. `find` and `acks` throw `Failure` `broker_unavailable`. */
export function createRedisReceipts(
  { link, keys, clock, log }: Pick<RedisParts, "link" | "keys" | "clock" | "log">,
  maxWeight = MAX_WEIGHT,
): RedisReceipts {
  const buffers = Array.from({ length: RECEIPT_PARTITIONS }, () => new ReceiptsBuffer());
  const segmentWeight = Math.max(1, Math.floor(maxWeight / RECEIPT_PARTITIONS / (SEGMENTS - 1)));
  const flushing = buffers.map(() => Promise.resolve());
  let lost = 0;
  let told = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;

  const of = (name: string): number => partitionOf(name) % RECEIPT_PARTITIONS;
  const keysOf = (index: number) => {
    const partition = (index * PARTITIONS) / RECEIPT_PARTITIONS;
    return ["meta", "tally", "await", ...Array.from({ length: SEGMENTS }, (_, at) => `s${at}`)].map((name) =>
      keys.at(partition, "r", name),
    );
  };
  const buffer = (index: number): ReceiptsBuffer => buffers[index] ?? raise();
  const dropped = () => buffers.reduce((sum, one) => sum + one.dropped, lost);

  function arm(): void {
    if (timer !== undefined || closed) return;
    timer = setTimeout(() => void flush(), FLUSH_MS);
    timer.unref();
  }

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    await Promise.all(buffers.map((_, index) => flushOne(index)));
    if (buffers.some(({ isEmpty }) => !isEmpty)) arm();
    tell();
  }

  /** One after the other, so that a partition learns of things in their order. */
  function flushOne(index: number): Promise<void> {
    const next = (flushing[index] ?? Promise.resolve()).then(() => send(index));
    flushing[index] = next;
    return next;
  }

  async function send(index: number): Promise<void> {
    const one = buffer(index);
    const late: Acknowledged[] = [];
    // While Redis is away everything waits, as far as there is room.
    while (!one.isEmpty && link.health().connected) {
      const batch = one.take();
      late.push(...(await sendBatch(index, batch)));
    }
    for (const ack of late) one.acknowledged(ack);
  }

  /** ACKs to be tried again. What Redis failed is not sent again: nobody knows whether it was done. */
  async function sendBatch(index: number, batch: Batch): Promise<readonly Acknowledged[]> {
    try {
      const unknown = await link.run(TAKE, keysOf(index), [clock.now(), segmentWeight, textOf(batch)]);
      const acks = (Array.isArray(unknown) ? unknown : []).flatMap((at) => batch.acks[Number(at)] ?? []);
      return acks.filter(({ since }) => clock.monotonic() - since < UNKNOWN_MS);
    } catch (error) {
      lost += batch.publishes.length + batch.acks.length;
      log.debug("receipts.flush_failed", { error });
      return [];
    }
  }

  function tell(): void {
    const count = dropped();
    if (count === told || clock.monotonic() - toldAt < DROPPED_LOG_MS) return;
    log.warn("receipts.dropped", { count: count - told });
    told = count;
    toldAt = clock.monotonic();
  }

  return {
    published(tenant, facts, ackTimeoutMs) {
      buffer(of(nameOf(tenant, facts.notificationId))).published(tenant, facts, deadlineOf(clock.now(), ackTimeoutMs));
      arm();
    },
    acknowledged(tenant, notificationId, user) {
      const name = nameOf(tenant, notificationId);
      buffer(of(name)).acknowledged({ name, tenant, user, at: clock.now(), since: clock.monotonic() });
      arm();
    },
    async find(tenant, notificationId) {
      const name = nameOf(tenant, notificationId);
      const index = of(name);
      await flushOne(index);
      const text = await link.run(FIND, keysOf(index), [clock.now(), name]);
      return typeof text === "string" ? decode(notificationId, text, clock.now()) : undefined;
    },
    async acks(tenant = "*") {
      await flush();
      const texts = await Promise.all(buffers.map((_, index) => link.run(TALLY, keysOf(index), [clock.now(), tenant])));
      return texts.reduce<AckCounts>((sum, text) => added(sum, typeof text === "string" ? text : "0 0 0 0"), NONE);
    },
    flush,
    dropped,
    async purge(tenant) {
      await flush();
      for (const index of buffers.keys()) await purgeReceipts(link, keysOf(index), tenant);
    },
    async close() {
      closed = true;
      await flush();
    },
  };
}

const NONE: AckCounts = { tracked: 0, acknowledged: 0, expired: 0, pending: 0, latencyMs: 0 };

function added(sum: AckCounts, text: string): AckCounts {
  const [tracked = 0, acknowledged = 0, expired = 0, latencyMs = 0] = text.split(" ").map(Number);
  return {
    tracked: sum.tracked + tracked,
    acknowledged: sum.acknowledged + acknowledged,
    expired: sum.expired + expired,
    pending: sum.pending + tracked - acknowledged - expired,
    latencyMs: sum.latencyMs + latencyMs,
  };
}

/** Rounded up to a 240th of the timeout (a quarter of a second at least), so that there are few to look through. */
function deadlineOf(now: number, ackTimeoutMs: number): number {
  const step = 250 * Math.max(1, Math.ceil(ackTimeoutMs / 60_000));
  return Math.min(Math.ceil((now + ackTimeoutMs) / step) * step, now + DAY_MS);
}

function decode(notificationId: string, text: string, now: number): Receipt | undefined {
  const [numbers = "", head = "", targets = "", acks = ""] = text.split("\n");
  const [occurredAt = 0, targetCount = 0, deliveredTo = 0, , acknowledgementCount = 0] = numbers.split(" ").map(Number);
  if (occurredAt + DAY_MS <= now) return undefined;
  const [eventType, expiresAt] = JSON.parse(head) as [string, number | null]; // all three are what the buffer and the script wrote
  const listed = JSON.parse(`[${targets}]`) as [StreamId, number, boolean][];
  const acknowledgements = JSON.parse(`[${acks}]`) as [string, number][];
  return {
    ...{ notificationId, occurredAt, eventType, expiresAt: expiresAt ?? undefined },
    targets: listed.slice(0, MAX_LISTED).map(([stream, count, queued]) => ({ stream, deliveredTo: count, queued })),
    ...{ targetCount, deliveredTo },
    acknowledgements: acknowledgements.map(([user, at]) => ({ user, at })),
    acknowledgementCount,
  };
}

function raise(): never {
  throw new Error("no such receipt partition");
}

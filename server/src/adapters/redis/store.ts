// Why: streams and inbox marks of a fleet, in Redis. What they answer is what the memory engine answers; what was lost on
// Redis' side is always told. It must never keep a copy of what Redis knows: other nodes write too.
import type { ReadResult, StreamId, StreamStore } from "../../core/ports.ts";
import { streamKey } from "../../core/streams.ts";
import type { Script } from "./link.ts";
import type { RedisParts } from "./parts.ts";
import { createPublish, type PublishDeps } from "./store-publish.ts";
import { streamCalls } from "./stream-calls.ts";
import { SharedFlights } from "./stream-flight.ts";
import { MarkBatches } from "./stream-marks.ts";
import { countUnread, readPage, readStream, readUnread } from "./stream-reads.ts";
import { listOf, numberOf, positionOf } from "./stream-reply.ts";
import { ACKNOWLEDGE, HAS, REMOVE, SEEN, TOP } from "./stream-scripts.ts";

/** Every call rejects as `RedisLink` does. */
export function createRedisStore(parts: RedisParts, deps: PublishDeps): StreamStore {
  const calls = streamCalls(parts);
  const marks = new MarkBatches(parts);
  const reads = new SharedFlights<ReadResult>();

  /** From the newest down, each look a bounded one, until one of them finds it. */
  async function onEntry(script: Script, inbox: StreamId, notificationId: string): Promise<boolean> {
    for (let from: number | "+" = "+"; ; ) {
      const answer = numberOf(await calls.run(script, inbox, [notificationId, from]));
      if (answer >= 0) return answer === 1;
      from = -answer;
    }
  }
  const placed = async (script: Script, stream: StreamId, args?: readonly (string | number)[]) => {
    const [epoch, offset] = listOf(await calls.run(script, stream, args));
    return positionOf(epoch, offset);
  };

  return {
    publish: createPublish(parts, deps),
    read: (stream, since) => reads.share(`${since.epoch} ${since.offset} ${streamKey(stream)}`, () => readStream(calls, stream, since)),
    top: (stream) => placed(TOP, stream),
    seen: (stream, { epoch, offset }) => placed(SEEN, stream, [epoch, offset]),
    unread: (inbox) => readUnread(calls, inbox),
    setMark: (inbox, position) => marks.set(inbox, position),
    has: (inbox, notificationId) => onEntry(HAS, inbox, notificationId),
    acknowledge: (inbox, notificationId) => onEntry(ACKNOWLEDGE, inbox, notificationId),
    page: (stream, request) => readPage(calls, stream, request),
    unreadCount: (inbox) => countUnread(calls, inbox),
    remove: (inbox, notificationId) => onEntry(REMOVE, inbox, notificationId),
  };
}

// Why: the keys of a stream in the order its scripts take them, and one way to run one.
// It must never run a script on a stream without the stream's own keys.
import type { StreamId } from "../../core/ports.ts";
import { streamKey } from "../../core/streams.ts";
import { type KeyKind, type Keys, partitionOf } from "./keys.ts";
import type { Reply, Script } from "./link.ts";
import type { RedisParts } from "./parts.ts";

export type StreamCalls = {
  /** KEYS: meta, entries, acknowledged. ARGV: a fresh epoch, now, then `args`. Rejects as {@link RedisLink} does. */
  run(script: Script, stream: StreamId, args?: readonly (string | number)[]): Promise<Reply>;
};

export function streamCalls({ link, keys, ids, clock }: RedisParts): StreamCalls {
  return {
    run(script, stream, args = []) {
      const key = streamKeys(keys, stream);
      return link.run(script, [key("m"), key("e"), key("a")], [ids.epoch(), clock.now(), ...args]);
    },
  };
}

/** As `keys.of`, for several keys of one stream: its partition is found once. */
export function streamKeys(keys: Keys, stream: StreamId): (kind: KeyKind) => string {
  const name = streamKey(stream);
  const partition = partitionOf(name);
  return (kind) => keys.at(partition, kind, name);
}

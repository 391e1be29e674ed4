// Why: the keys of a stream in the order its scripts take them, and one way to run one.
// It must never run a script on a stream without the stream's own keys.
import type { StreamId } from "../../core/ports.ts";
import type { Reply, Script } from "./link.ts";
import type { RedisParts } from "./parts.ts";

export type StreamCalls = {
  /** KEYS: meta, entries, acknowledged. ARGV: a fresh epoch, now, then `args`. Rejects as {@link RedisLink} does. */
  run(script: Script, stream: StreamId, args?: readonly (string | number)[]): Promise<Reply>;
};

export function streamCalls({ link, keys, ids, clock }: RedisParts): StreamCalls {
  return {
    run: (script, stream, args = []) =>
      link.run(script, [keys.of(stream, "m"), keys.of(stream, "e"), keys.of(stream, "a")], [ids.epoch(), clock.now(), ...args]),
  };
}

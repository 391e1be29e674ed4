// Why: publishing through Redis, in both forms that docs/triggers.md promises, started and ended together.
// It must never write what somebody published to a log.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import type { TriggerSink } from "../../core/trigger.ts";
import type { RedisParts } from "./parts.ts";
import { startPubsubTriggers } from "./trigger-pubsub.ts";
import { StreamTriggers } from "./trigger-stream.ts";
import type { TriggerTake, TriggerUse } from "./trigger-use.ts";

const LOG_EVERY_MS = 60_000;

export type TriggersOptions = Pick<RedisParts, "link" | "keys" | "self" | "clock" | "log"> & {
  readonly settings: ServerConfig["triggers"];
  readonly topology: ServerConfig["redis"]["topology"];
};

export type Triggers = {
  /** Whether this node is the one that listens to triggers by pub/sub. */
  isListening(): boolean;
  /** Takes no more, finishes what runs, leaves the rest to others. Before the link is closed. Never rejects. */
  stop(): Promise<void>;
};

export function startTriggers(options: TriggersOptions, { sink, ready, counted: count }: TriggerUse): Triggers {
  const { link, settings, self, clock, log, topology } = options;
  const take = tellingSeldom(options, sink);
  const key = settings.streamKey;
  const pubsub = settings.pubsub ? startPubsubTriggers({ ...options, take, count, ready }) : undefined;
  const stream = settings.stream
    ? new StreamTriggers({
        ...{ link, key, clock, log, take, count, ready, consumer: self },
        ...{ maxAttempts: settings.maxAttempts, retryMs: settings.retryMilliseconds },
        // One hash tag, one slot: the name of the dead letters begins with the stream's.
        isOneSlot: topology !== "cluster" || /\{[^}]+\}/.test(key),
      })
    : undefined;
  return {
    isListening: () => pubsub?.isListening() ?? false,
    async stop() {
      await Promise.all([pubsub?.stop(), stream?.stop()]);
    },
  };
}

/** What cannot be published is told by code, at most once a minute. */
function tellingSeldom({ clock, log }: Pick<TriggersOptions, "clock" | "log">, sink: TriggerSink): TriggerTake {
  let toldAt = Number.NEGATIVE_INFINITY;
  let untold = 0;
  return async (form, trigger) => {
    const outcome = await sink(trigger);
    if (outcome.kind !== "invalid" && outcome.kind !== "refused") return outcome;
    untold++;
    if (clock.monotonic() - toldAt >= LOG_EVERY_MS) {
      log.warn("triggers.refused", { form, code: outcome.code, source: trigger.source, count: untold });
      toldAt = clock.monotonic();
      untold = 0;
    }
    return outcome;
  };
}

// Why: triggers by PUBLISH, as Ara's publishers send them: the node with the lease listens on a connection of its own, and
// proves every second by a probe that it still hears what is published.
// It must never hold more than its bound: like any pub/sub this is at most once, and what is let go is counted.

import { TRIGGER_PATTERNS } from "@nexus/protocol/triggers.ts";
import type { Redis } from "ioredis";
import type { RedisParts } from "./parts.ts";
import { createTriggerLease, TRIGGER_BEAT_MS } from "./trigger-lease.ts";
import type { TriggerCount, TriggerTake } from "./trigger-use.ts";
import { within } from "./waits.ts";

/** Publishes that run at once, and messages that wait for their turn. */
const RUNNING = 256;
const WAITING = 10_000;
/** Without a probe for so long a subscription is taken for dead. */
const SILENT_MS = 3_000;
const DIAL_MS = 2_000;

export type PubsubTriggersOptions = Pick<RedisParts, "link" | "keys" | "self" | "clock" | "log"> & {
  readonly take: TriggerTake;
  readonly count: TriggerCount;
  /** Whether this node may take work now. */
  readonly ready: () => boolean;
};

export type PubsubTriggers = {
  /** Whether this node is the one that listens. */
  isListening(): boolean;
  /** Leaves the lease to others and finishes what it has taken. */
  stop(): Promise<void>;
};

export function startPubsubTriggers(options: PubsubTriggersOptions): PubsubTriggers {
  const { link, keys, self, clock, log, take, count, ready } = options;
  const lease = createTriggerLease(options);
  const probe = keys.fleet(`triggers/probe/${self}`);
  const waiting: { readonly channel: string; readonly body: string }[] = [];
  let running = 0;
  let idle: (() => void) | undefined;
  let connection: Redis | undefined;
  let heardAt = 0;
  let attempt = 0;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let beating: Promise<void> = Promise.resolve();

  function heard(channel: string, body: string): void {
    if (channel === probe) heardAt = clock.monotonic();
    // Whoever has the lease now hears this message too.
    else if (lease.isHeld()) enqueue(channel, body);
  }

  function enqueue(channel: string, body: string): void {
    if (running < RUNNING) void run(channel, body);
    else if (waiting.length < WAITING) waiting.push({ channel, body });
    else count("pubsub", "overflow");
  }

  async function run(channel: string, body: string): Promise<void> {
    running++;
    for (let next: { channel: string; body: string } | undefined = { channel, body }; next; next = waiting.shift()) {
      const outcome = await take("pubsub", { body: next.body, source: `redis:${next.channel}` });
      count("pubsub", outcome.kind === "later" ? (outcome.code === "rate_limited" ? "limited" : "failed") : outcome.kind);
    }
    running--;
    if (running === 0) idle?.();
  }

  async function listen(): Promise<void> {
    const primaries = await link.primaries();
    const primary = primaries[attempt++ % Math.max(primaries.length, 1)];
    if (!primary) return;
    const own = await within(DIAL_MS, link.dial(primary), (late) => late.disconnect());
    own.on("message", heard);
    own.on("pmessage", (_pattern: string, channel: string, body: string) => heard(channel, body));
    own.once("close", () => {
      if (connection === own) connection = undefined;
    });
    connection = own;
    heardAt = clock.monotonic();
    await within(DIAL_MS, Promise.all([own.subscribe(probe), own.psubscribe(...TRIGGER_PATTERNS)]));
    log.info("triggers.listening", { at: primary.id });
  }

  function deafen(): void {
    connection?.disconnect();
    connection = undefined;
  }

  async function beat(): Promise<void> {
    if (connection && clock.monotonic() - heardAt > SILENT_MS) {
      log.warn("triggers.silent", { silentMs: Math.round(clock.monotonic() - heardAt) });
      deafen();
    }
    if (!ready()) {
      deafen();
      if (lease.isHeld()) await lease.release();
      return;
    }
    if (!(await lease.hold())) return deafen();
    if (!connection) await listen();
    await link.call("PUBLISH", probe, "");
  }

  function next(): void {
    if (stopped) return;
    timer = setTimeout(() => {
      beating = beat()
        .catch((error: unknown) => {
          log.debug("triggers.beat_failed", { error });
          if (!lease.isHeld()) deafen();
        })
        .finally(next);
    }, TRIGGER_BEAT_MS);
    timer.unref();
  }

  beating = beat()
    .catch((error: unknown) => log.debug("triggers.beat_failed", { error }))
    .finally(next);
  return {
    isListening: () => connection !== undefined && lease.isHeld(),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await beating;
      deafen();
      clearTimeout(timer);
      await lease.release().catch((error: unknown) => log.debug("triggers.release_failed", { error })); // it ends by itself in 5 s
      if (running > 0) {
        await new Promise<void>((resolve) => {
          idle = resolve;
        });
      }
    },
  };
}

// Why: a limit holds for the whole fleet, not for each node. A node decides at once from what it knows, and four times a
// second tells Redis what it let through and learns what the others did; what they used up is charged to its own buckets,
// which may go into debt. It must never wait for Redis: while it is away every node keeps the limit by itself.
//
// A bucket of R/s and burst B over n nodes lets through at most R*t + n*(B + R*d) in any time t, d being the time between
// two exchanges: once so much more than one node would, and R/s from then on. A window of L lets through at most n*L in the
// first d, and nothing more before that has left the window.
import type { RateLimits } from "../../core/ports.ts";
import { MemoryRateLimits } from "../memory/rate-limits.ts";
import { partitionOf } from "./keys.ts";
import type { RedisParts } from "./parts.ts";
import { argsOf, countsOf, EXCHANGE, EXCHANGE_MS, type Use } from "./rates-script.ts";

/** Keys of one script call. */
const LOT = 200;
/** Keys told of at one exchange; what more are used then counts on this node only. */
const MAX_KEYS = 20_000;

export type RedisRates = RateLimits & {
  /** Tells and learns now. Never rejects. */
  exchange(): Promise<void>;
  /** Uses of keys that the other nodes were not told of. */
  untold(): number;
  /** Exchanges that Redis failed, or that it was too far away for. */
  failed(): number;
  close(): void;
};

/** `time`: whose time refills shared buckets, in ms; Redis' own when absent, so that no node's clock matters. */
export type RedisRatesOptions = Pick<RedisParts, "link" | "keys" | "clock" | "log"> & { readonly time?: () => number };

export function createRedisRates({ link, keys, clock, log, time }: RedisRatesOptions): RedisRates {
  const local = new MemoryRateLimits(clock);
  let uses = new Map<string, Use>();
  let untold = 0;
  let failed = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> | undefined;
  let closed = false;

  function used(key: string, fresh: () => Use): void {
    const use = uses.get(key);
    if (use) use.used++;
    else if (uses.size < MAX_KEYS) uses.set(key, fresh());
    else untold++;
    if (timer !== undefined || closed) return;
    timer = setTimeout(() => void exchange(), EXCHANGE_MS);
    timer.unref();
  }

  /** One at a time: two answers about one key must not overtake each other. */
  async function exchange(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    while (running) await running;
    running = exchangeAll().finally(() => {
      running = undefined;
    });
    await running;
  }

  async function exchangeAll(): Promise<void> {
    const told = uses;
    uses = new Map();
    if (!link.health().connected) {
      failed++;
      untold += total(told.values());
      return;
    }
    const partitions = Map.groupBy(told, ([key]) => partitionOf(key));
    await Promise.all(
      [...partitions].flatMap(([partition, some]) =>
        Array.from({ length: Math.ceil(some.length / LOT) }, (_, at) => exchangeLot(partition, some.slice(at * LOT, (at + 1) * LOT))),
      ),
    );
  }

  /** What Redis failed is not told again: nobody knows whether it was counted. */
  async function exchangeLot(partition: number, lot: readonly (readonly [string, Use])[]): Promise<void> {
    try {
      const places = lot.map(([key]) => keys.at(partition, "q", key));
      const answers = await link.run(EXCHANGE, places, [time?.() ?? "", ...lot.flatMap(([, use]) => argsOf(use))]);
      for (const [index, [key, { kind }]] of lot.entries()) {
        const answer = Array.isArray(answers) ? String(answers[index]) : "";
        const since = uses.get(key)?.used ?? 0; // let through while the question was on its way
        if (kind === "bucket") local.lower(key, Number(answer) - since);
        else local.raise(key, withNow(countsOf(answer), since));
      }
    } catch (error) {
      untold += total(lot.map(([, use]) => use));
      failed++;
      log.debug("rates.exchange_failed", { error });
    }
  }

  return {
    take(key, rate) {
      const decision = local.take(key, rate);
      if (decision.allowed && rate.perSecond > 0) used(key, () => ({ kind: "bucket", ...rate, used: 1 }));
      return decision;
    },
    window(key, rate) {
      const decision = local.window(key, rate);
      if (decision.allowed && rate.limit > 0) used(key, () => ({ kind: "window", windowMs: rate.windowMs, used: 1 }));
      return decision;
    },
    exchange,
    untold: () => untold,
    failed: () => failed,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

function total(uses: Iterable<Use>): number {
  let sum = 0;
  for (const { used } of uses) sum += used;
  return sum;
}

const withNow = (counts: ReadonlyMap<number, number>, used: number): ReadonlyMap<number, number> =>
  used === 0 ? counts : new Map(counts).set(0, (counts.get(0) ?? 0) + used);

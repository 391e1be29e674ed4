// Why: token buckets of one process. A bucket that is full again is forgotten, so that addresses that came once cost nothing.
// It must never grow without bound: at the limit the fullest buckets are forgotten, which favours the caller.
import type { Clock, RateLimits } from "../../core/ports.ts";

type Bucket = { tokens: number; at: number; perSecond: number; burst: number };

const MAX_BUCKETS = 100_000;
const SWEEP_EVERY = 1_000;

export class MemoryRateLimits implements RateLimits {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();
  #untilSweep = SWEEP_EVERY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#buckets.size;
  }

  take: RateLimits["take"] = (key, { perSecond, burst }) => {
    const wall = this.#clock.now();
    if (perSecond <= 0) return { allowed: true, limit: 0, remaining: 0, resetAt: wall, retryAfterSeconds: 0 };
    if (--this.#untilSweep <= 0) this.#sweep();
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(key) ?? { tokens: burst, at: now, perSecond, burst };
    this.#buckets.set(key, bucket);
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    bucket.perSecond = perSecond;
    bucket.burst = burst;
    const allowed = bucket.tokens >= 1;
    if (allowed) bucket.tokens--;
    return {
      allowed,
      limit: perSecond,
      remaining: Math.floor(bucket.tokens),
      resetAt: Math.ceil(wall + ((burst - bucket.tokens) / perSecond) * 1000),
      retryAfterSeconds: allowed ? 0 : Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond)),
    };
  };

  #sweep(): void {
    this.#untilSweep = SWEEP_EVERY;
    const now = this.#clock.monotonic();
    for (const [key, { tokens, at, perSecond, burst }] of this.#buckets) {
      if (tokens + ((now - at) / 1000) * perSecond >= burst) this.#buckets.delete(key);
    }
    const excess = this.#buckets.size - MAX_BUCKETS;
    if (excess <= 0) return;
    const fullest = [...this.#buckets].sort(([, a], [, b]) => b.tokens / b.burst - a.tokens / a.burst);
    for (const [key] of fullest.slice(0, excess)) this.#buckets.delete(key);
  }
}

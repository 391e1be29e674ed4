// Why: token buckets and sliding windows of one process. What is full or empty again is forgotten, so that addresses that
// came once cost nothing. It must never grow without bound: at the limit those who asked least are forgotten, which
// favours the caller.
import type { Clock, RateDecision, RateLimits } from "../../core/ports.ts";

type Bucket = { tokens: number; at: number; perSecond: number; burst: number };
/** Counts per slot, oldest first; only slots in which something was counted. */
type Window = { readonly slots: { readonly slot: number; count: number }[]; slotMs: number; limit: number };

const MAX_KEYS = 100_000;
const SWEEP_EVERY = 1_000;
/** What is counted leaves a window with its whole slot, so one counts up to a sixtieth of the window too long. */
const SLOTS = 60;

export class MemoryRateLimits implements RateLimits {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();
  readonly #windows = new Map<string, Window>();
  #untilSweep = SWEEP_EVERY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#buckets.size + this.#windows.size;
  }

  take: RateLimits["take"] = (key, { perSecond, burst }) => {
    const wall = this.#clock.now();
    if (perSecond <= 0) return unlimited(wall);
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
      remaining: Math.max(0, Math.floor(bucket.tokens)),
      resetAt: Math.ceil(wall + ((burst - bucket.tokens) / perSecond) * 1000),
      retryAfterSeconds: allowed ? 0 : Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond)),
    };
  };

  window: RateLimits["window"] = (key, { limit, windowMs }) => {
    const wall = this.#clock.now();
    if (limit <= 0) return unlimited(wall);
    if (--this.#untilSweep <= 0) this.#sweep();
    const slotMs = windowMs / SLOTS;
    const known = this.#windows.get(key);
    const window = known?.slotMs === slotMs ? known : { slots: [], slotMs, limit };
    this.#windows.set(key, window);
    window.limit = limit;
    const now = this.#clock.monotonic();
    const slot = Math.floor(now / slotMs);
    const { slots } = window;
    forgetBefore(window, slot);
    const used = countOf(window);
    const allowed = used < limit;
    if (allowed) {
      const last = slots.at(-1);
      if (last?.slot === slot) last.count++;
      else slots.push({ slot, count: 1 });
    }
    /** When everything counted in a slot has left the window. */
    const freeAt = (one: number) => (one + 1 + SLOTS) * slotMs;
    const first = slots[0]?.slot ?? slot;
    const last = slots.at(-1)?.slot ?? slot;
    return {
      allowed,
      limit,
      remaining: Math.max(limit - used - (allowed ? 1 : 0), 0),
      resetAt: Math.ceil(wall + freeAt(last) - now),
      retryAfterSeconds: allowed ? 0 : Math.max(1, Math.ceil((freeAt(first) - now) / 1000)),
    };
  };

  /** Others have used the same bucket: it holds `tokens` now, debts below 0, unless it holds less already. */
  lower(key: string, tokens: number): void {
    const bucket = this.#buckets.get(key);
    if (!bucket) return;
    const now = this.#clock.monotonic();
    const refilled = bucket.tokens + ((now - bucket.at) / 1000) * bucket.perSecond;
    bucket.tokens = Math.min(refilled, bucket.burst, tokens);
    bucket.at = now;
  }

  /** Others have counted in the same window: so many by age in sixtieths of the window, unless more are counted already. */
  raise(key: string, counts: ReadonlyMap<number, number>): void {
    const window = this.#windows.get(key);
    if (!window) return;
    const slot = Math.floor(this.#clock.monotonic() / window.slotMs);
    forgetBefore(window, slot);
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    if (total <= countOf(window)) return;
    const byAge = [...counts].sort(([a], [b]) => b - a).map(([age, count]) => ({ slot: slot - age, count }));
    window.slots.splice(0, window.slots.length, ...byAge);
  }

  #sweep(): void {
    this.#untilSweep = SWEEP_EVERY;
    const now = this.#clock.monotonic();
    for (const [key, { tokens, at, perSecond, burst }] of this.#buckets) {
      if (tokens + ((now - at) / 1000) * perSecond >= burst) this.#buckets.delete(key);
    }
    for (const [key, window] of this.#windows) {
      forgetBefore(window, Math.floor(now / window.slotMs));
      if (window.slots.length === 0) this.#windows.delete(key);
    }
    dropExcess(this.#buckets, ({ tokens, burst }) => tokens / burst);
    dropExcess(this.#windows, (window) => 1 - countOf(window) / window.limit);
  }
}

/** Slots of which something may still be inside the window are kept. */
function forgetBefore({ slots }: Window, slot: number): void {
  while (slots[0] && slots[0].slot < slot - SLOTS) slots.shift();
}

const countOf = ({ slots }: Window): number => slots.reduce((sum, { count }) => sum + count, 0);

/** `freedom`: 1 for whoever has used nothing. */
function dropExcess<T>(map: Map<string, T>, freedom: (value: T) => number): void {
  if (map.size <= MAX_KEYS) return;
  const freest = [...map].sort(([, a], [, b]) => freedom(b) - freedom(a));
  // A tenth more than must go: sorting so many is not for every sweep of a flood.
  for (const [key] of freest.slice(0, map.size - MAX_KEYS * 0.9)) map.delete(key);
}

const unlimited = (wall: number): RateDecision => ({ allowed: true, limit: 0, remaining: 0, resetAt: wall, retryAfterSeconds: 0 });

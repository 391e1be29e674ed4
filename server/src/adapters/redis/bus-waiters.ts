// Why: who called `listen` or `leave` and waits for Redis. It must never let anybody wait without end: after the bound the
// call fails, and says so.
import { Failure } from "@nexus/protocol/failures.ts";
import type { Subscription } from "./subscription.ts";

type Waiter = PromiseWithResolvers<void> & { age: number };

/** Looks at who waits this often within the bound, so a call fails after 1 to 1.25 times as long. */
const LOOKS = 4;

export class Waiters {
  readonly #waiting = new Map<Subscription, Waiter[]>();
  readonly #timeoutMs: number;
  readonly #expired: (subscription: Subscription) => void;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `expired`: nobody waits for this subscription any more, and it has not settled. */
  constructor(timeoutMs: number, expired: (subscription: Subscription) => void) {
    this.#timeoutMs = timeoutMs;
    this.#expired = expired;
  }

  /** Resolves when the subscription has settled. @throws Failure `broker_unavailable` when it has not in time */
  wait(subscription: Subscription): Promise<void> {
    const waiter = { ...Promise.withResolvers<void>(), age: 0 };
    const others = this.#waiting.get(subscription);
    if (others) others.push(waiter);
    else this.#waiting.set(subscription, [waiter]);
    this.#timer ??= setInterval(() => this.#look(), this.#timeoutMs / LOOKS);
    return waiter.promise;
  }

  settled(subscription: Subscription): void {
    const waiters = this.#waiting.get(subscription);
    if (!waiters) return;
    this.#waiting.delete(subscription);
    for (const { resolve } of waiters) resolve();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const waiters of this.#waiting.values()) for (const { reject } of waiters) reject(closed());
    this.#waiting.clear();
  }

  #look(): void {
    if (this.#waiting.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    for (const [subscription, waiters] of this.#waiting) {
      const young = waiters.filter((waiter) => ++waiter.age <= LOOKS);
      if (young.length === waiters.length) continue;
      for (const waiter of waiters) if (waiter.age > LOOKS) waiter.reject(late());
      if (young.length > 0) this.#waiting.set(subscription, young);
      else {
        this.#waiting.delete(subscription);
        this.#expired(subscription);
      }
    }
  }
}

export const closed = (): Failure => new Failure({ code: "broker_unavailable", detail: "The engine is closed" });
const late = (): Failure => new Failure({ code: "broker_unavailable", detail: "Redis did not confirm the subscription in time" });

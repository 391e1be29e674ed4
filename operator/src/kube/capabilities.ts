// Why: optional kinds (KEDA, prometheus-operator, Gateway API, cert-manager) are used where they are served, and watched from
// the moment they are, without a restart. Discovery only adds: a backend that does not answer, or an answer that misses a kind
// once, takes nothing away; nobody must ever read "absent" as "delete".
import type { Clock, Random } from "../loop/clock.ts";
import { apiVersionOf, type Kind, OPTIONAL_KINDS } from "../loop/kinds.ts";
import type { Capabilities, Discovery } from "../loop/ports.ts";

export type CapabilityWatch = Capabilities & {
  /** After the first answer, or the first failure. */
  readonly looked: Promise<void>;
  stop(): void;
};

export type CapabilityOptions = {
  readonly discover: (signal: AbortSignal) => Promise<Discovery>;
  readonly clock: Clock;
  readonly random: Random;
  /** A kind is served that was not, or is absent that was served. */
  readonly onChange: (kind: Kind, isServed: boolean) => void;
  readonly onError: (error: unknown) => void;
};

const PERIOD_MS = 60_000;
/** Two answers without a kind within this long, and not closer than that: it is absent. */
const ABSENT_WITHIN_MS = 600_000;
const ABSENT_APART_MS = 30_000;
/** How often somebody who misses a kind can have it looked for. */
const ASKED_MS = 5_000;

/** Looks at once, then about every minute, and when `look` asks for it. Never rejects. */
export function watchCapabilities(options: CapabilityOptions): CapabilityWatch {
  const run = new CapabilityRun(options);
  return { has: (kind) => run.served.has(kind), look: () => run.ask(), looked: run.look(), stop: () => run.stop() };
}

class CapabilityRun {
  readonly served = new Set<Kind>();
  readonly #options: CapabilityOptions;
  readonly #abort = new AbortController();
  /** When an answer first missed a kind that is served, monotonic milliseconds. */
  readonly #missedAt = new Map<Kind, number>();
  #lookedAtMs = 0;
  #looking: Promise<void> | undefined;
  #cancel: (() => void) | undefined;

  constructor(options: CapabilityOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#cancel?.();
    this.#abort.abort();
  }

  /** One look at a time; whoever asks during one gets that one. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  ask(): void {
    if (this.#looking || this.#abort.signal.aborted) return;
    this.#schedule(Math.max(0, this.#lookedAtMs + ASKED_MS - this.#options.clock.monotonicMs()));
  }

  async #look(): Promise<void> {
    const { discover, clock, random, onError } = this.#options;
    this.#cancel?.();
    try {
      this.#judge(await discover(this.#abort.signal));
    } catch (error) {
      if (!this.#abort.signal.aborted) onError(error);
    }
    this.#lookedAtMs = clock.monotonicMs();
    this.#schedule(PERIOD_MS * (0.8 + 0.4 * random()));
  }

  #schedule(ms: number): void {
    this.#cancel?.();
    if (!this.#abort.signal.aborted) this.#cancel = this.#options.clock.after(ms, () => void this.look());
  }

  #judge({ kinds, unavailable }: Discovery): void {
    for (const kind of Object.values(OPTIONAL_KINDS)) {
      const isNamed = kinds.some((one) => one.group === kind.group && one.version === kind.version && one.kind === kind.kind);
      if (isNamed) this.#found(kind);
      // A stale group answers with what it had, or with nothing: neither says that a kind is gone.
      else if (!unavailable.includes(apiVersionOf(kind))) this.#missed(kind);
    }
  }

  #found(kind: Kind): void {
    this.#missedAt.delete(kind);
    if (this.served.has(kind)) return;
    this.served.add(kind);
    this.#options.onChange(kind, true);
  }

  #missed(kind: Kind): void {
    if (!this.served.has(kind)) return;
    const nowMs = this.#options.clock.monotonicMs();
    const sinceMs = nowMs - (this.#missedAt.get(kind) ?? Number.NEGATIVE_INFINITY);
    if (sinceMs > ABSENT_WITHIN_MS) this.#missedAt.set(kind, nowMs);
    else if (sinceMs >= ABSENT_APART_MS) {
      this.#missedAt.delete(kind);
      this.served.delete(kind);
      this.#options.onChange(kind, false);
    }
  }
}

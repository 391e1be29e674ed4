// Why: of two operators exactly one writes. A Lease names it; a fence makes sure that one which lost it (paused, cut off)
// starts no write that could end after another was elected. It must never trust a renewal whose answer did not come.
import { backoffDelayMs } from "../loop/backoff.ts";
import { type Clock, type Random, sleep, systemClock } from "../loop/clock.ts";
import { KINDS } from "../loop/kinds.ts";
import { isAlreadyExists, isConflict, isNotFound, KubeError } from "../loop/kube-error.ts";
import type { KubeApi, Leadership } from "../loop/ports.ts";
import { emptyLease, givenBack, heldBy, isFree, type Lease, type Observed, observe } from "./lease-record.ts";
import { createKubeApi } from "./resource.ts";
import type { Transport } from "./transport.ts";

/** `leaseMs`: others wait so long; `renewMs`: fence and deadline of a renewal; `retryMs`: between two tries. */
export type LeaseTimes = { readonly leaseMs: number; readonly renewMs: number; readonly retryMs: number };

export const LEASE_TIMES: LeaseTimes = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 };

/** Not fenced (it is what the fence rests on), with calls that end well inside the renewal deadline. */
export const leaseApi = (transport: Transport, times: LeaseTimes = LEASE_TIMES): LeaseApi =>
  createKubeApi({ transport, writeTimeoutMs: times.renewMs / 2, readTimeoutMs: times.renewMs / 2 });

export type LeaseApi = Pick<KubeApi, "get" | "create" | "update">;

export type ElectorOptions = {
  readonly api: LeaseApi;
  readonly namespace: string;
  readonly name: string;
  /** Unique per process, e.g. pod name and a random part: a restarted process is somebody else. */
  readonly identity: string;
  readonly times?: LeaseTimes;
  /** Before this resolves a free Lease is left to others, and one that is held is watched as always; default at once. */
  readonly ready?: Promise<void>;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Failed tries, for the log. */
  readonly onError?: (error: unknown) => void;
  /** A renewal had to read the Lease first. */
  readonly onSlowPath?: () => void;
};

export interface Elector {
  readonly leadership: Leadership;
  /** Resolves true when we lead; false when stopped before. */
  readonly acquired: Promise<boolean>;
  /** Who held the Lease when it was last read; undefined = nobody, or never read. */
  holder(): string | undefined;
  /** When the last renewal that went well began, wall clock in milliseconds; undefined while not leading. */
  renewedMs(): number | undefined;
  /** When it last tried to get or renew the Lease, monotonic milliseconds: it does so again and again until it lost or was released. */
  triedMs(): number;
  /**
   * Gives the Lease back so that the other takes over at once. `leadership.lost` is aborted first: finish or abort writes
   * before calling. Never rejects; without an answer the Lease just runs out.
   */
  release(): Promise<void>;
}

/** Starts to compete at once. Losing is final: `lost` aborts, and the process is expected to exit. */
export function startElector(options: ElectorOptions): Elector {
  const run = new ElectorRun(options);
  const running = run.run();
  return {
    leadership: run,
    acquired: run.acquired,
    holder: () => run.holder(),
    renewedMs: () => run.renewedWallMs(),
    triedMs: () => run.triedMs,
    release: () => run.release(running),
  };
}

class ElectorRun implements Leadership {
  readonly acquired: Promise<boolean>;
  triedMs: number;
  readonly #options: ElectorOptions;
  readonly #times: LeaseTimes;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #lost = new AbortController();
  readonly #stop = new AbortController();
  /** Ends requests nobody needs an answer of. A renewal under way while we give back is not among them. */
  readonly #hangUp = new AbortController();
  readonly #ready = new AbortController();
  #resolveAcquired: (leads: boolean) => void;
  #observed: Observed | undefined;
  /** Monotonic time at which the last successful renewal began; undefined while not leading. */
  #renewedMs: number | undefined;
  #term: bigint | undefined;
  /** One Lease write at a time: renewals and raised terms share it. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ElectorOptions) {
    this.#options = options;
    this.#times = options.times ?? LEASE_TIMES;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.acquired = promise;
    this.#resolveAcquired = resolve;
    this.triedMs = this.#clock.monotonicMs();
    if (options.ready) void options.ready.then(() => this.#ready.abort());
    else this.#ready.abort();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  mayWrite(): boolean {
    return this.writeBudgetMs() > 0;
  }

  writeBudgetMs(): number {
    if (this.#renewedMs === undefined || this.#lost.signal.aborted) return 0;
    return Math.max(0, this.#renewedMs + this.#times.renewMs - this.#clock.monotonicMs());
  }

  term(): bigint | undefined {
    return this.#lost.signal.aborted ? undefined : this.#term;
  }

  async raiseTerm(): Promise<bigint | undefined> {
    if (!this.mayWrite()) return undefined;
    const result = await this.#renew("raise");
    if (result === "lost") this.#lose();
    return result === "held" ? this.term() : undefined;
  }

  holder(): string | undefined {
    return this.#observed?.lease.spec?.holderIdentity || undefined;
  }

  renewedWallMs(): number | undefined {
    return this.#renewedMs === undefined ? undefined : this.#clock.wallMs() - (this.#clock.monotonicMs() - this.#renewedMs);
  }

  async run(): Promise<void> {
    if (await this.#compete()) await this.#keep();
    this.#resolveAcquired(false);
  }

  async release(running: Promise<void>): Promise<void> {
    const led = this.#renewedMs !== undefined && !this.#lost.signal.aborted;
    this.#stop.abort();
    this.#lost.abort();
    if (!led) this.#hangUp.abort();
    await running;
    await this.#turn;
    if (!led || !this.#observed) return;
    try {
      await this.#options.api.update(KINDS.Lease, givenBack(this.#observed.lease, this.#clock.wallMs()));
    } catch (error) {
      this.#options.onError?.(error); // it runs out by itself
    }
  }

  /** True once we hold the Lease, false when stopped, or when nothing we know is true any more. */
  async #compete(): Promise<boolean> {
    while (!this.#stop.signal.aborted && !this.#lost.signal.aborted) {
      const wasReady = this.#ready.signal.aborted;
      try {
        if (await this.#tryAcquire()) {
          this.#resolveAcquired(true);
          return true;
        }
      } catch (error) {
        this.#options.onError?.(error);
      }
      const ended = AbortSignal.any([this.#stop.signal, this.#lost.signal, ...(wasReady ? [] : [this.#ready.signal])]);
      await sleep(this.#clock, this.#times.retryMs * (1 + 0.2 * this.#random()), ended);
    }
    return false;
  }

  async #tryAcquire(): Promise<boolean> {
    this.triedMs = this.#clock.monotonicMs();
    const lease = await this.#read();
    const nowMs = this.#clock.monotonicMs();
    if (lease) {
      this.#observed = observe(this.#observed, lease, nowMs);
      if (!isFree(this.#observed, this.#options.identity, this.#times.leaseMs, nowMs)) return false;
    }
    if (!this.#ready.signal.aborted) return false;
    return (await this.#write(lease, "raise")) === "held";
  }

  /** Renews until stopped or lost. */
  async #keep(): Promise<void> {
    while (!this.#stop.signal.aborted && !this.#lost.signal.aborted) {
      // The fence closes by itself; the abort tells those who wait for something else.
      const cancel = this.#clock.after(Math.ceil(this.writeBudgetMs()), () => this.#checkDeadline());
      await sleep(this.#clock, this.#times.retryMs, AbortSignal.any([this.#stop.signal, this.#lost.signal]));
      if (!this.#stop.signal.aborted && !this.#lost.signal.aborted) await this.#renewUntilDeadline();
      cancel();
    }
  }

  async #renewUntilDeadline(): Promise<void> {
    const ended = () => this.#stop.signal.aborted || this.#lost.signal.aborted;
    for (let failures = 1; !ended(); failures++) {
      this.triedMs = this.#clock.monotonicMs();
      try {
        const result = await this.#renew("keep");
        if (result === "lost") this.#lose();
        if (result !== "again") return;
      } catch (error) {
        this.#options.onError?.(error);
      }
      const limits = { baseMs: this.#times.retryMs / 4, capMs: this.#times.retryMs };
      await sleep(this.#clock, backoffDelayMs(limits, failures, this.#random), AbortSignal.any([this.#stop.signal, this.#lost.signal]));
      this.#checkDeadline();
    }
  }

  #checkDeadline(): void {
    if (this.#renewedMs !== undefined && this.writeBudgetMs() === 0) this.#lose();
  }

  #lose(): void {
    this.#lost.abort();
    this.#hangUp.abort();
    this.#renewedMs = undefined;
  }

  /** One renewal in its turn. `again` = somebody changed the record but we may still be its holder. */
  #renew(term: "keep" | "raise"): Promise<"held" | "lost" | "again"> {
    const mine = this.#turn.then(async () => {
      if (this.#lost.signal.aborted || this.#stop.signal.aborted) return "lost";
      const result = await this.#write(this.#observed?.lease, term);
      if (result === "held") return "held";
      this.#options.onSlowPath?.();
      const lease = await this.#read();
      if (!lease) {
        // Deleted: whoever makes it anew leads, from a new and higher term.
        return (await this.#write(undefined, "raise")) === "held" ? "held" : "again";
      }
      this.#observed = observe(this.#observed, lease, this.#clock.monotonicMs());
      const holder = lease.spec?.holderIdentity ?? "";
      if (holder !== "" && holder !== this.#options.identity) return "lost";
      return (await this.#write(lease, holder === "" ? "raise" : term)) === "held" ? "held" : "again";
    });
    this.#turn = mine.then(
      () => undefined,
      () => undefined, // the caller has the error; the next turn starts clean
    );
    return mine;
  }

  async #read(): Promise<Lease | undefined> {
    const { api, namespace, name } = this.#options;
    const lease = await api.get<Lease>({ kind: KINDS.Lease, namespace, name }, { signal: this.#hangUp.signal });
    this.#checkHistory(lease);
    return lease;
  }

  /** Versions only grow. One that went back means that etcd was restored: whatever was read since the backup is not true any more. */
  #checkHistory(lease: Lease | undefined): void {
    const [before, now] = [this.#observed?.lease.metadata.resourceVersion, lease?.metadata.resourceVersion];
    if (before === undefined || now === undefined || BigInt(now) >= BigInt(before)) return;
    this.#lose();
    const message = `the Lease went back from version ${before} to ${now}: etcd was restored, and this process has to start anew`;
    throw new KubeError({ status: 0, reason: "Restored", message });
  }

  /** Writes us as holder over `before` (undefined = make it). `refused` = somebody was faster; nothing changed. */
  async #write(before: Lease | undefined, term: "keep" | "raise"): Promise<"held" | "refused"> {
    const { api, namespace, name, identity } = this.#options;
    const beganMs = this.#clock.monotonicMs();
    const lease = heldBy(identity, this.#times.leaseMs, this.#clock.wallMs(), before ?? emptyLease(namespace, name));
    const options = { signal: this.#hangUp.signal };
    let written: Lease;
    try {
      written = await (before ? api.update(KINDS.Lease, lease, options) : api.create(KINDS.Lease, lease, options));
    } catch (error) {
      if (isConflict(error) || isNotFound(error) || isAlreadyExists(error)) return "refused";
      throw error;
    }
    const version = written.metadata.resourceVersion;
    if (!version || !/^\d+$/.test(version))
      throw new KubeError({ status: 0, reason: "Malformed", message: "the Lease came back without a version" });
    this.#checkHistory(written);
    this.#observed = { lease: written, sinceMs: this.#clock.monotonicMs() };
    // An answer that comes after the fence closed must not open it again: the others may have counted already.
    if (this.#renewedMs !== undefined && this.writeBudgetMs() === 0) {
      this.#lose();
      return "refused";
    }
    this.#renewedMs = beganMs;
    if (term === "raise" || this.#term === undefined) this.#term = BigInt(version);
    return "held";
  }
}

// Why: the keys at one address over time: fresh, due, stale, or away. Whoever asks gets the keys at once where there are
// good ones, and waits only where nothing is known. It must never ask the issuer more often than its back-off allows,
// nor keep a removed key alive longer than the issuer's own answer said, as long as the issuer answers.
import type { Clock, Log } from "../core/ports.ts";
import { type FetchKeys, JwksError, type JwksOutcome } from "./jwks-fetch.ts";
import { type JwksKey, type KeySet, readKeySet } from "./jwks-keys.ts";

const SECOND = 1000;
const MIN_FRESH_MS = 60 * SECOND;
const MAX_FRESH_MS = 24 * 3600 * SECOND;
const DEFAULT_FRESH_MS = 600 * SECOND;
/** How long keys are served after they stopped being fresh while the issuer is away. */
const OUTAGE_MS = 24 * 3600 * SECOND;
const RENEW_EVERY_MS = 30 * SECOND;
const MAX_BACKOFF_MS = 60 * SECOND;
const WARN_EVERY_MS = 60 * SECOND;

export type SourceDeps = {
  readonly fetch: FetchKeys;
  readonly clock: Pick<Clock, "monotonic">;
  readonly random: () => number;
  readonly log: Pick<Log, "info" | "warn">;
  readonly fetched: (outcome: JwksOutcome) => void;
};

/** All times in monotonic milliseconds. */
type Held = { readonly keys: KeySet; readonly at: number; readonly refreshAt: number; readonly freshUntil: number };
type Failing = { readonly since: number; readonly times: number; readonly retryAt: number };

export class KeySource {
  readonly #url: string;
  readonly #deps: SourceDeps;
  #held: Held | undefined;
  #failing: Failing | undefined;
  #fetching: Promise<void> | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #warnedAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(url: string, deps: SourceDeps) {
    this.#url = url;
    this.#deps = deps;
  }

  /** The keys of now; undefined where the issuer was never reached, or not for a day. */
  async keys(): Promise<KeySet | undefined> {
    const now = this.#now();
    this.#askedAt = now;
    if (this.#held && now < this.#held.refreshAt) return this.#held.keys;
    const mustWait = !this.#held || (now >= this.#held.freshUntil && !this.#failing) || now >= this.#held.freshUntil + OUTAGE_MS;
    if (this.#fetching || this.#mayFetch(now)) {
      const fetching = this.#fetchOnce();
      if (mustWait) await fetching;
    }
    return this.#isServed(this.#now()) ? this.#held?.keys : undefined;
  }

  /** Whether what this key verified still stands. Asks for nothing that is not due. */
  holds(key: JwksKey): boolean {
    const now = this.#now();
    this.#askedAt = now;
    const held = this.#held;
    if (!held || held.keys.get(key.id) !== key) return false;
    if (now >= held.refreshAt && this.#mayFetch(now)) void this.#fetchOnce();
    return now < held.freshUntil || (this.#failing !== undefined && this.#isServed(now));
  }

  /**
   * For a token no key of the set can belong to: asks the issuer again, at most once per 30 s, unless the set came after
   * `since` anyway. `away` where the issuer cannot be asked now, so that nobody can tell.
   */
  async renew(since: number): Promise<"renewed" | "unchanged" | "away"> {
    const before = this.#held?.keys;
    const now = this.#now();
    if (this.#held && this.#held.at >= since) return "unchanged";
    if (!this.#fetching) {
      if (!this.#mayFetch(now)) return "away";
      if (now - this.#renewedAt < RENEW_EVERY_MS) return this.#failing ? "away" : "unchanged";
      this.#renewedAt = now;
    }
    await this.#fetchOnce();
    if (this.#failing) return "away";
    return this.#held?.keys === before ? "unchanged" : "renewed";
  }

  /** When it is worth coming back to a source that is away, in whole seconds from now. */
  retryAfterSeconds(): number {
    return Math.max(1, Math.ceil(((this.#failing?.retryAt ?? 0) - this.#now()) / SECOND));
  }

  /** Seconds since the issuer went away; 0 while it answers, or when nobody asked for `withinMs`. */
  outageSeconds(withinMs: number): number {
    const now = this.#now();
    if (!this.#failing || now - this.#askedAt > withinMs) return 0;
    return (now - this.#failing.since) / SECOND;
  }

  #now = (): number => this.#deps.clock.monotonic();

  #mayFetch = (now: number): boolean => now >= (this.#failing?.retryAt ?? Number.NEGATIVE_INFINITY);

  #isServed = (now: number): boolean => this.#held !== undefined && now < this.#held.freshUntil + OUTAGE_MS;

  /** Never rejects. */
  #fetchOnce(): Promise<void> {
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<void> {
    try {
      const { text, maxAgeSeconds } = await this.#deps.fetch(this.#url);
      const keys = readKeySet(text, this.#held?.keys);
      if (!keys) throw new JwksError("malformed", "no JSON Web Key Set");
      this.#succeeded(keys, maxAgeSeconds);
    } catch (error) {
      this.#failed(error instanceof JwksError ? error : new JwksError("other", String(error), error));
    }
  }

  #succeeded(keys: KeySet, maxAgeSeconds: number | undefined): void {
    const now = this.#now();
    const wanted = maxAgeSeconds === undefined ? DEFAULT_FRESH_MS : maxAgeSeconds * SECOND;
    const freshMs = Math.min(Math.max(wanted, MIN_FRESH_MS), MAX_FRESH_MS);
    // Spread, so that the nodes of a fleet do not ask as one.
    const refreshAt = now + freshMs * (0.75 + 0.15 * this.#deps.random());
    this.#held = {
      keys: isSame(keys, this.#held?.keys) ? (this.#held?.keys ?? keys) : keys,
      at: now,
      refreshAt,
      freshUntil: now + freshMs,
    };
    if (this.#failing)
      this.#deps.log.info("jwks.recovered", { host: this.#host(), awaySeconds: Math.round((now - this.#failing.since) / SECOND) });
    this.#failing = undefined;
    this.#deps.fetched("ok");
  }

  #failed({ outcome, reason }: JwksError): void {
    const now = this.#now();
    const times = (this.#failing?.times ?? 0) + 1;
    const backoffMs = Math.min(SECOND * 2 ** Math.min(times - 1, 10), MAX_BACKOFF_MS) * (0.5 + 0.5 * this.#deps.random());
    this.#failing = { since: this.#failing?.since ?? now, times, retryAt: now + backoffMs };
    this.#deps.fetched(outcome);
    if (now - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = now;
    const serves = this.#isServed(now) ? "last good keys" : "nobody";
    this.#deps.log.warn("jwks.failed", { host: this.#host(), outcome, reason, times, serves });
  }

  /** Path and query of the address may hold what is nobody's business. */
  #host(): string {
    return URL.canParse(this.#url) ? new URL(this.#url).host : "unreadable";
  }
}

/** Known keys are the same objects, so equal sets hold equal objects. */
const isSame = (keys: KeySet, before: KeySet | undefined): boolean =>
  before?.size === keys.size && [...keys.values()].every((key) => before.get(key.id) === key);

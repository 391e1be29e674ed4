// Why: a connection outlives its token when the next one is brought in time. It must never ask a provider in a hurry: when
// there is nothing better to have, the server's close ends the wait, and the reconnect asks again.
import { NexusError } from "./error.ts";
import type { TokenProvider } from "./options.ts";
import { claimsOf } from "./token.ts";

export type RenewalDeps = {
  readonly provider: TokenProvider;
  /** Chance in [0, 1). */
  readonly random: () => number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Runs once after so many milliseconds (at most 2³¹ - 1); returns how to call it off. */
  readonly after: (milliseconds: number, run: () => void) => () => void;
  /** Sends the token to the server, which answers `accepted` or `refused`. */
  readonly offer: (token: string) => void;
  /** A provider that failed, or a refusal; the old token is still good for a while. */
  readonly onFailure: (error: NexusError) => void;
  /** The server will not have the new token on this connection. */
  readonly onRefused: (error: NexusError) => void;
};

/** At most so long before the end a new token is asked for. */
const MAX_LEAD_MS = 60_000;
const MIN_WAIT_MS = 1_000;
/** The longest a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * How long to wait before asking for the next token: until a fifth of what is left (at most a minute) before the end,
 * drawn so that clients do not come together. Undefined: too late, or the clocks disagree.
 */
export function renewInMs(leftMs: number, random: number): number | undefined {
  const lead = Math.min(MAX_LEAD_MS, leftMs / 5) * (0.5 + random / 2);
  return leftMs - lead < MIN_WAIT_MS ? undefined : leftMs - lead;
}

export class Renewal {
  readonly #deps: RenewalDeps;
  #callOff: (() => void) | undefined;
  #token = "";
  #offered: string | undefined;
  /** Counts connections: what a provider answers for an earlier one comes too late. */
  #life = 0;

  constructor(deps: RenewalDeps) {
    this.#deps = deps;
  }

  /** The server accepted this token with a connection. */
  start(token: string): void {
    this.stop();
    this.#token = token;
    this.#plan(renewInMs(this.#leftMs(), this.#deps.random()));
  }

  stop(): void {
    this.#life++;
    this.#callOff?.();
    this.#offered = undefined;
  }

  /** The server took the token that was offered; answers it. */
  accepted(): string | undefined {
    const token = this.#offered;
    if (token !== undefined) this.start(token);
    return token;
  }

  refused(error: NexusError): void {
    if (!error.retry) {
      this.#deps.onRefused(error);
      return;
    }
    this.#offered = undefined;
    this.#deps.onFailure(error);
    this.#again();
  }

  #leftMs(): number {
    const { expiresAt } = claimsOf(this.#token);
    return expiresAt === undefined ? 0 : expiresAt - this.#deps.now();
  }

  /** Half of what is left, as long as that is worth it. */
  #again(): void {
    const halfMs = this.#leftMs() / 2;
    this.#plan(halfMs < MIN_WAIT_MS ? undefined : halfMs);
  }

  #plan(waitMs: number | undefined): void {
    this.#callOff?.();
    if (waitMs === undefined) return;
    const { after } = this.#deps;
    if (waitMs > MAX_TIMER_MS) this.#callOff = after(MAX_TIMER_MS, () => this.#plan(waitMs - MAX_TIMER_MS));
    else this.#callOff = after(waitMs, () => void this.#renew());
  }

  /** Never rejects. */
  async #renew(): Promise<void> {
    const life = this.#life;
    let token: string;
    try {
      token = await this.#deps.provider();
    } catch (cause) {
      if (life !== this.#life) return;
      this.#deps.onFailure(new NexusError("TOKEN_PROVIDER", "the token provider failed", { cause, retry: true }));
      return this.#again();
    }
    if (life !== this.#life) return;
    if (token === this.#token) return this.#again(); // it had no newer one yet
    this.#offered = token;
    this.#deps.offer(token);
  }
}

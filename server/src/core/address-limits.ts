// Why: what one address may do before anybody knows who it is: open sessions, fail to authenticate, ask what needs no key.
// Every edge counts in the same buckets. It must never be asked about a caller who has shown a good credential.
import { addressNetwork } from "@nexus/protocol/addresses.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { RateDecision, RateLimits, Tenants } from "./ports.ts";

const MINUTE_MS = 60_000;
/** `Retry-After` of an address with too many upgrades: by then the whole window has passed. */
const UPGRADE_RETRY_SECONDS = 60;
/** Failed attempts of one address. Good keys from the same address (behind a proxy) are not held up by bad ones. */
const FAILED_ATTEMPTS = { perSecond: 1, burst: 20 };

export type AddressLimitsDeps = { readonly rates: RateLimits; readonly tenants: Pick<Tenants, "cluster"> };

/** One more attempt to open a session. `rate_limited` over `limits.upgradesPerMinutePerAddress`; undefined: go on. */
export function countUpgrade({ rates, tenants }: AddressLimitsDeps, address: string): Refusal | undefined {
  const limit = tenants.cluster().limits.upgradesPerMinutePerAddress;
  if (limit <= 0 || rates.window(`upgrade/${addressNetwork(address)}`, { limit, windowMs: MINUTE_MS }).allowed) return undefined;
  return { code: "rate_limited", detail: "Too many connection attempts from this address", retryAfterSeconds: UPGRADE_RETRY_SECONDS };
}

/** One more request without a key. `rate_limited` over `limits.requestsPerSecond` and `requestBurst`; undefined: go on. */
export function countRequest({ rates, tenants }: AddressLimitsDeps, address: string): Refusal | undefined {
  const { requestsPerSecond, requestBurst } = tenants.cluster().limits;
  if (requestsPerSecond <= 0) return undefined;
  const decision = rates.take(`address/${addressNetwork(address)}`, { perSecond: requestsPerSecond, burst: requestBurst });
  return decision.allowed ? undefined : limited("This address made too many requests", decision);
}

/** One more bad credential: what was wrong with it (`unauthorized`), or `rate_limited` when there were too many. */
export function countFailure({ rates }: Pick<AddressLimitsDeps, "rates">, address: string, detail: string): Refusal {
  const decision = rates.take(`failed-auth/${addressNetwork(address)}`, FAILED_ATTEMPTS);
  return decision.allowed ? { code: "unauthorized", detail } : limited("Too many failed attempts from this address", decision);
}

const limited = (detail: string, { retryAfterSeconds }: RateDecision): Refusal => ({
  code: "rate_limited",
  detail,
  retryAfterSeconds: Math.max(retryAfterSeconds, 1),
});

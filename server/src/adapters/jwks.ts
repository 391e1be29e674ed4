// Why: the key sets of all issuers, by address: two issuers at one address share one. Sets nobody asks for go first when
// there are too many. It must never hold a timer: keys are looked after when somebody needs them.
import type { JwtAlgorithm } from "@nexus/protocol/resources/credentials.ts";
import { fittingKeys, type JwksKey } from "./jwks-keys.ts";
import { KeySource, type SourceDeps } from "./jwks-source.ts";

const MAX_SOURCES = 4096;
/** An issuer nobody asked for within this does not count as away: it was not tried either. */
const WATCHED_MS = 10 * 60_000;

export type KeyQuery = { readonly url: string; readonly kid: string | undefined; readonly algorithm: JwtAlgorithm };
/** `unavailable`: nobody can tell whether the token is good; worth asking again after `retryAfterSeconds`. */
export type KeyAnswer =
  | { readonly kind: "key"; readonly key: JwksKey }
  | { readonly kind: "none" }
  | { readonly kind: "unavailable"; readonly retryAfterSeconds: number };

export type Jwks = {
  /** The first fitting key of the set that `verifies`; the issuer is asked again where the token's key may be too new to be known. */
  find(query: KeyQuery, verifies: (key: JwksKey) => boolean): Promise<KeyAnswer>;
  /** Whether a key that `find` answered is still in its set. */
  holds(url: string, key: JwksKey): boolean;
  /** Of the issuer that is away longest; 0 when all answer. */
  outageSeconds(): number;
};

export function createJwks(deps: SourceDeps): Jwks {
  const sources = new Map<string, KeySource>();

  function sourceOf(url: string): KeySource {
    const source = sources.get(url) ?? new KeySource(url, deps);
    sources.delete(url);
    sources.set(url, source); // the last of the map is the one asked last
    if (sources.size > MAX_SOURCES) {
      for (const oldest of sources.keys()) {
        sources.delete(oldest);
        break;
      }
    }
    return source;
  }

  async function look(source: KeySource, query: KeyQuery, verifies: (key: JwksKey) => boolean): Promise<LookedUp> {
    const keys = await source.keys();
    if (!keys) return { kind: "unavailable", retryAfterSeconds: source.retryAfterSeconds() };
    const fitting = fittingKeys(keys, query);
    const key = fitting.find(verifies);
    if (key) return { kind: "key", key };
    return { kind: "none", mayBeNew: query.kid === undefined || fitting.length === 0 };
  }

  return {
    async find(query, verifies) {
      const source = sourceOf(query.url);
      const since = deps.clock.monotonic();
      const first = await look(source, query, verifies);
      if (first.kind !== "none" || !first.mayBeNew) return first;
      switch (await source.renew(since)) {
        case "renewed":
          return await look(source, query, verifies);
        case "unchanged":
          return first;
        case "away":
          return { kind: "unavailable", retryAfterSeconds: source.retryAfterSeconds() };
      }
    },
    holds: (url, key) => sources.get(url)?.holds(key) ?? false,
    outageSeconds() {
      let longest = 0;
      for (const source of sources.values()) longest = Math.max(longest, source.outageSeconds(WATCHED_MS));
      return longest;
    },
  };
}

type LookedUp = Exclude<KeyAnswer, { kind: "none" }> | { readonly kind: "none"; readonly mayBeNew: boolean };

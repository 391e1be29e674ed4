// Why: a storm of reconnects presents tokens that were verified a moment ago. They are known again by their hash, as long
// as everything that made them good is still so. It must never keep a token in the clear or a refusal at all.
import type { TenantSettings } from "@nexus/protocol/bundle.ts";
import { AgingMap } from "../core/aging-map.ts";
import type { Clock, Identity, Tenants } from "../core/ports.ts";
import type { Jwks } from "./jwks.ts";
import type { JwksKey } from "./jwks-keys.ts";

const REMEMBERED = 8192;

/** What a token was verified by. `source`: the key of a set that did; undefined where the settings hold the key themselves. */
export type Verified = {
  readonly identity: Identity;
  readonly settings: TenantSettings;
  readonly tenancy: string;
  readonly source: { readonly url: string; readonly key: JwksKey } | undefined;
};

export type VerifiedTokensDeps = {
  readonly tenants: Pick<Tenants, "cluster" | "tenant">;
  readonly clock: Pick<Clock, "now">;
  readonly jwks: Pick<Jwks, "holds">;
};

/** By a token's hash; the oldest goes first when there are too many. */
export class VerifiedTokens {
  readonly #deps: VerifiedTokensDeps;
  readonly #known = new AgingMap<string, Verified>();

  constructor(deps: VerifiedTokensDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#known.size;
  }

  recall(name: string): Identity | undefined {
    const known = this.#known.get(name);
    if (!known) return undefined;
    if (this.#stands(known)) return known.identity;
    this.#known.delete(name);
    return undefined;
  }

  /** What was verified against settings that are no longer the live ones is not kept. */
  remember(name: string, verified: Verified): void {
    if (!this.#stands(verified)) return;
    this.#known.set(name, verified);
    const oldest = this.#known.size > REMEMBERED ? this.#known.oldest() : undefined;
    if (oldest) this.#known.delete(oldest[0]);
  }

  #stands({ identity, settings, tenancy, source }: Verified): boolean {
    const { tenants, clock, jwks } = this.#deps;
    if (clock.now() >= (identity.expiresAt ?? 0)) return false;
    if (tenants.cluster().tenancy !== tenancy || tenants.tenant(identity.tenant) !== settings) return false;
    return source === undefined || jwks.holds(source.url, source.key);
  }
}

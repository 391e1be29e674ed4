// Why: who a token speaks for, by the issuers of the tenant it names. Verified tokens are remembered for as long as the
// tenant's settings and the token live, because a reconnect presents the same token again.
// It must never keep a token in the clear, nor answer from memory after a key, an issuer or the tenancy changed.
import { createHash } from "node:crypto";
import type { TenantIssuer, TenantSettings } from "@nexus/protocol/bundle.ts";
import { DEFAULT_TENANT } from "@nexus/protocol/names.ts";
import type { Clock, Identity, Tenants, TokenRefusal, TokenVerifier } from "../core/ports.ts";
import { type Accepted, claimedTenant, isIssuerMeant, judgeClaims, readToken, type Token } from "./jwt-claims.ts";
import { fitsAlgorithm, importKey, isSignedBy, type VerificationKey } from "./jwt-signature.ts";

const REMEMBERED = 8192;

type Answer = Awaited<ReturnType<TokenVerifier["verify"]>>;
type Remembered = { readonly answer: Answer; readonly until: number; readonly settings: TenantSettings; readonly tenancy: string };

export type TokenVerifierDeps = {
  readonly tenants: Pick<Tenants, "cluster" | "tenant">;
  readonly clock: Pick<Clock, "now">;
};

/**
 * `Identity.expiresAt` is when this server stops accepting the token: `exp` plus the issuer's clock skew.
 * A suspended tenant's tokens verify: what follows from the suspension is the caller's to say.
 */
export function createTokenVerifier({ tenants, clock }: TokenVerifierDeps): TokenVerifier {
  const remembered = new Map<string, Remembered>();
  const keys = new WeakMap<TenantIssuer, { readonly key: VerificationKey | undefined }>();

  const keyOf = (issuer: TenantIssuer): VerificationKey | undefined => {
    const known = keys.get(issuer);
    if (known) return known.key;
    const key = importKey(issuer.key);
    keys.set(issuer, { key });
    return key;
  };

  function tenantOf(claims: Token["claims"]): string | undefined {
    return tenants.cluster().tenancy === "Single" ? DEFAULT_TENANT : claimedTenant(claims);
  }

  function check(token: string): Answer {
    const read = readToken(token);
    if (typeof read === "string") return refused(read);
    const tenant = tenantOf(read.claims);
    const settings = tenant === undefined ? undefined : tenants.tenant(tenant);
    if (tenant === undefined || !settings) return refused("The token names no tenant of this cluster");
    const accepted = acceptedBy(settings.issuers, read);
    if (typeof accepted === "string") return refused(accepted);
    const { user, roles, channels, until } = accepted;
    const identity: Identity = { tenant, user, roles, channels, expiresAt: until };
    return { kind: "verified", identity };
  }

  /** The first issuer whose key verifies decides; its complaints about claims count more than a missing key. */
  function acceptedBy(issuers: readonly TenantIssuer[], token: Token): Accepted | string {
    let complaint = "The tenant accepts no tokens";
    for (const issuer of issuers) {
      if (!issuer.algorithms.includes(token.algorithm)) {
        complaint = "The token's algorithm is not accepted";
        continue;
      }
      if (!isIssuerMeant(issuer, token.claims)) {
        complaint = "The token is from another issuer";
        continue;
      }
      if (issuer.key.type === "jwks") {
        complaint = "The issuer's keys are at a jwksURL, which this version does not read";
        continue;
      }
      const key = keyOf(issuer);
      if (!key || !fitsAlgorithm(key, token.algorithm)) {
        complaint = "The issuer's key cannot be used for this algorithm";
        continue;
      }
      if (isSignedBy(key, token.algorithm, token)) return judgeClaims(token.claims, issuer, clock.now());
      complaint = "The token's signature does not verify";
    }
    return complaint;
  }

  function recall(name: string): Answer | undefined {
    const known = remembered.get(name);
    if (known?.answer.kind !== "verified") return undefined;
    const { answer, until, settings, tenancy } = known;
    const isCurrent = clock.now() < until && tenants.cluster().tenancy === tenancy && tenants.tenant(answer.identity.tenant) === settings;
    if (isCurrent) return answer;
    remembered.delete(name);
    return undefined;
  }

  function remember(name: string, answer: Answer & { kind: "verified" }): void {
    const { tenant, expiresAt = 0 } = answer.identity;
    const settings = tenants.tenant(tenant);
    if (!settings) return;
    if (remembered.size >= REMEMBERED) {
      for (const oldest of remembered.keys()) {
        remembered.delete(oldest);
        break;
      }
    }
    remembered.set(name, { answer, until: expiresAt, settings, tenancy: tenants.cluster().tenancy });
  }

  return {
    async verify(token) {
      const name = createHash("sha256").update(token).digest("base64");
      const known = recall(name);
      if (known) return known;
      const answer = check(token);
      if (answer.kind === "refused") return answer;
      const verified = { kind: "verified", identity: answer.identity } as const;
      remember(name, verified);
      return verified;
    },
  };
}

const refused = (detail: string): TokenRefusal => ({ kind: "refused", code: "unauthorized", detail });

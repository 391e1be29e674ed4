// Why: who a token speaks for, by the issuers of the tenant it names. Verified tokens are remembered for as long as the
// tenant's settings, the key and the token live, because a reconnect presents the same token again.
// It must never keep a token in the clear, nor answer from memory after a key, an issuer or the tenancy changed.
import { createHash } from "node:crypto";
import type { TenantIssuer } from "@nexus/protocol/bundle.ts";
import { DEFAULT_TENANT } from "@nexus/protocol/names.ts";
import type { Clock, Identity, Tenants, TokenRefusal, TokenVerifier } from "../core/ports.ts";
import type { Jwks } from "./jwks.ts";
import { type Accepted, claimedTenant, isIssuerMeant, judgeClaims, MAX_TOKEN, readToken, type Token } from "./jwt-claims.ts";
import { type Verified, VerifiedTokens } from "./jwt-memory.ts";
import { fitsAlgorithm, importKey, isSignedBy, type StaticKey, type VerificationKey } from "./jwt-signature.ts";

export type TokenVerifierDeps = {
  readonly tenants: Pick<Tenants, "cluster" | "tenant">;
  readonly clock: Pick<Clock, "now">;
  readonly jwks: Jwks;
};

/** Who signed it, with the key of a set that did; a text says what is wrong. */
type Signed = Pick<Verified, "source"> | string | TokenRefusal;

/**
 * `Identity.expiresAt` is when this server stops accepting the token: `exp` plus the issuer's clock skew.
 * A suspended tenant's tokens verify: what follows from the suspension is the caller's to say.
 */
export function createTokenVerifier({ tenants, clock, jwks }: TokenVerifierDeps): TokenVerifier {
  const remembered = new VerifiedTokens({ tenants, clock, jwks });
  const keys = new WeakMap<StaticKey, { readonly key: VerificationKey | undefined }>();

  const keyOf = (source: StaticKey): VerificationKey | undefined => {
    const known = keys.get(source);
    if (known) return known.key;
    const key = importKey(source);
    keys.set(source, { key });
    return key;
  };

  function tenantOf(claims: Token["claims"]): string | undefined {
    return tenants.cluster().tenancy === "Single" ? DEFAULT_TENANT : claimedTenant(claims);
  }

  async function check(token: string): Promise<Verified | TokenRefusal> {
    const read = readToken(token);
    if (typeof read === "string") return refused(read);
    const tenant = tenantOf(read.claims);
    const { tenancy } = tenants.cluster();
    const settings = tenant === undefined ? undefined : tenants.tenant(tenant);
    if (tenant === undefined || !settings) return refused("The token names no tenant of this cluster");
    const found = await acceptedBy(settings.issuers, read);
    if (tenants.tenant(tenant) !== settings) return check(token); // an issuer may have gone while another was waited for
    if ("kind" in found) return found;
    const { user, roles, channels, until } = found.accepted;
    const identity: Identity = { tenant, user, roles, channels, expiresAt: until };
    return { identity, settings, tenancy, source: found.source };
  }

  /**
   * The first issuer whose key verifies decides; its complaints about claims count more than a missing key. An issuer that
   * cannot be reached counts more than all complaints: it could be the one.
   */
  async function acceptedBy(issuers: readonly TenantIssuer[], token: Token): Promise<Found | TokenRefusal> {
    let complaint = "The tenant accepts no tokens";
    let unavailable: TokenRefusal | undefined;
    for (const issuer of issuers) {
      const signed = isMeant(issuer, token) ?? (await signedBy(issuer, token));
      if (typeof signed === "string") complaint = signed;
      else if ("kind" in signed) unavailable ??= signed;
      else {
        const accepted = judgeClaims(token.claims, issuer, clock.now());
        return typeof accepted === "string" ? refused(accepted) : { accepted, source: signed.source };
      }
    }
    return unavailable ?? refused(complaint);
  }

  async function signedBy({ key }: TenantIssuer, token: Token): Promise<Signed> {
    const { algorithm, kid } = token;
    if (key.type !== "jwks") return signedByStatic(keyOf(key), token);
    if (algorithm.startsWith("HS")) return "The issuer's key cannot be used for this algorithm"; // a key set is public
    const { url } = key;
    const answer = await jwks.find({ url, kid, algorithm }, (one) => isSignedBy(one.key, algorithm, token));
    if (answer.kind === "key") return { source: { url, key: answer.key } };
    if (answer.kind === "none") return "The token's signature does not verify with any key of the issuer";
    const { retryAfterSeconds } = answer;
    return { kind: "refused", code: "issuer_unavailable", detail: "The issuer's keys cannot be reached", retryAfterSeconds };
  }

  return {
    async verify(token) {
      if (token.length > MAX_TOKEN) return refused("The token is too long");
      const name = createHash("sha256").update(token).digest("base64");
      const known = remembered.recall(name);
      if (known) return { kind: "verified", identity: known };
      const answer = await check(token);
      if ("kind" in answer) return answer;
      remembered.remember(name, answer);
      return { kind: "verified", identity: answer.identity };
    },
  };
}

type Found = Pick<Verified, "source"> & { readonly accepted: Accepted };

/** A complaint where the issuer cannot have made the token, whatever its keys say. */
function isMeant(issuer: TenantIssuer, token: Token): string | undefined {
  if (!issuer.algorithms.includes(token.algorithm)) return "The token's algorithm is not accepted";
  return isIssuerMeant(issuer, token.claims) ? undefined : "The token is from another issuer";
}

function signedByStatic(key: VerificationKey | undefined, token: Token): Signed {
  if (!key || !fitsAlgorithm(key, token.algorithm)) return "The issuer's key cannot be used for this algorithm";
  return isSignedBy(key, token.algorithm, token) ? { source: undefined } : "The token's signature does not verify";
}

const refused = (detail: string): TokenRefusal => ({ kind: "refused", code: "unauthorized", detail });

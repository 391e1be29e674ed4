// Why: tokens and key sets together: what verifies, what is remembered, and when it is forgotten.
import { describe, expect, test } from "bun:test";
import type { TenantIssuer } from "@nexus/protocol/bundle.ts";
import type { JwtAlgorithm } from "@nexus/protocol/resources/credentials.ts";
import { createJwks } from "@nexus/server/adapters/jwks.ts";
import { createTokenVerifier } from "@nexus/server/adapters/jwt.ts";
import { defaultClusterSettings } from "@nexus/server/core/live-config.ts";
import { type JWTPayload, SignJWT } from "jose";
import { secretIssuer, tenantSettings } from "../../support/bundle-entries.ts";
import { Provider, type ProviderKey, providerKey } from "../../support/jwks.ts";

const NOW = 1_790_000_000_000;
const MINUTE = 60_000;

const jwksIssuer = (change: Partial<TenantIssuer> = {}): TenantIssuer => ({
  ...{ name: "idp", audiences: [], algorithms: ["ES256"], clock_skew_seconds: 0 },
  key: { type: "jwks", url: "https://id.example/keys" },
  ...change,
});

function stage(provider: Provider, issuers: readonly TenantIssuer[] = [jwksIssuer()]) {
  let now = 0;
  const tenants = new Map([["acme", tenantSettings({ issuers: [...issuers] })]]);
  const cluster = defaultClusterSettings();
  const jwks = createJwks({
    ...{ fetch: provider.fetch, clock: { monotonic: () => now }, random: () => 0 },
    ...{ log: { info: () => undefined, warn: () => undefined }, fetched: () => undefined },
  });
  const verifier = createTokenVerifier({
    tenants: { cluster: () => cluster, tenant: (id) => tenants.get(id) },
    clock: { now: () => NOW + now },
    jwks,
  });
  return {
    tenants,
    said: async (token: string) => {
      const answer = await verifier.verify(token);
      return answer.kind === "verified" ? answer.identity.user : answer.code;
    },
    verify: verifier.verify,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

const claims = (change: JWTPayload = {}): JWTPayload => ({ sub: "ada", tenant_id: "acme", exp: NOW / 1000 + 7200, ...change });
const token = (key: ProviderKey, change: JWTPayload = {}, header: Record<string, unknown> = {}) => key.sign(claims(change), header);

test.each(["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"] as const)(
  "%s from a key set verifies",
  async (alg: JwtAlgorithm) => {
    const key = providerKey("a", alg);
    const { said } = stage(new Provider(providerKey("other", alg), key), [jwksIssuer({ algorithms: [alg] })]);
    expect(await said(await token(key))).toBe("ada");
    expect(await said(await token(providerKey("a", alg)))).toBe("unauthorized");
  },
);

describe("a key set", () => {
  test("rotates with overlap, and a token of a removed key stops verifying although it was remembered", async () => {
    const [old, next] = [providerKey("old"), providerKey("next")];
    const provider = new Provider(old);
    const { said, pass } = stage(provider);
    const [oldToken, nextToken] = [await token(old), await token(next, { sub: "bob" })];
    expect(await said(oldToken)).toBe("ada");
    provider.keys = [old, next];
    pass(1000);
    expect(await said(nextToken)).toBe("bob");
    expect(await said(oldToken)).toBe("ada");
    expect(provider.asked).toBe(2);
    provider.keys = [next];
    pass(10 * MINUTE);
    expect(await said(oldToken)).toBe("unauthorized");
    expect(await said(nextToken)).toBe("bob");
  });

  test("is asked for again while remembered tokens keep coming", async () => {
    const key = providerKey("a");
    const provider = new Provider(key);
    const { said, pass } = stage(provider);
    const seen = await token(key);
    for (let minute = 0; minute < 60; minute++) {
      expect(await said(seen)).toBe("ada");
      pass(MINUTE);
    }
    expect(provider.asked).toBeGreaterThanOrEqual(6);
    provider.keys = [];
    for (let minute = 0; minute < 10; minute++) {
      await said(seen);
      pass(MINUTE);
    }
    expect(await said(seen)).toBe("unauthorized");
  });

  test("that was never reached does not refuse: it says when to come back", async () => {
    const key = providerKey("a");
    const provider = new Provider(key);
    provider.failure = "connect";
    const { verify, said, pass } = stage(provider);
    const good = await token(key);
    expect(await verify(good)).toEqual({
      kind: "refused",
      code: "issuer_unavailable",
      detail: "The issuer's keys cannot be reached",
      retryAfterSeconds: 1,
    });
    provider.failure = undefined;
    pass(2000);
    expect(await said(good)).toBe("ada");
  });

  test("that is away still lets in whom it let in before, and refuses what is expired", async () => {
    const key = providerKey("a");
    const provider = new Provider(key);
    const { said, pass } = stage(provider);
    const [long, short] = [await token(key, { sub: "long" }), await token(key, { sub: "short", exp: NOW / 1000 + 1800 })];
    expect(await said(long)).toBe("long");
    provider.failure = "timeout";
    pass(60 * MINUTE);
    expect(await said(long)).toBe("long");
    expect(await said(await token(key, { sub: "new" }))).toBe("new");
    expect(await said(short)).toBe("unauthorized");
  });

  test("is judged by issuer, audience and algorithm before anybody is asked", async () => {
    const key = providerKey("a");
    const provider = new Provider(key);
    const { said } = stage(provider, [jwksIssuer({ issuer: "https://id.example", audiences: ["app"] })]);
    expect(await said(await token(key))).toBe("unauthorized");
    expect(await said(await token(key, { iss: "https://evil.example", aud: "app" }))).toBe("unauthorized");
    expect(await said(await token(providerKey("a", "ES384"), { iss: "https://id.example", aud: "app" }))).toBe("unauthorized");
    expect(provider.asked).toBe(0);
    expect(await said(await token(key, { iss: "https://id.example" }))).toBe("unauthorized");
    expect(await said(await token(key, { iss: "https://id.example", aud: "app" }))).toBe("ada");
  });

  test("never lends its public keys as HMAC secrets, and is not asked about them", async () => {
    const key = providerKey("a");
    const provider = new Provider(key);
    const { said } = stage(provider, [jwksIssuer({ algorithms: ["ES256", "HS256"] })]);
    const secret = new TextEncoder().encode(JSON.stringify(key.jwk));
    expect(await said(await new SignJWT(claims()).setProtectedHeader({ alg: "HS256", kid: "a" }).sign(secret))).toBe("unauthorized");
    expect(provider.asked).toBe(0);
  });

  test("is the only place keys come from: what a token's header brings along is ignored", async () => {
    const evil = providerKey("evil");
    const provider = new Provider(providerKey("a"));
    const { said } = stage(provider);
    const header = { jwk: evil.jwk, jku: "https://evil.example/keys", x5u: "https://evil.example/cert" };
    expect(await said(await token(evil, {}, header))).toBe("unauthorized");
    expect(provider.asked).toBe(1);
  });
});

describe("several issuers", () => {
  test("one that is away does not hold up the others", async () => {
    const provider = new Provider();
    provider.failure = "connect";
    const secret = "a secret that is long enough for HMAC";
    const { said } = stage(provider, [jwksIssuer(), secretIssuer(secret)]);
    const signed = await new SignJWT(claims()).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret));
    expect(await said(signed)).toBe("ada");
    expect(await said(await token(providerKey("a")))).toBe("issuer_unavailable");
  });

  test("an issuer that goes while it is waited for lets nobody in", async () => {
    const key = providerKey("a");
    const provider = new Provider(key);
    const gate = Promise.withResolvers<void>();
    provider.gate = gate.promise;
    const { said, tenants } = stage(provider);
    const answer = said(await token(key));
    tenants.set("acme", tenantSettings({ issuers: [] }));
    gate.resolve();
    expect(await answer).toBe("unauthorized");
  });
});

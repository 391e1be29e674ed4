// Why: each way a token can be wrong is a line here; jose, which we do not use ourselves, makes the tokens.
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import type { TenantIssuer, TenantSettings } from "@nexus/protocol/bundle.ts";
import type { JwtAlgorithm } from "@nexus/protocol/resources/credentials.ts";
import { createTokenVerifier } from "@nexus/server/adapters/jwt.ts";
import { defaultClusterSettings } from "@nexus/server/core/live-config.ts";
import fc from "fast-check";
import { type JWTPayload, SignJWT } from "jose";
import { secretIssuer, tenantSettings } from "../../support/bundle-entries.ts";
import { noJwks } from "../../support/jwks.ts";

const SECRET = "a secret that is long enough for HMAC";
const NOW = 1_790_000_000; // seconds since 1970
const issuer = (change: Partial<TenantIssuer> = {}): TenantIssuer => ({ ...secretIssuer(SECRET), ...change });

function verifierOf(issuers: readonly TenantIssuer[], options: { now?: () => number; tenancy?: "Single" | "Multiple" } = {}) {
  const tenants = new Map<string, TenantSettings>([["acme", tenantSettings({ issuers: [...issuers] })]]);
  if (options.tenancy === "Single") tenants.set("default", tenantSettings({ issuers: [...issuers] }));
  const cluster = { ...defaultClusterSettings(), tenancy: options.tenancy ?? ("Multiple" as const) };
  const verifier = createTokenVerifier({
    tenants: { cluster: () => cluster, tenant: (id) => tenants.get(id) },
    clock: { now: options.now ?? (() => NOW * 1000) },
    jwks: noJwks(),
  });
  return { verifier, tenants };
}

const claims = (change: JWTPayload = {}): JWTPayload => ({ sub: "ada", tenant_id: "acme", exp: NOW + 60, ...change });
type Signing = { readonly alg?: string; readonly key?: KeyObject | Uint8Array; readonly header?: Record<string, unknown> };
const sign = (payload: JWTPayload = claims(), { alg = "HS256", key = new TextEncoder().encode(SECRET), header = {} }: Signing = {}) =>
  new SignJWT(payload).setProtectedHeader({ alg, ...header }).sign(key);
const without = (name: string): JWTPayload => Object.fromEntries(Object.entries(claims()).filter(([key]) => key !== name));
const forged = (header: object, payload: object = claims(), signature = "AAAA") =>
  `${[header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".")}.${signature}`;

describe("a good token", () => {
  test("says who it is, with what clock skew still allows as its end", async () => {
    const { verifier } = verifierOf([issuer({ clock_skew_seconds: 30 })]);
    const token = await sign(claims({ roles: ["admin"], channels: ["orders.*"] }));
    expect(await verifier.verify(token)).toEqual({
      kind: "verified",
      identity: { tenant: "acme", user: "ada", roles: ["admin"], channels: ["orders.*"], expiresAt: (NOW + 90) * 1000 },
    });
  });

  test("may be good for ever, and its end still has a date", async () => {
    const { verifier } = verifierOf([issuer({ clock_skew_seconds: 60 })]);
    const answer = await verifier.verify(await sign(claims({ exp: 1e300 })));
    expect(new Date(answer.kind === "verified" ? (answer.identity.expiresAt ?? 0) : 0).toISOString()).toBe("+275760-09-13T00:00:00.000Z");
  });

  test("is good to the last millisecond of its life and skew, and from the first of its nbf", async () => {
    let now = 0;
    const { verifier } = verifierOf([issuer({ clock_skew_seconds: 5 })], { now: () => now });
    const token = await sign(claims({ nbf: NOW, exp: NOW + 60 }));
    const isGoodAt = async (ms: number) => {
      now = ms;
      return (await verifier.verify(token)).kind === "verified";
    };
    expect(await isGoodAt((NOW - 5) * 1000 - 1)).toBe(false);
    expect(await isGoodAt((NOW - 5) * 1000)).toBe(true);
    expect(await isGoodAt((NOW + 65) * 1000 - 1)).toBe(true);
    expect(await isGoodAt((NOW + 65) * 1000)).toBe(false);
  });

  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ec = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve });
  const pairs: readonly (readonly [JwtAlgorithm, { publicKey: KeyObject; privateKey: KeyObject }])[] = [
    ["RS256", rsa],
    ["RS384", rsa],
    ["RS512", rsa],
    ["ES256", ec("P-256")],
    ["ES384", ec("P-384")],
    ["ES512", ec("P-521")],
    ["EdDSA", generateKeyPairSync("ed25519")],
  ];
  test.each(pairs)("may be signed with %s, by the right key only", async (alg, pair) => {
    const pem = pair.publicKey.export({ type: "spki", format: "pem" }).toString();
    const { verifier } = verifierOf([issuer({ algorithms: [alg], key: { type: "public", pem } })]);
    const token = await sign(claims(), { alg, key: pair.privateKey });
    expect((await verifier.verify(token)).kind).toBe("verified");
    const [head, body, signature = ""] = token.split(".");
    const other = (signature.startsWith("A") ? "B" : "A") + signature.slice(1);
    expect(await verifier.verify(`${head}.${body}.${other}`)).toMatchObject({ kind: "refused" });
  });

  test.each(["HS384", "HS512"] as const)("may be signed with %s", async (alg) => {
    const { verifier } = verifierOf([issuer({ algorithms: [alg] })]);
    expect((await verifier.verify(await sign(claims(), { alg, key: Buffer.from(SECRET.repeat(2)) }))).kind).toBe("refused");
    const long = verifierOf([{ ...secretIssuer(SECRET.repeat(2)), algorithms: [alg] }]);
    expect((await long.verifier.verify(await sign(claims(), { alg, key: Buffer.from(SECRET.repeat(2)) }))).kind).toBe("verified");
  });

  test("is found by any of the tenant's issuers that is meant", async () => {
    const other = { ...secretIssuer("another secret of good length"), issuer: "https://other.example" };
    const { verifier } = verifierOf([other, issuer({ issuer: "https://id.example", audiences: ["app", "web"] })]);
    const token = await sign(claims({ iss: "https://id.example", aud: ["web"] }));
    expect((await verifier.verify(token)).kind).toBe("verified");
  });

  test("means tenant default on a cluster for one", async () => {
    const { verifier } = verifierOf([issuer()], { tenancy: "Single" });
    expect(await verifier.verify(await sign())).toMatchObject({ identity: { tenant: "default" } });
  });
});

describe("refused", () => {
  const leaked = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const pemOf = (kind: "ec" | "ed25519"): string =>
    (kind === "ec" ? generateKeyPairSync("ec", { namedCurve: "P-384" }) : generateKeyPairSync("ed25519")).publicKey
      .export({ type: "spki", format: "pem" })
      .toString();
  const publicPem = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ type: "spki", format: "pem" }).toString();
  const cases: readonly (readonly [string, () => Promise<string> | string, readonly TenantIssuer[], RegExp])[] = [
    ["alg none", () => forged({ alg: "none" }), [issuer()], /algorithm/],
    ["an algorithm nobody knows", () => forged({ alg: "HS257" }), [issuer()], /algorithm/],
    [
      "an algorithm the issuer does not allow",
      () => sign(claims(), { alg: "HS512", key: Buffer.from(SECRET.repeat(2)) }),
      [issuer()],
      /algorithm/,
    ],
    [
      "a public key used as an HMAC secret",
      () => sign(claims(), { key: Buffer.from(publicPem) }),
      [issuer({ algorithms: ["RS256", "HS256"], key: { type: "public", pem: publicPem } })],
      /key cannot be used/,
    ],
    [
      "an ES256 token where the issuer's key is on another curve",
      () => sign(claims(), { alg: "ES256", key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey }),
      [issuer({ algorithms: ["ES256"], key: { type: "public", pem: pemOf("ec") } })],
      /key cannot be used/,
    ],
    [
      "an RSA token where the issuer's key is for EdDSA",
      () => sign(claims(), { alg: "RS256", key: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey }),
      [issuer({ algorithms: ["RS256", "EdDSA"], key: { type: "public", pem: pemOf("ed25519") } })],
      /key cannot be used/,
    ],
    [
      "RSA with padding that nobody allowed (PS256)",
      () => sign(claims(), { alg: "PS256", key: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey }),
      [issuer({ algorithms: ["RS256"], key: { type: "public", pem: publicPem } })],
      /algorithm/,
    ],
    [
      "a private key where a public one belongs",
      () => sign(claims(), { alg: "RS256", key: leaked }),
      [issuer({ algorithms: ["RS256"], key: { type: "public", pem: leaked.export({ type: "pkcs8", format: "pem" }).toString() } })],
      /key cannot be used/,
    ],
    ["an algorithm in another spelling", () => forged({ alg: "hs256" }), [issuer()], /algorithm/],
    ["claims that are no object", () => forged({ alg: "HS256" }, [1]), [issuer()], /no signed JWT/],
    ["an exp that is a text", () => sign({ ...without("exp"), exp: String(NOW + 60) } as unknown as JWTPayload), [issuer()], /exp/],
    ["an nbf that is a text", () => sign({ ...claims(), nbf: "0" } as unknown as JWTPayload), [issuer()], /not valid yet/],
    [
      "an iss that is a list",
      () => sign({ ...claims(), iss: ["https://id.example"] } as unknown as JWTPayload),
      [issuer({ issuer: "https://id.example" })],
      /issuer/,
    ],
    ["another secret", () => sign(claims(), { key: Buffer.from("some other secret, long enough") }), [issuer()], /signature/],
    ["an expired token", () => sign(claims({ exp: NOW - 1 })), [issuer()], /expired/],
    ["one that expired beyond the skew", () => sign(claims({ exp: NOW - 61 })), [issuer({ clock_skew_seconds: 60 })], /expired/],
    ["no exp", () => sign(without("exp")), [issuer()], /exp/],
    ["a token before its nbf", () => sign(claims({ nbf: NOW + 1 })), [issuer()], /not valid yet/],
    ["another iss", () => sign(claims({ iss: "https://evil.example" })), [issuer({ issuer: "https://id.example" })], /issuer/],
    ["no iss where one is wanted", () => sign(), [issuer({ issuer: "https://id.example" })], /issuer/],
    ["another aud", () => sign(claims({ aud: "other" })), [issuer({ audiences: ["app"] })], /audience/],
    ["no aud where one is wanted", () => sign(), [issuer({ audiences: ["app"] })], /audience/],
    ["no sub", () => sign(without("sub")), [issuer()], /sub/],
    ["an empty sub", () => sign(claims({ sub: "" })), [issuer()], /sub/],
    ["a sub with control characters", () => sign(claims({ sub: "a\nb" })), [issuer()], /sub/],
    ["an unknown tenant", () => sign(claims({ tenant_id: "ghost" })), [issuer()], /tenant/],
    ["a tenant that is no text", () => sign(claims({ tenant_id: 7 })), [issuer()], /tenant/],
    ["no tenant_id where default does not exist", () => sign(without("tenant_id")), [issuer()], /tenant/],
    ["roles that are no list", () => sign(claims({ roles: "admin" })), [issuer()], /roles/],
    ["channels that are no texts", () => sign(claims({ channels: [1] })), [issuer()], /channels/],
    ["a critical extension", () => forged({ alg: "HS256", crit: ["b64"], b64: false }), [issuer()], /extension/],
    ["a tenant without issuers", () => sign(), [], /accepts no tokens/],
    ["an empty secret", () => sign(), [issuer({ key: { type: "secret", base64: "" } })], /key cannot be used/],
    [
      "a secret known to everybody: the text of a key set's address",
      () => sign(claims(), { key: Buffer.from("https://id.example/keys") }),
      [issuer({ key: { type: "jwks", url: "https://id.example/keys" } })],
      /key cannot be used/,
    ],
    ["a key id that is no text", () => forged({ alg: "HS256", kid: 7 }), [issuer()], /kid/],
    [
      "an unreadable PEM",
      () => forged({ alg: "RS256" }),
      [issuer({ algorithms: ["RS256"], key: { type: "public", pem: "x" } })],
      /key cannot be used/,
    ],
    ["two parts", () => "a.b", [issuer()], /no signed JWT/],
    ["an unsigned token", () => "e30.e30.", [issuer()], /no signed JWT/],
    ["something huge", () => "a".repeat(20_000), [issuer()], /too long/],
  ];
  test.each(cases)("%s", async (_, make, issuers, why) => {
    const token = await make();
    const answer = await verifierOf(issuers).verifier.verify(token);
    if (answer.kind === "verified") throw new Error("the token was accepted");
    expect(answer.detail).toMatch(why);
    expect(answer.detail).not.toContain(token);
  });

  test("whatever else comes", async () => {
    const { verifier } = verifierOf([issuer()]);
    const part = fc.oneof(
      fc.base64String(),
      fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value)).toString("base64url")),
    );
    const token = fc.oneof(
      fc.string(),
      fc.tuple(part, part, part).map((parts) => parts.join(".")),
    );
    await fc.assert(
      fc.asyncProperty(token, async (text) => (await verifier.verify(text)).kind === "refused"),
      { numRuns: 500 },
    );
  });
});

describe("a token that was seen before", () => {
  test("is refused once it expired, and once the tenant's settings changed", async () => {
    let now = NOW * 1000;
    const { verifier, tenants } = verifierOf([issuer()], { now: () => now });
    const token = await sign();
    expect((await verifier.verify(token)).kind).toBe("verified");
    expect((await verifier.verify(token)).kind).toBe("verified");
    now = (NOW + 60) * 1000;
    expect((await verifier.verify(token)).kind).toBe("refused");
    now = NOW * 1000;
    expect((await verifier.verify(token)).kind).toBe("verified");
    tenants.set("acme", tenantSettings({ issuers: [secretIssuer("rotated to another secret")] }));
    expect((await verifier.verify(token)).kind).toBe("refused");
  });
});

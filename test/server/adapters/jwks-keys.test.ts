// Why: a key set is written by strangers. What must never verify a token is a line here.
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import type { JwtAlgorithm } from "@nexus/protocol/resources/credentials.ts";
import { fittingKeys, readKeySet } from "@nexus/server/adapters/jwks-keys.ts";
import fc from "fast-check";
import { keySetText, providerKey } from "../../support/jwks.ts";

const read = (keys: readonly unknown[]) => readKeySet(JSON.stringify({ keys }), undefined);
const ec = providerKey("a").jwk;
const rsa = providerKey("a", "RS256").jwk;
const okp = providerKey("a", "EdDSA").jwk;

describe("a key that can be used", () => {
  test.each([
    ["ES256", ec],
    ["RS256", rsa],
    ["EdDSA", okp],
    ["RSA of 4096 bits", { ...rsa, n: Buffer.alloc(512, 0xff).toString("base64url") }],
    ["one that says nothing about its use", { ...ec, use: undefined, alg: undefined }],
    ["one for verifying", { ...ec, use: undefined, key_ops: ["verify"] }],
    ["one without a name", { ...ec, kid: undefined }],
    ["one with members we do not know", { ...ec, x5c: ["AAAA"], custom: { deep: [1] } }],
  ])("%s", (_, jwk) => {
    expect(read([jwk])?.size).toBe(1);
  });
});

describe("a key that is left out, and the others are kept", () => {
  const privateJwk = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
  const small = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "jwk" });
  test.each<[string, unknown]>([
    ["for encryption", { ...ec, use: "enc" }],
    ["for signing only", { ...ec, key_ops: ["sign"] }],
    ["private", { ...privateJwk, kid: "b" }],
    ["symmetric", { kty: "oct", k: "c2VjcmV0", kid: "b", alg: "HS256" }],
    ["of an unknown kind", { kty: "AKP", pub: "AAAA" }],
    ["of a kind that is a member of every object", { kty: "constructor" }],
    ["of an unknown curve", { ...ec, crv: "P-999" }],
    ["for key agreement", { kty: "OKP", crv: "X25519", x: okp.x, kid: "b" }],
    ["not on its curve", { ...ec, x: ec.y }],
    ["incomplete", { kty: "EC", crv: "P-256", x: ec.x }],
    ["an RSA key of 1024 bits", small],
    ["an RSA key of 8192 bits, which takes long to verify", { ...rsa, n: Buffer.alloc(1024, 0xff).toString("base64url") }],
    ["an RSA key with a huge exponent", { ...rsa, e: rsa.n }],
    ["with a name that is no text", { ...ec, kid: 7 }],
    ["no object", "key"],
    ["null", null],
  ])("%s", (_, jwk) => {
    const set = read([jwk, { ...ec, kid: "good" }]);
    expect([...(set?.values() ?? [])].map(({ kid }) => kid)).toEqual(["good"]);
  });

  test("what comes after the hundredth", () => {
    expect(read([...Array<unknown>(100).fill({ kty: "none" }), ec])?.size).toBe(0);
  });
});

test.each(["", "nonsense", "[]", "null", "{}", '{"keys":{}}', `{"keys":${"[".repeat(100_000)}`])("%.20p is no key set", (text) => {
  expect(readKeySet(text, undefined)).toBeUndefined();
});

test("no text makes it throw", () => {
  const set = fc.record({
    keys: fc.array(
      fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom("kty", "crv", "n", "e", "x", "y", "kid", "alg", "use"), fc.jsonValue())),
    ),
  });
  fc.assert(
    fc.property(set, (value) => readKeySet(JSON.stringify(value), undefined) !== undefined),
    { numRuns: 500 },
  );
});

describe("which keys a token may mean", () => {
  const set = (...keys: readonly Record<string, unknown>[]) => read(keys) ?? new Map();
  const kids = (keys: ReturnType<typeof set>, kid: string | undefined, algorithm: JwtAlgorithm) =>
    fittingKeys(keys, { kid, algorithm }).map((key) => key.kid);
  const es = { ...ec, alg: undefined };
  const other = { ...providerKey("b").jwk, alg: undefined };

  test("by name, all of that name", () => {
    expect(kids(set(es, other, { ...providerKey("b").jwk }), "b", "ES256")).toEqual(["b", "b"]);
    expect(kids(set(es, other), "c", "ES256")).toEqual([]);
  });

  test("without a name, all that fit, sixteen at the most", () => {
    expect(kids(set(es, other, rsa), undefined, "ES256")).toEqual(["a", "b"]);
    const many = Array.from({ length: 40 }, (_, at) => ({ ...es, kid: `k${at}` }));
    expect(kids(set(...many), undefined, "ES256")).toHaveLength(16);
  });

  test("never one for another algorithm, by its own word or by its kind", () => {
    expect(kids(set({ ...rsa, alg: "RS512" }), "a", "RS256")).toEqual([]);
    expect(kids(set({ ...rsa, alg: "PS256" }), "a", "RS256")).toEqual([]);
    expect(kids(set(es), "a", "ES384")).toEqual([]);
    expect(kids(set(es), "a", "RS256")).toEqual([]);
    expect(kids(set({ ...rsa, alg: undefined }), "a", "HS256")).toEqual([]);
    expect(kids(set({ ...okp, alg: "Ed25519" }), "a", "EdDSA")).toEqual(["a"]);
  });
});

test("a key that stays is the same object, one that was changed is not", () => {
  const [first, second] = [providerKey("a"), providerKey("b")];
  const before = readKeySet(keySetText([first, second]), undefined);
  const after = readKeySet(keySetText([second, { ...first, jwk: { ...first.jwk, alg: "ES384" } }]), before);
  const named = (keys: typeof before, kid: string) => [...(keys?.values() ?? [])].find((key) => key.kid === kid);
  expect(named(after, "b")).toBe(named(before, "b")!);
  expect(named(after, "a")).not.toBe(named(before, "a")!);
});

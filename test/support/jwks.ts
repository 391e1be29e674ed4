// Why: tests of tokens need an identity provider: keys that come and go, tokens signed with any of them, and an issuer
// that can be away. It must never touch the network: `test/support/jwks-server.ts` does.
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createJwks, type Jwks } from "@nexus/server/adapters/jwks.ts";
import { type FetchedKeys, JwksError, type JwksOutcome } from "@nexus/server/adapters/jwks-fetch.ts";
import { type JWTPayload, SignJWT } from "jose";

export type ProviderKey = {
  readonly kid: string | undefined;
  readonly alg: string;
  readonly jwk: Readonly<Record<string, unknown>>;
  sign(claims: JWTPayload, header?: Readonly<Record<string, unknown>>): Promise<string>;
};

const PAIRS: Readonly<Record<string, () => { publicKey: KeyObject; privateKey: KeyObject }>> = {
  RS: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ES384: () => generateKeyPairSync("ec", { namedCurve: "P-384" }),
  ES512: () => generateKeyPairSync("ec", { namedCurve: "P-521" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
};

/** A fresh key. `members` are laid over its JWK; `kid` undefined: neither the JWK nor its tokens name it. */
export function providerKey(kid: string | undefined, alg = "ES256", members: Readonly<Record<string, unknown>> = {}): ProviderKey {
  const make = PAIRS[alg] ?? PAIRS[alg.slice(0, 2)];
  if (!make) throw new Error(`no such algorithm: ${alg}`);
  const { publicKey, privateKey } = make();
  const named = kid === undefined ? {} : { kid };
  return {
    kid,
    alg,
    jwk: { ...publicKey.export({ format: "jwk" }), ...named, use: "sig", alg, ...members },
    sign: (claims, header = {}) => new SignJWT(claims).setProtectedHeader({ alg, ...named, ...header }).sign(privateKey),
  };
}

export const keySetText = (keys: readonly ProviderKey[]): string => JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });

/** An issuer in memory: what it answers now, and how often it was asked. */
export class Provider {
  keys: readonly ProviderKey[];
  maxAgeSeconds: number | undefined;
  /** Answers this failure instead while set. */
  failure: Exclude<JwksOutcome, "ok"> | undefined;
  /** Answered as it is instead of the keys while set. */
  text: string | undefined;
  /** Fetches wait for it while set. */
  gate: Promise<void> | undefined;
  asked = 0;

  constructor(...keys: readonly ProviderKey[]) {
    this.keys = keys;
  }

  fetch = async (): Promise<FetchedKeys> => {
    this.asked++;
    await this.gate;
    if (this.failure) throw new JwksError(this.failure, "as the test said");
    return { text: this.text ?? keySetText(this.keys), maxAgeSeconds: this.maxAgeSeconds };
  };
}

/** For tests whose issuers have keys of their own: every key set is out of reach. */
export const noJwks = (): Jwks =>
  createJwks({
    fetch: () => Promise.reject(new JwksError("connect", "there is no network in this test")),
    clock: { monotonic: () => performance.now() },
    random: () => 0.5,
    log: { info: () => undefined, warn: () => undefined },
    fetched: () => undefined,
  });

// Why: what a token says is read and judged here, apart from signatures, so that every refusal is one line of a table.
// It must never repeat a claim's value in a refusal.
import type { TenantIssuer } from "@nexus/protocol/bundle.ts";
import { DEFAULT_TENANT, isUserId } from "@nexus/protocol/names.ts";
import { JWT_ALGORITHMS, type JwtAlgorithm } from "@nexus/protocol/resources/credentials.ts";

/** Longest token that is looked at, in characters. */
export const MAX_TOKEN = 16384;
const MAX_LIST = 256;
const MAX_KID = 512;
/** The last moment that has a date (ECMA-262 section 21.4.1.1), in milliseconds since 1970. */
const LAST_MOMENT = 8_640_000_000_000_000;

export type Token = {
  readonly algorithm: JwtAlgorithm;
  /** Names the key, where the issuer has several; nobody vouches for it. */
  readonly kid: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly signed: string;
  readonly signature: Buffer;
};

/** Splits and reads a compact JWS (RFC 7515 section 7.1); a text says what is wrong. Nothing of it is trusted yet. */
export function readToken(token: string): Token | string {
  if (token.length > MAX_TOKEN) return "The token is too long";
  const [header, payload, signature, ...rest] = token.split(".");
  if (!header || !payload || !signature || rest.length > 0) return "The token is no signed JWT";
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return "The token is no signed JWT";
  const head = readPart(header);
  const claims = readPart(payload);
  if (!head || !claims) return "The token is no signed JWT";
  const algorithm = JWT_ALGORITHMS.find((known) => known === head.alg);
  if (!algorithm) return "The token's algorithm is not accepted";
  // RFC 7515 section 4.1.11: what must be understood and is not, refuses the token.
  if (head.crit !== undefined || head.b64 === false) return "The token uses an extension that is not supported";
  const { kid } = head;
  if (kid !== undefined && (typeof kid !== "string" || kid.length > MAX_KID)) return "The token's key id (kid) is no text";
  return { algorithm, kid, claims, signed: `${header}.${payload}`, signature: Buffer.from(signature, "base64url") };
}

function readPart(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined; // the caller says that it is no JWT
  }
}

/** The tenant a token names; undefined for a claim that is no text. */
export function claimedTenant(claims: Token["claims"]): string | undefined {
  const { tenant_id } = claims;
  if (tenant_id === undefined || tenant_id === null) return DEFAULT_TENANT;
  return typeof tenant_id === "string" ? tenant_id : undefined;
}

/** Whether an issuer is meant: one that names `issuer` wants exactly that `iss`. */
export const isIssuerMeant = (issuer: TenantIssuer, claims: Token["claims"]): boolean =>
  issuer.issuer === undefined || issuer.issuer === claims.iss;

/** `until`: milliseconds since 1970 at which the token stops being accepted, the allowed clock skew included. */
export type Accepted = {
  readonly user: string;
  readonly roles: readonly string[];
  readonly channels: readonly string[];
  readonly until: number;
};

/** RFC 7519 section 4.1, with `exp` and `sub` required. `now` in milliseconds since 1970. A text says what is wrong. */
export function judgeClaims(claims: Token["claims"], issuer: TenantIssuer, now: number): Accepted | string {
  const skew = issuer.clock_skew_seconds * 1000;
  if (typeof claims.exp !== "number" || !Number.isFinite(claims.exp)) return "The token has no expiry (exp)";
  const until = Math.min(claims.exp * 1000 + skew, LAST_MOMENT);
  if (now >= until) return "The token has expired";
  if (claims.nbf !== undefined && (typeof claims.nbf !== "number" || now < claims.nbf * 1000 - skew)) return "The token is not valid yet";
  if (issuer.audiences.length > 0 && !audiencesOf(claims.aud).some((one) => issuer.audiences.includes(one))) {
    return "The token is for another audience";
  }
  if (typeof claims.sub !== "string" || !isUserId(claims.sub)) return "The token has no usable subject (sub)";
  const roles = textsOf(claims.roles);
  const channels = textsOf(claims.channels);
  if (!roles || !channels) return "The token's roles and channels must be lists of texts";
  return { user: claims.sub, roles, channels, until };
}

const audiencesOf = (aud: unknown): readonly string[] => (typeof aud === "string" ? [aud] : (textsOf(aud) ?? []));

/** One for all: most tokens have no such claims. */
const NONE: readonly string[] = [];

function textsOf(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return NONE;
  if (!Array.isArray(value) || value.length > MAX_LIST) return undefined;
  return value.every((item): item is string => typeof item === "string") ? value : undefined;
}

// Why: the closed sets that custom resources and the bundle share about credentials.

export const KEY_SCOPES = ["publish", "read", "admin"] as const;
export type KeyScope = (typeof KEY_SCOPES)[number];

export const JWT_ALGORITHMS = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

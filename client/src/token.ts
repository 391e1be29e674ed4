// Why: what a token says of itself decides when the next one is asked for, and whose streams the places belong to. It must
// never be used to trust anything: nothing is verified here, and a token that cannot be read is no error.

/** `expiresAt` in milliseconds since 1970. `owner` is equal for two tokens of the same user and tenant. */
export type Claims = { readonly expiresAt?: number; readonly owner?: string };

/** An opaque token has no claims. */
export function claimsOf(token: string): Claims {
  const body = token.split(".")[1];
  if (body === undefined) return {};
  try {
    const bytes = Uint8Array.from(atob(body.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims !== "object" || claims === null) return {};
    const { exp, sub, tenant_id: tenant } = claims as Record<string, unknown>; // an object, by the check above
    return {
      ...(typeof exp === "number" && Number.isFinite(exp) ? { expiresAt: exp * 1000 } : {}),
      ...(typeof sub === "string" ? { owner: JSON.stringify([typeof tenant === "string" ? tenant : "default", sub]) } : {}),
    };
  } catch {
    return {}; // no JWT: the server decides what it is worth
  }
}

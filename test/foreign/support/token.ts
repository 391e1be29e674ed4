// Why: clients of others need a token that no code of ours made. It must stay the least a token can be: HS256 by hand.
import { createHmac } from "node:crypto";

/** A token of tenant `acme` for that user. `expiresIn` in seconds. */
export function signed(secret: string, user: string, expiresIn = 3600): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: user, tenant_id: "acme", exp: Math.floor(Date.now() / 1000) + expiresIn };
  const body = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}

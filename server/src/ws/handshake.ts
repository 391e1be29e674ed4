// Why: what a WebSocket handshake says, read before anything is decided: where the token is and which dialect is meant.
// It must never decide, log or echo a token.
import { SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX } from "@nexus/protocol/frames.ts";

/** `full`: the client offered `nexus.v1.json`. `token`, `ticket`: undefined when none was sent. */
export type Handshake = {
  readonly token: string | undefined;
  readonly ticket: string | undefined;
  readonly full: boolean;
  readonly origin: string | undefined;
  /** `?cursor=` as it came. */
  readonly cursor: string | undefined;
};

/** The token in `?token=` wins, then `Authorization: Bearer`, then a subprotocol `nexus.token.<jwt>`; then `?ticket=`. */
export function readHandshake(request: Request): Handshake {
  const offers = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((offer) => offer.trim());
  const offered = offers.find((offer) => offer.startsWith(TOKEN_SUBPROTOCOL_PREFIX))?.slice(TOKEN_SUBPROTOCOL_PREFIX.length);
  const query = queryOf(request.url);
  return {
    token: query.get("token") || bearer(request.headers.get("authorization")) || offered || undefined,
    ticket: query.get("ticket") || undefined,
    full: offers.includes(SUBPROTOCOL),
    origin: request.headers.get("origin") ?? undefined,
    cursor: query.get("cursor") || undefined,
  };
}

/** Whether the request asks for a WebSocket at all (RFC 6455 section 4.1). */
export const isUpgrade = (request: Request): boolean => request.headers.get("upgrade")?.toLowerCase() === "websocket";

/** The first value of a repeated parameter counts. */
function queryOf(url: string): URLSearchParams {
  const at = url.indexOf("?");
  return new URLSearchParams(at < 0 ? "" : url.slice(at + 1));
}

function bearer(header: string | null): string | undefined {
  const match = /^bearer +(.+)$/i.exec(header ?? "");
  return match?.[1]?.trim();
}

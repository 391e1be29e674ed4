// Why: `/ws` and `/sse` share the public port with the operations, so the document tells how to open them. What travels
// afterwards is no REST: docs/reference/websocket.md has the frames, and this must never repeat them.
import type { FailureCode } from "../failures.ts";
import { SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX } from "../frames.ts";
import { NAME_SCHEMAS } from "../names.ts";
import { refusals } from "./openapi-failures.ts";
import { headerRefs } from "./openapi-parameters.ts";
import type { JsonObject } from "./openapi-schema.ts";
import { LISTEN_ENDPOINTS } from "./operations.ts";

type ListenPath = (typeof LISTEN_ENDPOINTS)[number]["path"];

const ADMISSION: readonly FailureCode[] = [
  ...(["invalid_header", "unauthorized", "token_expired", "forbidden", "tenant_suspended", "connection_limit", "rate_limited"] as const),
  ...(["node_full", "shutting_down", "issuer_unavailable", "broker_unavailable", "internal"] as const),
];

const string = (description: string) => ({ description, schema: { type: "string" } });
const PARAMETERS: Readonly<Record<ListenPath, readonly JsonObject[]>> = {
  "/ws": [
    { name: "Upgrade", in: "header", required: true, description: "RFC 6455 section 4.1.", schema: { const: "websocket" } },
    {
      name: "Sec-WebSocket-Protocol",
      in: "header",
      ...string(`\`${SUBPROTOCOL}\` for the full dialect; \`${TOKEN_SUBPROTOCOL_PREFIX}<jwt>\` carries the token and is never echoed.`),
    },
  ],
  "/sse": [
    {
      ...{ name: "channels", in: "query", style: "form", explode: false, schema: { type: "array", items: NAME_SCHEMAS.channel } },
      description: "Channels to listen to. One that cannot be had is told by an `error` event.",
    },
    { name: "cursor", in: "query", ...string("The last `id` that came, to go on from there. A bad one is told by an `error` event.") },
    { name: "Last-Event-ID", in: "header", ...string("The same, as EventSource sends it when it reconnects; it wins.") },
  ],
};

const EVENTS = {
  description: "Events `connected`, `notification` (its `id` is the cursor), `subscribed`, `gap`, `heartbeat`, `error`, `shutdown`.",
  headers: headerRefs(["X-Request-ID"]),
  content: { "text/event-stream": { schema: { type: "string" } } },
};

const OPENED: Readonly<Record<ListenPath, JsonObject>> = {
  "/ws": { "101": { description: "The socket is open; its first frame is `connected`." } },
  "/sse": {
    "200": EVENTS,
    "204": { description: "Stay away: a token that can never work again came with a reconnect. EventSource stops at this." },
  },
};

const LISTENER = [{ bearer: [] }, { token: [] }, { ticket: [] }];

/** Path items by path. */
export function listenPaths(tag: string): JsonObject {
  return Object.fromEntries(
    LISTEN_ENDPOINTS.map(({ path, summary }) => {
      const responses = { ...OPENED[path], ...refusals(ADMISSION, false) };
      const get = { operationId: path.slice(1), summary, tags: [tag], security: LISTENER, parameters: PARAMETERS[path], responses };
      return [path, { get }];
    }),
  );
}

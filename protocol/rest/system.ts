// Why: operations that need no key or a listening person's token.
import type { Operation } from "./operation.ts";

export const SYSTEM = [
  {
    id: "createTicket",
    method: "POST",
    path: "/api/v1/tickets",
    summary: "One-use ticket for /ws and /sse",
    auth: "session",
    served: false,
  },
  { id: "health", method: "GET", path: "/health", summary: "Health; 200 also when degraded", auth: "public", served: true },
  { id: "openapi", method: "GET", path: "/openapi.json", summary: "This contract as OpenAPI 3.1", auth: "public", served: true },
] as const satisfies readonly Operation[];

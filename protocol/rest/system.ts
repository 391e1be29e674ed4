// Why: operations that need no key or a listening person's token.
import { Type } from "@sinclair/typebox";
import { HealthResult } from "./health.ts";
import type { Operation } from "./operation.ts";

/** A ticket is a secret of whoever asked for it. */
export const Ticket = Type.Object({
  ticket: Type.String({ description: "For `?ticket=` of /ws or /sse, once." }),
  expires_in_seconds: Type.Integer({ minimum: 0, description: "At most 30, and never beyond the life of the token." }),
});

const OpenApiResult = Type.Object(
  { openapi: Type.String(), info: Type.Object({}), paths: Type.Object({}), components: Type.Object({}) },
  { description: "OpenAPI 3.1." },
);

export const SYSTEM = [
  {
    id: "createTicket",
    method: "POST",
    path: "/api/v1/tickets",
    summary: "One-use ticket for /ws and /sse",
    auth: "session",
    result: Ticket,
  },
  {
    id: "health",
    method: "GET",
    path: "/health",
    summary: "Health; 200 also when degraded",
    auth: "public",
    result: HealthResult,
  },
  {
    id: "openapi",
    method: "GET",
    path: "/openapi.json",
    summary: "This contract as OpenAPI 3.1",
    auth: "public",
    result: OpenApiResult,
  },
] as const satisfies readonly Operation[];

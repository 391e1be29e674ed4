// Why: every REST operation of the contract in one list, from which the server makes its routes, the reference its
// pages, and a test its proof that nothing is missing. Each of them is served.
import { INBOX } from "./inbox.ts";
import { LISTENERS } from "./listeners.ts";
import type { Operation } from "./operation.ts";
import { PUBLISHING } from "./publishing.ts";
import { STATISTICS } from "./statistics.ts";
import { SYSTEM } from "./system.ts";
import { TEMPLATES } from "./templates.ts";
import { TENANTS } from "./tenants.ts";

export const OPERATIONS = [
  ...PUBLISHING,
  ...LISTENERS,
  ...INBOX,
  ...TEMPLATES,
  ...TENANTS,
  ...STATISTICS,
  ...SYSTEM,
] as const satisfies readonly Operation[];

export type OperationId = (typeof OPERATIONS)[number]["id"];

/** The socket endpoints, for the reference: they share the public port but are no REST operations. */
export const LISTEN_ENDPOINTS = [
  { method: "GET", path: "/ws", summary: "WebSocket" },
  { method: "GET", path: "/sse", summary: "Server-sent events" },
] as const;

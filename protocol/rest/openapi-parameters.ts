// Why: what an operation is asked with beside its body, and the headers it answers with, in OpenAPI's words. It must never
// hold a rule of its own: names come from protocol/names.ts, queries from the operation.
import { NAME_SCHEMAS } from "../names.ts";
import type { JsonObject, SchemaWriter } from "./openapi-schema.ts";
import type { Operation } from "./operation.ts";

const uuid = (what: string) => ({ type: "string", format: "uuid", description: what }) as const;

/** What a brace stands for, by the one or two path segments before it; two win. */
const PATH_PARAMETERS: Readonly<Record<string, JsonObject>> = {
  channels: NAME_SCHEMAS.channel,
  users: NAME_SCHEMAS.user,
  tenants: NAME_SCHEMAS.tenant,
  templates: NAME_SCHEMAS.template,
  sessions: uuid("Session: `connection_id` of its connected frame."),
  notifications: uuid("Notification: `notification_id` of the publish."),
  inbox: uuid("Notification that the inbox keeps."),
  // Nobody is told that a user cannot exist: the answer is `found: false`.
  "cluster/users": { type: "string", minLength: 1, description: "User." },
};

const VISIBLE = "^[\\x21-\\x7e]+$";

/** `components.parameters`. */
export const PARAMETERS = {
  TenantId: {
    name: "X-Tenant-ID",
    in: "header",
    description: "Tenant a platform key acts for (`default` when absent). A tenant key may only repeat its own.",
    schema: NAME_SCHEMAS.tenant,
  },
  RequestId: {
    name: "X-Request-ID",
    in: "header",
    description: "1-128 visible ASCII characters come back in the answer; anything else is replaced by an id of the server's.",
    schema: { type: "string" },
  },
  IdempotencyKey: {
    name: "Idempotency-Key",
    in: "header",
    description: "Makes repeating this write safe for 24 hours: the first answer comes again, and nothing is done twice.",
    schema: { type: "string", minLength: 1, maxLength: 255, pattern: VISIBLE },
  },
  TraceParent: {
    name: "traceparent",
    in: "header",
    description: "W3C trace context: the trace this publish is part of. What is none is ignored.",
    schema: { type: "string" },
  },
  TraceState: { name: "tracestate", in: "header", description: "W3C trace context, beside traceparent.", schema: { type: "string" } },
} as const satisfies Readonly<Record<string, JsonObject>>;

/** `components.headers`. */
export const HEADERS = {
  "X-Request-ID": { description: "Id of this request, as the server's log has it.", required: true, schema: { type: "string" } },
  "X-RateLimit-Limit": { description: "Requests per second. Absent while limits are off.", schema: { type: "integer", minimum: 1 } },
  "X-RateLimit-Remaining": { description: "Tokens left of the burst.", schema: { type: "integer", minimum: 0 } },
  "X-RateLimit-Reset": { description: "When the burst is whole again, Unix milliseconds.", schema: { type: "integer" } },
  "Retry-After": { description: "Seconds to wait before asking again.", schema: { type: "integer", minimum: 0 } },
  "WWW-Authenticate": { description: "What would be accepted (RFC 9110 section 11.6.1).", schema: { type: "string" } },
  "Idempotency-Replayed": { description: "`true` when this is the first answer, come again.", schema: { const: "true" } },
} as const satisfies Readonly<Record<string, JsonObject>>;
export type HeaderName = keyof typeof HEADERS;

export const headerRefs = (names: readonly HeaderName[]): JsonObject =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));

export const parameterRef = (name: keyof typeof PARAMETERS): JsonObject => ({ $ref: `#/components/parameters/${name}` });

/** Whether it takes a key, and then `X-Tenant-ID` too. */
export const takesKey = ({ auth }: Operation): boolean => auth !== "public" && auth !== "session";

/** Whether it takes `Idempotency-Key`. A preview changes nothing and takes it all the same: every POST does. */
export const isWrite = ({ method }: Operation): boolean => method !== "GET";

/** @throws Error for a brace whose meaning no table names: a new kind of path needs a line above */
export function parametersOf(operation: Operation, writer: SchemaWriter): readonly JsonObject[] {
  return [
    ...pathParameters(operation.path),
    ...queryParameters(operation, writer),
    ...(takesKey(operation) ? [parameterRef("TenantId")] : []),
    ...(isWrite(operation) ? [parameterRef("IdempotencyKey")] : []),
    ...(operation.auth === "publish" ? [parameterRef("TraceParent"), parameterRef("TraceState")] : []),
    parameterRef("RequestId"),
  ];
}

function pathParameters(path: string): readonly JsonObject[] {
  return [...path.matchAll(/(?:(\w+)\/)?(\w+)\/\{(\w+)\}/g)].map(([, first = "", before = "", name = ""]) => {
    const found = PATH_PARAMETERS[`${first}/${before}`] ?? PATH_PARAMETERS[before];
    if (!found) throw new Error(`${path}: no schema for what follows ${before}/`);
    const { description = "", ...schema } = found;
    return { name, in: "path", required: true, description, schema };
  });
}

function queryParameters({ query }: Operation, writer: SchemaWriter): readonly JsonObject[] {
  const required: readonly string[] = query?.required ?? [];
  return Object.entries(query?.properties ?? {}).map(([name, property]) => {
    const { description = "", ...schema } = writer.write(property);
    return { name, in: "query", required: required.includes(name), description, schema };
  });
}

// Why: the REST contract as a document that other people's tools read, made from the tables the server routes by, so that it
// cannot promise another contract. Pure: the same version gives the same bytes.
import type { TSchema } from "@sinclair/typebox";
import type { Json } from "../canonical.ts";
import { Audience, Priority } from "../frames.ts";
import { Content, PublishResult } from "./content.ts";
import { INBOX } from "./inbox.ts";
import { LISTENERS } from "./listeners.ts";
import { failuresOf, Problem, refusals } from "./openapi-failures.ts";
import { listenPaths } from "./openapi-listen.ts";
import { HEADERS, type HeaderName, headerRefs, isWrite, PARAMETERS, parametersOf, takesKey } from "./openapi-parameters.ts";
import { createSchemaWriter, type JsonObject, type SchemaWriter } from "./openapi-schema.ts";
import type { Operation } from "./operation.ts";
import { PUBLISHING } from "./publishing.ts";
import { STATISTICS } from "./statistics.ts";
import { SYSTEM } from "./system.ts";
import { TEMPLATES } from "./templates.ts";
import { TENANTS } from "./tenants.ts";

type Group = { readonly name: string; readonly description: string; readonly operations: readonly Operation[] };

const GROUPS: readonly Group[] = [
  { name: "Publishing", description: "Send notifications and see what became of them.", operations: PUBLISHING },
  { name: "Listeners", description: "Who listens, where, and to what.", operations: LISTENERS },
  { name: "Inbox", description: "What is kept for a user.", operations: INBOX },
  { name: "Templates", description: "Content with placeholders.", operations: TEMPLATES },
  { name: "Tenants", description: "Tenants and the fleet.", operations: TENANTS },
  { name: "Statistics", description: "Counters.", operations: STATISTICS },
  { name: "System", description: "What needs no key.", operations: SYSTEM },
];
const LISTENING = { name: "Listening", description: "Sockets and event streams." };

const SHARED: Readonly<Record<string, TSchema>> = { Audience, Content, Priority, Problem, PublishResult };

const SECURITY_SCHEMES = {
  apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "A tenant key with its scopes, or a platform key." },
  bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "A listening person's token." },
  token: { type: "apiKey", in: "query", name: "token", description: "The same token where no header can be set; it wins." },
  ticket: { type: "apiKey", in: "query", name: "ticket", description: "A one-use ticket from `createTicket`." },
} as const satisfies Readonly<Record<string, JsonObject>>;

/** An OpenAPI 3.1.1 document. */
export type OpenApiDocument = { readonly openapi: string; readonly paths: JsonObject; readonly components: JsonObject } & JsonObject;

/** Every operation of the contract, and how to open `/ws` and `/sse`. @param version of the server that answers */
export function openApiDocument(version: string): OpenApiDocument {
  const writer = createSchemaWriter(SHARED);
  writer.write(Problem); // every operation refers to it
  const paths: Record<string, Record<string, Json>> = {};
  for (const { name, operations } of GROUPS) {
    for (const operation of operations) {
      paths[operation.path] = {
        ...paths[operation.path],
        [operation.method.toLowerCase()]: operationObject(operation, { tag: name, writer }),
      };
    }
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Nexus",
      version,
      summary: "Real-time notifications",
      description: "Publish notifications and look after those who listen. Unknown members of bodies are ignored.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    jsonSchemaDialect: "https://json-schema.org/draft/2020-12/schema",
    servers: [{ url: "/", description: "Where this document came from." }],
    tags: [...GROUPS, LISTENING].map(({ name, description }) => ({ name, description })),
    paths: { ...paths, ...listenPaths(LISTENING.name) },
    components: {
      securitySchemes: SECURITY_SCHEMES,
      parameters: PARAMETERS,
      headers: HEADERS,
      schemas: writer.components(),
    },
  };
}

type Place = { readonly tag: string; readonly writer: SchemaWriter };

function operationObject(operation: Operation, { tag, writer }: Place): JsonObject {
  const { id, summary, body } = operation;
  const json = (schema: TSchema) => ({ content: { "application/json": { schema: writer.write(schema) } } });
  return {
    operationId: id,
    summary,
    tags: [tag],
    security: security(operation),
    parameters: parametersOf(operation, writer),
    ...(body ? { requestBody: { required: true, ...json(body) } } : {}),
    responses: { ...success(operation, json), ...refusals(failuresOf(operation), takesKey(operation)) },
  };
}

/** What a key must be allowed is named as a role (OpenAPI 3.1 section 4.8.30). */
function security({ auth }: Operation): readonly JsonObject[] {
  if (auth === "public") return [];
  return auth === "session" ? [{ bearer: [] }, { token: [] }] : [{ apiKey: [auth] }];
}

function success(operation: Operation, json: (schema: TSchema) => JsonObject): JsonObject {
  const { status = 200, result } = operation;
  const headers: HeaderName[] = ["X-Request-ID"];
  if (takesKey(operation)) headers.push("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset");
  if (isWrite(operation)) headers.push("Idempotency-Replayed");
  const description = { 200: "Done.", 201: "Created.", 204: "Done; no body." }[status];
  const content = status === 204 ? {} : result ? json(result) : { content: { "application/json": { schema: { type: "object" } } } };
  return { [String(status)]: { description, headers: headerRefs(headers), ...content } };
}

// Why: the wire reference is written from the same tables the server routes by, so it can never promise another contract.
// Pure: the schemas and tables in, Markdown out.
import type { TSchema } from "@sinclair/typebox";
import { FAILURES, problemType } from "../../protocol/failures.ts";
import { CLIENT_FRAMES, FULL_DIALECT_ONLY, SUBPROTOCOL } from "../../protocol/frames.ts";
import type { Operation } from "../../protocol/rest/operation.ts";
import { LISTEN_ENDPOINTS, OPERATIONS } from "../../protocol/rest/operations.ts";

const HEADER = "<!-- Generated from protocol/ by `npm run generate`. Do not edit. -->\n\n";
const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
const row = (...cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
const table = (head: readonly string[], rows: readonly string[]) => [row(...head), row(...head.map(() => "---")), ...rows, ""].join("\n");

/** A schema's type in words a reader of JSON knows. */
export function typeOf(schema: TSchema): string {
  if (schema.type === "object") return "object";
  if (Array.isArray(schema.anyOf))
    return schema.anyOf.map((one: TSchema) => (one.const === undefined ? typeOf(one) : `\`${one.const}\``)).join(" or ");
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (Array.isArray(schema.enum)) return schema.enum.map((value: unknown) => `\`${value}\``).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  return schema.type ?? "any JSON value";
}

function fieldsOf(schema: TSchema): string {
  return table(["field", "type", "required", ""], rowsOf(schema, ""));
}

/** A row for each member, and below it its own members: `stats.sent`, `items[].id`. */
function rowsOf(schema: TSchema, prefix: string): readonly string[] {
  const required: readonly string[] = schema.required ?? [];
  return Object.entries<TSchema>(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const inner = field.type === "array" ? rowsOf(field.items ?? {}, `${path}[].`) : rowsOf(field, `${path}.`);
    return [row(`\`${path}\``, typeOf(field), required.includes(name) ? "yes" : "", field.description ?? ""), ...inner];
  });
}

const AUTH: Readonly<Record<Operation["auth"], string>> = {
  public: "no key",
  publish: "key with scope publish",
  read: "key with scope read",
  admin: "key with scope admin",
  session: "JWT",
  platform: "platform key",
};

/** `docs/reference/rest.md`. */
export function restReference(): string {
  const operations: readonly Operation[] = OPERATIONS;
  const overview = operations.map((one) => row(`\`${one.method} ${one.path}\``, one.summary, AUTH[one.auth]));
  const details = operations
    .filter((one) => one.body ?? one.query ?? one.result)
    .map((one) => {
      const parts: readonly (readonly [string, TSchema | undefined])[] = [
        ["Query", one.query],
        ["Body", one.body],
        [String(one.status ?? 200), one.result],
      ];
      const tables = parts.flatMap(([title, schema]) =>
        schema ? [`${title}:\n\n${schema.properties ? fieldsOf(schema) : `${typeOf(schema)}\n`}`] : [],
      );
      return `### ${one.summary}\n\n\`${one.method} ${one.path}\`\n\n${tables.join("\n")}`;
    });
  return [
    `${HEADER}# REST\n`,
    "JSON in and out. `X-API-Key` names the caller; a platform key acts for the tenant in `X-Tenant-ID`, or for `default`.",
    "Unknown members of bodies are ignored. Every write takes an `Idempotency-Key`. `GET /openapi.json` has the same as",
    "OpenAPI 3.1, with the refusals of each.\n",
    table(["operation", "", "who"], overview),
    "Sockets share the port:\n",
    table(
      ["endpoint", ""],
      LISTEN_ENDPOINTS.map((one) => row(`\`${one.method} ${one.path}\``, one.summary)),
    ),
    "## Queries, bodies and answers\n",
    details.join("\n"),
  ].join("\n");
}

/** `docs/reference/websocket.md`. */
export function socketReference(): string {
  const frames = Object.entries(CLIENT_FRAMES).map(([type, schema]) => {
    const properties: Readonly<Record<string, TSchema>> = schema.properties;
    const payload = properties.payload;
    const rows = payload?.properties ? fieldsOf(payload) : payload ? `payload: ${typeOf(payload)}\n` : "No payload.\n";
    return `### ${type}\n\n${rows}`;
  });
  return [
    `${HEADER}# WebSocket\n`,
    `\`GET /ws\`. A client that offers the subprotocol \`${SUBPROTOCOL}\` speaks the full dialect; one that offers none`,
    `speaks the silent dialect of existing clients and never gets ${FULL_DIALECT_ONLY.map((type) => `\`${type}\``).join(" or ")}.\n`,
    "The token is a JWT in `?token=` (wins), in `Authorization: Bearer`, or as subprotocol `nexus.token.<jwt>`, which is",
    "never echoed. One JSON object per text frame, `{type, payload, id?}`; `id` comes back in the answer.\n",
    "## Client to server\n",
    frames.join("\n"),
  ].join("\n");
}

/** `docs/reference/failures.md`. */
export function failureReference(): string {
  const rows = Object.entries(FAILURES).map(([code, one]) =>
    row(`\`${code}\``, one.title, String(one.status), `\`${one.wire}\``, "close" in one ? String(one.close) : "", one.retry ? "yes" : "no"),
  );
  return [
    `${HEADER}# Failures\n`,
    "One table for HTTP, sockets and the SDK. HTTP bodies are `application/problem+json` (RFC 9457) with `type`",
    `\`${problemType("internal").replace("internal", "<code>")}\`, and beside it \`error: {code, message}\`. Close codes 4000-4499 mean`,
    "reconnect with back-off, 4500-4999 do not come back unchanged. A failure without one ends no session.\n",
    table(["code", "", "HTTP", "`error.code`", "close", "retry"], rows),
  ].join("\n");
}

// Why: a backend's call as one command. It does what the REST operation does and nothing beside it; the key is never shown.
import { PRIORITIES } from "@nexus/protocol/frames.ts";
import type { Arguments } from "../args.ts";
import { command, required, UsageError } from "../command.ts";

const TIMEOUT_MS = 30_000;

export const send = command(
  {
    line: "send --url URL --key KEY (--user ID | --channel NAME | --broadcast) (--template ID [--var k=v] | --event TYPE --payload JSON)",
    about: "Sends one notification and prints the server's answer.",
    options: [
      { name: "--url", value: "URL", about: "Address of the server. Or NEXUS_URL in the environment." },
      { name: "--key", value: "KEY", about: "API key. Or NEXUS_API_KEY in the environment." },
      { name: "--tenant", value: "ID", about: "For a platform key: the tenant to act for." },
      { name: "--user", value: "ID", about: "To one user, on every device." },
      { name: "--channel", value: "NAME", about: "To a channel." },
      { name: "--broadcast", about: "To everyone of the tenant who is online." },
      { name: "--template", value: "ID", about: "A template of the tenant." },
      {
        name: "--var",
        value: "NAME=TEXT",
        many: true,
        about: "A template's variable as text; NAME:=JSON for another type. May be repeated.",
      },
      { name: "--locale", value: "TAG", about: "Language of the template." },
      { name: "--event", value: "TYPE", about: "Event type, for content of your own." },
      { name: "--payload", value: "JSON", about: "Payload, for content of your own." },
      { name: "--priority", value: "NAME", about: PRIORITIES.join(", ") },
      { name: "--ttl", value: "SECONDS", about: "How long it lives." },
      { name: "--idempotency-key", value: "TEXT", about: "The same key again sends nothing twice." },
    ],
    examples: [
      'send --url http://127.0.0.1:8081 --key "$KEY" --user ada --template order-shipped --var order=A-1 --var parcels:=2',
      `send --channel orders.17 --event order.paid --payload '{"total": 12}'`,
    ],
  },
  async (args, io) => {
    const url = required(args, "--url", io, "NEXUS_URL");
    if (!/^https?:\/\/[^/]/.test(url)) throw new UsageError("--url: must be an address such as http://127.0.0.1:8081");
    const key = required(args, "--key", io, "NEXUS_API_KEY");
    const { operation, target } = targetOf(args);
    const body = { ...target, ...contentOf(args) };
    const [tenant, idempotencyKey] = [args.get("--tenant"), args.get("--idempotency-key")];
    const answer = await fetch(`${url.replace(/\/+$/, "")}/api/v1/notifications/${operation}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-api-key": key,
        ...(tenant === undefined ? {} : { "x-tenant-id": tenant }),
        ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((error: unknown) => {
      throw new Error(`${url} cannot be reached: ${error instanceof Error ? error.message : String(error)}`);
    });
    const text = await answer.text();
    if (answer.ok) io.out(text);
    else io.err(`nexus: the server answered ${answer.status}: ${refusalOf(text)}`);
    return answer.ok ? 0 : 1;
  },
);

/** A problem (RFC 9457) as one line with its fields and the request's id; any other text as it came (a proxy's page). */
function refusalOf(text: string): string {
  const said = problemOf(text);
  if (said?.code === undefined) return text;
  const fields = (said.errors ?? []).map(({ pointer, detail }) => `${pointer}: ${detail}`).join("; ");
  return `${said.code}: ${said.detail ?? said.title ?? ""}${fields === "" ? "" : ` (${fields})`} [request ${said.request_id ?? "unknown"}]`;
}

type Said = {
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly request_id?: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
};

function problemOf(text: string): Said | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "type" in value && String(value.type).startsWith("urn:nexus:problem:")
      ? (value as Said) // the server's own shape, by its type
      : undefined;
  } catch {
    return undefined; // shown as it came
  }
}

function targetOf(args: Arguments): { readonly operation: string; readonly target: Readonly<Record<string, string>> } {
  const given = ["--user", "--channel", "--broadcast"].filter((name) => args.has(name));
  if (given.length !== 1) throw new UsageError(`${given.join(", ") || "--user, --channel, --broadcast"}: exactly one of them`);
  const [user, channel] = [args.get("--user"), args.get("--channel")];
  if (user !== undefined) return { operation: "send", target: { target_user_id: user } };
  return channel === undefined ? { operation: "broadcast", target: {} } : { operation: "channel", target: { channel } };
}

function contentOf(args: Arguments): Readonly<Record<string, unknown>> {
  const [template, event, payload, priority, ttl] = ["--template", "--event", "--payload", "--priority", "--ttl"].map((name) =>
    args.get(name),
  );
  if ((template === undefined) === (event === undefined)) throw new UsageError("--template, --event: exactly one of them");
  if (event !== undefined && payload === undefined) throw new UsageError("--payload: is required with --event");
  if (template === undefined && (args.has("--var") || args.has("--locale"))) throw new UsageError("--var, --locale: belong to --template");
  if (priority !== undefined && !PRIORITIES.some((one) => one === priority))
    throw new UsageError(`--priority: must be one of ${PRIORITIES.join(", ")}`);
  if (ttl !== undefined && !/^\d{1,10}$/.test(ttl)) throw new UsageError("--ttl: must be a whole number of seconds");
  const locale = args.get("--locale");
  return {
    ...(template === undefined ? {} : { template_id: template, variables: variablesOf(args.all("--var")) }),
    ...(locale === undefined ? {} : { locale }),
    ...(event === undefined || payload === undefined ? {} : { event_type: event, payload: jsonOf("--payload", payload) }),
    ...(priority === undefined ? {} : { priority }),
    ...(ttl === undefined ? {} : { ttl: Number(ttl) }),
  };
}

function variablesOf(words: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    words.map((word) => {
      const [, name, sign, value = ""] = /^([^=:]+)(:?=)(.*)$/s.exec(word) ?? [];
      if (name === undefined) throw new UsageError("--var: must be NAME=TEXT or NAME:=JSON");
      return [name, sign === ":=" ? jsonOf(`--var ${name}`, value) : value];
    }),
  );
}

function jsonOf(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`${name}: must be JSON (text in quotes: '"like this"')`);
  }
}

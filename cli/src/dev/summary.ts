// Why: the first screen of the product. Every line on it can be pasted and works; the JSON line is for scripts and says the
// same. Pure.
import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import { mintToken } from "../jwt.ts";
import type { DevBundle, DevTenant } from "./compile.ts";

export type Addresses = { readonly url: string; readonly opsUrl: string };
const DAY_SECONDS = 86_400;
/** Who the examples are about. */
export const EXAMPLE_USER = "ada";

/** A token of the tenant, good for a day. */
export function devToken(
  { id, signer }: DevTenant,
  user: string,
  options: { readonly now: number; readonly roles?: readonly string[]; readonly channels?: readonly string[] },
): string {
  const { now, roles = [], channels = [] } = options;
  const claims = {
    sub: user,
    ...(id === "default" ? {} : { tenant_id: id }),
    ...(roles.length > 0 ? { roles } : {}),
    ...(channels.length > 0 ? { channels } : {}),
    ...(signer.issuer === undefined ? {} : { iss: signer.issuer }),
    ...(signer.audience === undefined ? {} : { aud: signer.audience }),
  };
  return mintToken(signer.secret, claims, { now, lifetimeSeconds: DAY_SECONDS, algorithm: signer.algorithm });
}

/** `{"url","ops_url","tenants":[…],"platform_key","pid"}`, one line. */
export const readyLine = ({ url, opsUrl }: Addresses, { tenants, platformKey }: DevBundle, pid: number): string =>
  JSON.stringify({
    url,
    ops_url: opsUrl,
    tenants: tenants.map(({ id, apiKey, signer }) => ({ tenant_id: id, api_key: apiKey, jwt_secret: signer.secret })),
    platform_key: platformKey,
    pid,
  });

/** Something the template takes, by the declared type of each variable. */
export function exampleVariables({ variables }: Pick<TemplateSettings, "variables">): Record<string, unknown> {
  const samples = { string: "A-1", number: 1.5, integer: 1, boolean: true, object: {}, array: [], any: "A-1" } as const;
  return Object.fromEntries(variables.filter(({ required }) => required).map(({ name, type }) => [name, samples[type]]));
}

/** A body for `send` that works with this tenant. */
export function exampleBody({ templates: [template] }: Pick<DevTenant, "templates">): Record<string, unknown> {
  const content = template
    ? { template_id: template.template_id, variables: exampleVariables(template) }
    : { event_type: "greeting", payload: { text: "Hello" } };
  return { target_user_id: EXAMPLE_USER, ...content };
}

/** For a POSIX shell: single quotes, and those inside taken out. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export type Style = { readonly colour: boolean; readonly now: number; readonly paths: readonly string[] };

export function summary({ url, opsUrl }: Addresses, bundle: DevBundle, { colour, now, paths }: Style): string {
  const paint = (code: number, text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
  const row = (name: string, value: string) => `  ${paint(2, name.padEnd(10))}${value}`;
  const templates = bundle.tenants.reduce((sum, tenant) => sum + tenant.templates.length, 0);
  const counted = (count: number, word: string) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const lines = [
    "",
    `  ${paint(1, "Nexus")} is running ${paint(2, `${bundle.cluster}: ${counted(bundle.tenants.length, "tenant")}, ${counted(templates, "template")}`)}`,
    "",
    row("Console", paint(36, `${url}/console`)),
    row("Address", url),
    row("Ops", `${opsUrl}/metrics`),
    row("Files", `${paths.join(", ")} ${paint(2, "(an edit is live when you save it)")}`),
    "",
  ];
  const [tenant] = bundle.tenants;
  if (!tenant) return [...lines, `  ${paint(33, "No tenant could be loaded: nobody can connect or send yet.")}`, ""].join("\n");
  const token = devToken(tenant, EXAMPLE_USER, { now });
  const send = `curl -sS ${url}/api/v1/notifications/send \\\n    -H ${quoted(`X-API-Key: ${tenant.apiKey}`)} -H 'Content-Type: application/json' \\\n    -d ${quoted(JSON.stringify(exampleBody(tenant)))}`;
  lines.push(
    row("Tenant", tenant.id),
    row("API key", tenant.apiKey),
    row("Token", `${token} ${paint(2, `(user ${EXAMPLE_USER}, a day)`)}`),
    "",
    `  ${paint(2, `Listen as ${EXAMPLE_USER}`)}`,
    `  npm run --silent nexus -- listen --url ${url} --token ${token}`,
    "",
    `  ${paint(2, `Send to ${EXAMPLE_USER}`)}`,
    `  ${send}`,
    "",
    `  ${paint(2, "Ctrl-C ends it.")}`,
    "",
  );
  return lines.join("\n");
}

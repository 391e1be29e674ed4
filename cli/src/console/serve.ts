// Why: the console's address on the public port of `nexus dev`. It hands out keys and tokens, so it answers this machine's
// browser and nobody else: the Host has to be a loopback name (a page that rebinds its name is refused), and other sites'
// requests are refused too. It exists in dev mode only.
import type { DevBundle } from "../dev/compile.ts";
import { devToken, exampleVariables } from "../dev/summary.ts";
import base from "./base.css" with { type: "text" };
import { consoleScript } from "./bundle.ts" with { type: "macro" };
import page from "./console.html" with { type: "text" };
import parts from "./parts.css" with { type: "text" };

export type ConsoleDeps = { readonly bundle: () => DevBundle; readonly now: () => number };

const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/;
const MAX_BODY_BYTES = 4096;

const SECURITY = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

const answer = (body: string, type: string, status = 200): Response =>
  new Response(body, { status, headers: { ...SECURITY, "content-type": `${type}; charset=utf-8` } });
const json = (value: unknown, status = 200): Response => answer(JSON.stringify(value), "application/json", status);

/** Undefined for paths that are not the console's. */
export function createConsole(deps: ConsoleDeps): (request: Request) => Promise<Response> | undefined {
  const script = consoleScript();
  return (request) => {
    const { pathname } = new URL(request.url);
    if (pathname !== "/" && pathname !== "/console" && !pathname.startsWith("/console/")) return undefined;
    return respond(request, pathname, { ...deps, script });
  };
}

async function respond(
  request: Request,
  path: string,
  { bundle, now, script }: ConsoleDeps & { readonly script: string },
): Promise<Response> {
  if (!isOwn(request)) return answer("The console answers this machine's browser only.", "text/plain", 403);
  switch (`${request.method} ${path}`) {
    case "GET /":
    case "GET /console/":
      return new Response(null, { status: 302, headers: { location: "/console" } });
    case "GET /console":
      return answer(String(page), "text/html");
    case "GET /console/console.js":
      return answer(script, "text/javascript");
    case "GET /console/console.css":
      return answer(base + parts, "text/css");
    case "GET /console/state":
      return json(stateOf(bundle()));
    case "POST /console/token":
      return await token(request, { bundle: bundle(), now: now() });
    default:
      return answer("No such page.", "text/plain", 404);
  }
}

function isOwn(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  const isNavigation = request.headers.get("sec-fetch-mode") === "navigate" && request.method === "GET";
  return LOOPBACK.test(request.headers.get("host") ?? "") && (site === null || site === "same-origin" || site === "none" || isNavigation);
}

/** What the page shows; no secret beyond the API key it sends with. */
const stateOf = ({ cluster, tenants }: DevBundle) => ({
  cluster,
  tenants: tenants.map(({ id, apiKey, templates }) => ({
    id,
    api_key: apiKey,
    templates: templates.map((template) => ({
      id: template.template_id,
      event_type: template.event_type,
      priority: template.priority,
      variables: template.variables,
      locales: template.locales.map(({ locale }) => locale),
      payload: template.payload,
      example: exampleVariables(template),
    })),
  })),
});
export type ConsoleState = ReturnType<typeof stateOf>;

async function token(request: Request, { bundle, now }: { readonly bundle: DevBundle; readonly now: number }): Promise<Response> {
  const text = await request.text();
  const wanted = text.length <= MAX_BODY_BYTES ? wantedOf(text) : undefined;
  if (!wanted) return json({ message: "tenant and user are required" }, 400);
  const tenant = bundle.tenants.find(({ id }) => id === wanted.tenant);
  if (!tenant) return json({ message: "there is no such tenant any more" }, 404);
  return json({ token: devToken(tenant, wanted.user, { now, channels: ["*"] }) });
}

function wantedOf(text: string): { readonly tenant: string; readonly user: string } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("tenant" in value) || !("user" in value)) return undefined;
    const { tenant, user } = value;
    return typeof tenant === "string" && typeof user === "string" && user !== "" ? { tenant, user } : undefined;
  } catch {
    return undefined; // answered 400
  }
}

// Why: probes and scrapers ask on a plain port of their own, which no user reaches. `/live` says the process answers,
// `/ready` whether traffic may come. It must never need a credential, and so never show anything but states and counts.
import type { ServerConfig } from "@nexus/protocol/config.ts";
import type { Log } from "../core/ports.ts";
import { problemResponse } from "../core/problem.ts";
import type { Readiness } from "../core/readiness.ts";

export type OpsDeps = {
  readonly readiness: Readiness;
  readonly log: Log;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
};

export type OpsListener = { readonly url: string; readonly port: number; stop(): Promise<void> };

/** The handler behind the ops port; also for `/metrics` on the public port where diagnostics are public. */
export function createOps({ readiness, log, metrics }: OpsDeps): { fetch(request: Request): Promise<Response> } {
  const routes: Readonly<Record<string, () => Response | Promise<Response>>> = {
    "/live": () => Response.json({ status: "live" }),
    "/ready": () => {
      const reasons = readiness.reasons();
      return Response.json({ ready: reasons.length === 0, reasons }, { status: reasons.length === 0 ? 200 : 503 });
    },
    "/metrics": async () => new Response(await metrics.text(), { headers: { "content-type": metrics.contentType } }),
  };
  return {
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
      if (!route) return problemResponse({ code: "not_found", detail: "No such path" });
      if (request.method !== "GET" && request.method !== "HEAD") {
        return problemResponse({ code: "method_not_allowed", detail: "This path serves GET, HEAD" }, { allow: "GET, HEAD" });
      }
      try {
        return await route();
      } catch (error) {
        log.error("ops.failed", { path: pathname, error });
        return problemResponse({ code: "internal", detail: "The server failed unexpectedly" });
      }
    },
  };
}

/** @throws Error when the port is taken */
export function startOps(config: ServerConfig["ops"], deps: OpsDeps): OpsListener {
  const ops = createOps(deps);
  const server = Bun.serve({ hostname: config.host, port: config.port, reusePort: false, fetch: (request) => ops.fetch(request) });
  const { port = config.port } = server;
  deps.log.info("ops.listening", { host: config.host, port });
  return { url: `http://${server.hostname}:${port}`, port, stop: () => server.stop(true) };
}

// Why: the public REST port: one route per declared operation, in Elysia, and the few answers that belong to no operation.
// It must never let an error's own words out, and never log a URL: query strings may hold tokens.
import { FAILURES, type Refusal } from "@nexus/protocol/failures.ts";
import type { FieldsOf } from "@nexus/protocol/log-line.ts";
import type { Operation } from "@nexus/protocol/rest/operation.ts";
import { OPERATIONS, type OperationId } from "@nexus/protocol/rest/operations.ts";
import type { Tracer } from "@nexus/tracing/tracer.ts";
import { Elysia } from "elysia";
import type { AddressOf, PeerListener } from "../core/client-address.ts";
import type { Engine } from "../core/engine.ts";
import type { LogEvents } from "../core/log-events.ts";
import type { Clock, Ids, Log, Metrics, Tenants, TokenVerifier } from "../core/ports.ts";
import { problemResponse, refusalOf } from "../core/problem.ts";
import type { Publisher } from "../core/publish.ts";
import { createSeldom } from "../core/seldom.ts";
import type { Sessions } from "../core/sessions.ts";
import { type AuthDeps, admitAddress, admitKey, admitSession } from "./auth.ts";
import { type Answer, type Call, type Handler, isRefusal, type SessionHandler } from "./call.ts";
import { disconnectHandlers } from "./disconnect.ts";
import { type AnswerHeaders, addRate, narrowToOrigins, openHeaders, optionsResponse, requestIdOf } from "./headers.ts";
import { type HealthFacts, healthAnswer } from "./health.ts";
import { isRecorded, type Once, once, REPLAYED } from "./idempotency.ts";
import { inboxHandlers } from "./inbox.ts";
import { notificationHandlers } from "./notification.ts";
import { openApiHandler } from "./openapi.ts";
import { parametersError } from "./path-parameters.ts";
import { methodsOf, routePath, SHADOWED } from "./paths.ts";
import { presenceHandlers } from "./presence.ts";
import { publishHandlers } from "./publish.ts";
import { statisticsHandlers } from "./statistics.ts";
import { templateHandlers } from "./templates.ts";
import { tenantHandlers } from "./tenants.ts";
import { ticketHandlers } from "./tickets.ts";

export type HttpDeps = {
  readonly tenants: Tenants;
  readonly publisher: Publisher;
  readonly engine: Engine;
  readonly sessions: Sessions;
  /** Name of this server in answers. */
  readonly node: string;
  readonly verifier: TokenVerifier;
  readonly metrics: Pick<Metrics, "refused"> & { answered(operation: string, status: number, seconds: number): void };
  readonly health: () => HealthFacts;
  readonly log: Log;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly addressOf: AddressOf;
  readonly tracer?: Tracer | undefined;
  /** Asked for paths that are no operation (diagnostics, a console); undefined: 404. */
  readonly extra?: (request: Request) => Response | Promise<Response> | undefined;
};

/** `tenant`: whose request it is, once that is known. */
type Asked = Pick<Call, "operation" | "request" | "params"> & { tenant?: string };

export type Http = { fetch(request: Request, listener: PeerListener): Response | Promise<Response> };

export function createHttp(deps: HttpDeps): Http {
  const { clock, ids, log, metrics, tenants } = deps;
  const brokerAway = createSeldom<FieldsOf<LogEvents, "http.broker_unavailable">>(clock, ({ count, ...first }) =>
    log.warn("http.broker_unavailable", { ...first, count }),
  );
  let listener: PeerListener | undefined;
  const auth: AuthDeps = { ...deps, rates: deps.engine.rates, addressOf: (request) => deps.addressOf(request, listener) };
  const handlers: Partial<Record<OperationId, Handler>> = {
    ...publishHandlers(deps),
    ...inboxHandlers(deps),
    ...notificationHandlers(deps),
    ...templateHandlers(deps),
    ...presenceHandlers(deps),
    ...tenantHandlers(deps),
    ...statisticsHandlers(deps),
    ...disconnectHandlers(deps),
  };
  const sessionHandlers: Partial<Record<OperationId, SessionHandler>> = ticketHandlers(deps);
  const openApi = openApiHandler();

  const unserved = OPERATIONS.filter(({ id, auth }) => auth !== "public" && !handlers[id] && !sessionHandlers[id]);
  if (unserved.length > 0) throw new Error(`nobody serves ${unserved.map(({ id }) => id).join(", ")}`);

  function refuse(refusal: Refusal, headers: AnswerHeaders, tenant?: string): Response {
    metrics.refused(refusal.code, tenant);
    return problemResponse(refusal, headers, headers["x-request-id"]);
  }

  /** Everything that is no operation: OPTIONS, a wrong method, an unknown path. */
  async function elsewhere(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const requestId = requestIdOf(request, ids.uuid);
    const methods = methodsOf(pathname);
    if (methods.length === 0) {
      const extra = await deps.extra?.(request);
      return (
        extra ?? refuse({ code: "not_found", detail: "No such path; GET /openapi.json has all there are" }, openHeaders(request, requestId))
      );
    }
    if (request.method === "OPTIONS") return optionsResponse(methods, requestId);
    const headers = { ...openHeaders(request, requestId), allow: methods.join(", ") };
    return refuse({ code: "method_not_allowed", detail: `This path serves ${methods.join(", ")}` }, headers);
  }

  async function perform(asked: Asked, headers: AnswerHeaders): Promise<Answer | Refusal> {
    const { operation, request, params } = asked;
    if (operation.auth === "public" || operation.auth === "session") {
      const tooMany = admitAddress(auth, request);
      if (tooMany) return tooMany;
    }
    if (operation.id === "health") return healthAnswer(deps.health());
    if (operation.id === "openapi") return openApi(request);
    if (operation.auth === "session") return await performSession(asked, headers);
    const { caller, refusal } = admitKey(auth, request, operation.auth);
    if (caller) {
      asked.tenant = caller.tenant;
      addRate(headers, caller.rate);
      narrowToOrigins(headers, request, tenants.tenant(caller.tenant));
    }
    if (refusal) return refusal;
    const handler = handlers[operation.id as OperationId];
    if (!handler || !caller) throw new Error(`nobody serves ${operation.id}`);
    const malformed = parametersError(params);
    if (malformed) return malformed;
    const call: Call = { operation, request, params, caller };
    if (!isRecorded(operation)) return await handler(call);
    return await onceOnly(
      { operation, request, scope: `${caller.tenant}/${operation.id}` },
      (unread) => handler({ ...call, request: unread }),
      headers,
    );
  }

  async function performSession(asked: Asked, headers: AnswerHeaders): Promise<Answer | Refusal> {
    const { identity, refusal } = await admitSession(auth, asked.request);
    if (identity) {
      asked.tenant = identity.tenant;
      narrowToOrigins(headers, asked.request, tenants.tenant(identity.tenant));
    }
    if (refusal) return refusal;
    const handler = sessionHandlers[asked.operation.id as OperationId];
    if (!handler || !identity) throw new Error(`nobody serves ${asked.operation.id}`);
    const scope = `${identity.tenant}/${asked.operation.id}/${identity.user}`;
    return await onceOnly({ ...asked, scope }, (unread) => handler({ ...asked, request: unread, identity }), headers);
  }

  async function onceOnly(ask: Once, perform: (unread: Request) => Promise<Answer | Refusal>, headers: AnswerHeaders) {
    const { outcome, replayed } = await once({ writes: deps.engine.writes, tenants }, ask, perform);
    if (replayed) Object.assign(headers, REPLAYED);
    return outcome;
  }

  async function answer(asked: Asked): Promise<Response> {
    const { operation, request } = asked;
    const startedAt = clock.monotonic();
    const headers = openHeaders(request, requestIdOf(request, ids.uuid));
    let response: Response;
    try {
      const outcome = await perform(asked, headers);
      const isRefused = isRefusal(outcome);
      response = isRefused ? refuse(outcome, challenged(outcome, operation, headers), asked.tenant) : answered(outcome, headers);
    } catch (thrown) {
      const refusal = refusalOf(thrown);
      if (refusal.code === "broker_unavailable") {
        brokerAway({ operation: operation.id, requestId: headers["x-request-id"], error: String(thrown) });
      } else if (FAILURES[refusal.code].status >= 500) {
        log.error("http.failed", { operation: operation.id, requestId: headers["x-request-id"], code: refusal.code, error: thrown });
      }
      response = refuse(refusal, headers, asked.tenant);
    }
    metrics.answered(operation.id, response.status, (clock.monotonic() - startedAt) / 1000);
    return response;
  }

  // onError comes first: it covers only what is registered after it, and without it raw messages go out.
  const app = new Elysia().onError(({ code, request, error }) => {
    if (code === "NOT_FOUND") return elsewhere(request);
    log.error("http.router_failed", { code: String(code), error });
    return refuse(refusalOf(undefined), openHeaders(request, requestIdOf(request, ids.uuid)));
  });
  for (const { method, path } of SHADOWED) app.route(method, path, ({ request }) => elsewhere(request), { parse: "none" });
  for (const operation of OPERATIONS) {
    // `parse: "none"`: bodies are read by handlers, after key, type and size were judged.
    app.route(operation.method, routePath(operation.path), ({ request, params }) => answer({ operation, request, params }), {
      parse: "none",
    });
  }
  app.compile();

  return {
    fetch(request, from) {
      listener = from;
      const { method } = request;
      if (method === "OPTIONS") return elsewhere(request);
      if (method === "HEAD") return head(app, request);
      return app.fetch(routable(request));
    },
  };
}

/** RFC 9110 section 11.6.1: a 401 says what would be accepted. */
function challenged(refusal: Refusal, operation: Operation, headers: AnswerHeaders): AnswerHeaders {
  if (FAILURES[refusal.code].status !== 401) return headers;
  return { ...headers, "www-authenticate": operation.auth === "session" ? 'Bearer realm="nexus"' : 'ApiKey realm="nexus"' };
}

/** Statuses that must not have a body (RFC 9110 section 6.4.1). */
const BODILESS: readonly number[] = [204, 304];

function answered({ body, status = 200, headers: own }: Answer, headers: AnswerHeaders): Response {
  const bodiless = BODILESS.includes(status);
  if (!bodiless) headers["content-type"] = "application/json";
  if (own) Object.assign(headers, own);
  return new Response(bodiless ? null : body, { status, headers });
}

/** HEAD is GET without the body, where there is a GET. */
async function head(app: { fetch(request: Request): Response | Promise<Response> }, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const known = methodsOf(pathname).includes("GET");
  const asked = known ? new Request(routable(request), { method: "GET", headers: request.headers }) : request;
  const { status, headers } = await app.fetch(routable(asked));
  return new Response(null, { status, headers });
}

/** Elysia looks for the path from the 11th character on, so a host of three characters or fewer hides it (elysia#748). */
function routable(request: Request): Request {
  const { url } = request;
  const slash = url.indexOf("/", 8);
  return slash >= 11 ? request : new Request(`http://short-host${url.slice(slash)}`, request);
}

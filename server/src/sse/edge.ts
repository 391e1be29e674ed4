// Why: server-sent events as a second transport of the same session: it decodes a request, asks core, and hands the
// response's stream over as core's outlet. It must never hold a rule of its own, nor answer a client that is to stop
// coming back with anything but what makes it stop.
import { FAILURES, type Refusal } from "@nexus/protocol/failures.ts";
import type { Server } from "bun";
import type { NexusNode } from "../core/node.ts";
import type { Ids, Log, Tenants } from "../core/ports.ts";
import { problemResponse, refusalOf } from "../core/problem.ts";
import type { Session } from "../core/session.ts";
import { SseEncoder } from "./encoder.ts";
import { SseOutlet } from "./outlet.ts";
import { readSseRequest, type SseRequest } from "./request.ts";

/** Shortest wait before a client comes back, in milliseconds; the rest is spread by the cluster's jitter. */
const MIN_RETRY_MS = 1000;

export type SseEdgeDeps = {
  readonly node: NexusNode;
  readonly tenants: Tenants;
  readonly ids: Ids;
  readonly log: Log;
  readonly random: () => number;
  /** The client's address, behind whatever is trusted. */
  readonly addressOf: (request: Request, server: Server<Session>) => string;
};

export type SseEdge = {
  /** Answers a request for `/sse`: 200 with a stream, or a problem; 204 where a browser must not come back. */
  fetch(request: Request, server: Server<Session>): Promise<Response>;
};

export function createSseEdge(deps: SseEdgeDeps): SseEdge {
  return {
    async fetch(request, server) {
      const requestId = deps.ids.uuid();
      const asked = readSseRequest(request);
      const ended = deps.node.attempt("sse");
      try {
        const answer = await tryOpen(deps, { request, server, asked, requestId });
        ended(answer instanceof Response ? undefined : answer.code);
        return answer instanceof Response ? answer : refused(answer, asked, requestId);
      } catch (error) {
        const refusal = refusalOf(error);
        ended(refusal.code);
        deps.log.error("sse.failed", { requestId, error: String(error) });
        return refused(refusal, asked, requestId);
      }
    },
  };
}

type Attempt = {
  readonly request: Request;
  readonly server: Server<Session>;
  readonly asked: SseRequest;
  readonly requestId: string;
};

async function tryOpen(deps: SseEdgeDeps, { request, server, asked, requestId }: Attempt): Promise<Response | Refusal> {
  const { sessions } = deps.node;
  const { token, ticket, origin } = asked;
  const admitted = await deps.node.admit({ address: deps.addressOf(request, server), token, ticket, origin });
  if ("code" in admitted) return admitted;
  const { reconnectJitterSeconds } = deps.tenants.cluster().delivery;
  const session = sessions.create({
    identity: admitted.identity,
    transport: "sse",
    full: true,
    encoder: new SseEncoder(Math.round(MIN_RETRY_MS + deps.random() * reconnectJitterSeconds * 1000)),
    ...(asked.resume === undefined ? {} : { resume: asked.resume }),
  });
  const refusal = await sessions.reserve(session);
  if (refusal) return refusal;
  const outlet = new SseOutlet(sessions, session);
  server.timeout(request, 0); // silence is core's to judge
  const response = new Response(outlet.stream(), {
    headers: {
      ...originHeaders(asked),
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
      "x-request-id": requestId,
    },
  });
  sessions.opened(session, outlet, asked.channels);
  return response;
}

/** The origin was judged by admission; whoever is refused there may still read why. */
const originHeaders = ({ origin }: SseRequest): Record<string, string> =>
  origin === undefined ? { "access-control-allow-origin": "*" } : { "access-control-allow-origin": origin, vary: "Origin" };

function refused(refusal: Refusal, asked: SseRequest, requestId: string): Response {
  const headers = { ...originHeaders(asked), "x-request-id": requestId };
  // WHATWG HTML section 9.2.3: an EventSource stops at any answer that is no stream; 204 is the one that says so on purpose.
  if (asked.isReturning && FAILURES[refusal.code].status === 401) return new Response(null, { status: 204, headers });
  const challenge = refusal.code === "unauthorized" ? { "www-authenticate": "Bearer" } : {};
  return problemResponse(refusal, { ...headers, ...challenge }, requestId);
}

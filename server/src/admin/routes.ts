// Why: what the operator asks of a node: take configuration, say how you are, drain, log more. TLS is the listener's.
// It must never answer anything before the token was checked.
import { ADMIN_PATHS, type AdminStatus, type BrokerWord, LogLevelRequest, type NodeLoad, ShedRequest } from "@nexus/protocol/admin.ts";
import { BUNDLE_FORMAT } from "@nexus/protocol/bundle.ts";
import type { LogLevel } from "@nexus/protocol/config.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import { Value } from "@sinclair/typebox/value";
import type { LiveConfig, Push, PushOutcome } from "../core/live-config.ts";
import type { Clock, Log } from "../core/ports.ts";
import { problemOf, problemResponse, refusalOf } from "../core/problem.ts";
import type { Tombstone } from "../core/purge-ports.ts";
import type { Readiness } from "../core/readiness.ts";
import { readJson, readPush } from "./push-body.ts";
import { isAuthorized } from "./tokens.ts";

export type AdminDeps = {
  readonly live: Omit<LiveConfig, "push">;
  /** Takes a push, wherever this node's sessions are served; resolves when it holds there. */
  readonly push: (push: Push) => Promise<PushOutcome> | PushOutcome;
  readonly readiness: Readiness;
  readonly log: Log;
  readonly clock: Pick<Clock, "monotonic">;
  readonly metrics: { pushed(outcome: PushOutcome["kind"]): void };
  readonly version: string;
  /** `namespace/name` of the NexusCluster. */
  readonly cluster: string;
  readonly sessions: () => Promise<number> | number;
  /** Tombstones of the bundle that are done. */
  readonly purged: () => Promise<readonly Tombstone[]> | readonly Tombstone[];
  /** Whether the broker is reached; undefined: there is none, or nobody here knows. */
  readonly brokerWord?: () => BrokerWord | undefined;
  /** Undefined: nothing is known now. */
  readonly load: () => Promise<NodeLoad | undefined> | NodeLoad | undefined;
  /** Sends sessions away at an even rate, see {@link ShedRequest}; how many it will be. */
  readonly shed: (request: ShedRequest) => Promise<number> | number;
  /** `minutes`: then it goes back by itself. */
  readonly setLogLevel: (level: LogLevel, minutes?: number) => void;
  /** Starts the drain that ends the process. */
  readonly drain: () => void;
};

type Route = { readonly method: "GET" | "POST"; handle(request: Request): Promise<Response> };

/** The handler behind the admin listener. `tokens` is asked for each request: the file changes. */
export function createAdmin(deps: AdminDeps, tokens: () => readonly Buffer[]): { fetch(request: Request): Promise<Response> } {
  const startedAt = deps.clock.monotonic();
  const routes: Readonly<Record<string, Route>> = {
    [ADMIN_PATHS.bundle]: { method: "POST", handle: (request) => takePush(deps, request) },
    [ADMIN_PATHS.status]: { method: "GET", handle: async () => Response.json(await statusOf(deps, startedAt)) },
    [ADMIN_PATHS.drain]: {
      method: "POST",
      handle: async () => {
        deps.drain();
        return Response.json({ draining: true, sessions: await deps.sessions() }, { status: 202 });
      },
    },
    [ADMIN_PATHS.shed]: { method: "POST", handle: (request) => shed(deps, request) },
    [ADMIN_PATHS.logLevel]: { method: "POST", handle: (request) => setLogLevel(deps, request) },
  };
  return {
    async fetch(request) {
      if (!isAuthorized(request.headers.get("authorization"), tokens())) {
        return problemResponse(
          { code: "unauthorized", detail: "The admin token is missing or not known" },
          { "www-authenticate": "Bearer" },
        );
      }
      const { pathname } = new URL(request.url);
      const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
      if (!route) return problemResponse({ code: "not_found", detail: "No such path" });
      if (route.method !== request.method) {
        return problemResponse({ code: "method_not_allowed", detail: `This path serves ${route.method}` }, { allow: route.method });
      }
      try {
        return await route.handle(request);
      } catch (error) {
        deps.log.error("admin.failed", { path: pathname, error });
        return problemResponse(refusalOf(error));
      }
    },
  };
}

async function statusOf(deps: AdminDeps, startedAt: number): Promise<AdminStatus> {
  const { live, readiness, version, cluster, sessions, clock } = deps;
  const purged = (await deps.purged()).map(({ tenant, uid }) => ({ tenant_id: tenant, uid }));
  const load = await deps.load();
  const broker = deps.brokerWord?.();
  return {
    version,
    cluster,
    bundle_formats: [BUNDLE_FORMAT],
    digest: live.digest(),
    buckets: [...live.bucketDigests()],
    ...live.fence(),
    ready: readiness.isReady(),
    draining: readiness.isDraining(),
    sessions: await sessions(),
    ...(purged.length > 0 ? { purged } : {}),
    ...(broker ? { broker } : {}),
    uptime_seconds: Math.round(clock.monotonic() - startedAt) / 1000,
    ...(load ? { load } : {}),
  };
}

async function takePush({ live, push, metrics, log }: AdminDeps, request: Request): Promise<Response> {
  const read = await readPush(request);
  if (!read.ok) {
    metrics.pushed("refused");
    return problemResponse(read.refusal);
  }
  const before = live.digest();
  const outcome = await push(read.value);
  metrics.pushed(outcome.kind);
  switch (outcome.kind) {
    case "applied": {
      const { digest, rejected } = outcome.result;
      if (digest !== before) log.info("config.applied", { digest, buckets: read.value.buckets.length, rejected: rejected.length });
      return Response.json(outcome.result);
    }
    case "mismatch":
      return refused({ code: "bundle_mismatch", detail: "Send these buckets whole" }, outcome.mismatch);
    case "stale":
      return refused({ code: "stale_leader", detail: "A newer leader was here" }, outcome.stale);
    case "refused":
      return problemResponse(outcome.refusal);
    default:
      return outcome satisfies never;
  }
}

/** A problem body with the members the protocol gives this answer. */
function refused(refusal: Refusal, members: object): Response {
  const problem = { ...problemOf(refusal), ...members };
  return new Response(JSON.stringify(problem), { status: problem.status, headers: { "content-type": "application/problem+json" } });
}

async function shed(deps: AdminDeps, request: Request): Promise<Response> {
  const read = await readJson(request);
  if (!read.ok) return problemResponse(read.refusal);
  if (!Value.Check(ShedRequest, read.value)) {
    const fields = [...Value.Errors(ShedRequest, read.value)].map(({ path, message }) => ({ pointer: path, detail: message }));
    return problemResponse({ code: "validation_error", detail: "The body does not match the contract", fields });
  }
  const sessions = await deps.shed(read.value);
  deps.log.info("shed.asked", { sessions, perSecond: read.value.perSecond });
  return Response.json({ sessions }, { status: 202 });
}

async function setLogLevel(deps: AdminDeps, request: Request): Promise<Response> {
  const read = await readJson(request);
  if (!read.ok) return problemResponse(read.refusal);
  if (!Value.Check(LogLevelRequest, read.value)) {
    const isLevel = Value.Check(LogLevelRequest.properties.level, Reflect.get(Object(read.value), "level"));
    const fields = isLevel
      ? [{ pointer: "/minutes", detail: "must be a whole number from 1 to 1440, or absent" }]
      : [{ pointer: "/level", detail: "must be one of debug, info, warn, error" }];
    return problemResponse({ code: "validation_error", detail: "The body does not match the contract", fields });
  }
  deps.setLogLevel(read.value.level, read.value.minutes);
  return Response.json({ level: read.value.level });
}

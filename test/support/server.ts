// Why: tests of the edges talk to the real thing on a free port: real configuration, real tokens, the memory engine.
// It must leave nothing behind: dispose it, and the port and every session are gone.
import { createHmac, randomBytes } from "node:crypto";
import { CLUSTER_ENTRY_ID, type ClusterSettings, makeBuckets, sealEntry, type TenantSettings } from "@nexus/protocol/bundle.ts";
import { ChannelRule, TenantQuotas } from "@nexus/protocol/resources/settings.ts";
import type { Content } from "@nexus/protocol/rest/content.ts";
import { systemClock } from "@nexus/server/adapters/clock.ts";
import { systemIds } from "@nexus/server/adapters/ids.ts";
import type { Jwks } from "@nexus/server/adapters/jwks.ts";
import { createTokenVerifier } from "@nexus/server/adapters/jwt.ts";
import { createMemoryEngine, type MemoryEngine } from "@nexus/server/adapters/memory/engine.ts";
import { type App, createApp, type HttpHandler } from "@nexus/server/app.ts";
import type { Engine } from "@nexus/server/core/engine.ts";
import { createLiveConfig, defaultClusterSettings, type LiveConfig } from "@nexus/server/core/live-config.ts";
import type { NexusNode } from "@nexus/server/core/node.ts";
import type { Log, Metrics } from "@nexus/server/core/ports.ts";
import type { PublishTarget } from "@nexus/server/core/publish-targets.ts";
import { Value } from "@sinclair/typebox/value";
import { noJwks } from "./jwks.ts";
import { recordingMetrics } from "./recording-metrics.ts";
import { WsClient, type WsOptions } from "./ws-client.ts";

type Deep<T> = { readonly [K in keyof T]?: T[K] extends readonly unknown[] ? T[K] : T[K] extends object ? Deep<T[K]> : T[K] };

export type TestServerOptions = {
  readonly limits?: Partial<ClusterSettings["limits"]>;
  readonly delivery?: Partial<ClusterSettings["delivery"]>;
  readonly channels?: readonly (Partial<Omit<ChannelRule, "history">> & {
    readonly match: string;
    readonly history?: ChannelRule["history"];
  })[];
  readonly quotas?: Deep<TenantQuotas>;
  readonly allowedOrigins?: readonly string[];
  readonly trustedProxies?: readonly string[];
  /** Where issuers' key sets come from; without it none can be had. */
  readonly jwks?: Jwks;
  readonly http?: (node: NexusNode) => HttpHandler;
  /** What core gets instead of the memory engine itself: an engine that breaks, for example. */
  readonly engine?: (memory: MemoryEngine) => Engine;
};

export type Logged = { readonly level: keyof Log; readonly event: string; readonly fields: Readonly<Record<string, unknown>> };
export type Claims = {
  readonly sub?: string;
  readonly tenant_id?: string;
  readonly roles?: readonly string[];
  readonly channels?: readonly string[];
  readonly exp?: number;
};

export type TestServer = AsyncDisposable & {
  readonly app: App;
  readonly engine: MemoryEngine;
  readonly live: LiveConfig;
  readonly wsUrl: string;
  readonly logged: readonly Logged[];
  readonly metrics: ReturnType<typeof recordingMetrics>;
  /** A token for tenant `acme`, an hour long unless `exp` (seconds since 1970) says otherwise. */
  token(user: string, claims?: Claims): string;
  /** A socket of that user; full dialect unless `protocols` says otherwise. */
  connect(user: string, options?: WsOptions & { readonly claims?: Claims; readonly query?: string }): Promise<WsClient>;
  publish(
    target: PublishTarget,
    content?: Content,
  ): Promise<{ readonly id: string; readonly deliveredTo: number; readonly queued: boolean }>;
  /** Loads the configuration again with other tenant settings; undefined removes the tenant. */
  setTenant(change: Partial<TenantSettings> | undefined): void;
};

export const TENANT = "acme";
const FULL = ["nexus.v1.json"];

export function startServer(options: TestServerOptions = {}): TestServer {
  const secret = randomBytes(32);
  const logged: Logged[] = [];
  const log = recordingLog(logged);
  const live = createLiveConfig({ log, clock: systemClock });
  const cluster = clusterOf(options);
  const load = (tenant: TenantSettings | undefined) => loadConfig(live, cluster, tenant);
  const tenant = tenantOf(options, secret);
  load(tenant);
  const engine = createMemoryEngine({ clock: systemClock, ids: systemIds, maxBytes: 64 * 1024 * 1024 });
  const metrics = recordingMetrics();
  const app = createApp({
    config: { http: { host: "127.0.0.1", port: 0, publicDiagnostics: false, trustedProxies: [...(options.trustedProxies ?? [])] } },
    live,
    engine: options.engine?.(engine) ?? engine,
    verifier: createTokenVerifier({ tenants: live, clock: systemClock, jwks: options.jwks ?? noJwks() }),
    metrics: metrics satisfies Metrics,
    log,
    clock: systemClock,
    ids: systemIds,
    http: options.http ?? (() => ({ fetch: () => new Response("not served in this test", { status: 404 }) })),
  });
  const wsUrl = `${app.url.replace("http", "ws")}/ws`;
  const token = (user: string, claims: Claims = {}) =>
    sign(secret, { sub: user, tenant_id: TENANT, exp: Math.floor(Date.now() / 1000) + 3600, ...claims });
  return {
    app,
    engine,
    live,
    wsUrl,
    logged,
    metrics,
    token,
    connect: (user, { claims, query = "", protocols = FULL, ...rest } = {}) =>
      WsClient.connect(`${wsUrl}?token=${token(user, claims)}${query && `&${query}`}`, { protocols, ...rest }),
    async publish(target, content = { event_type: "test", payload: { n: 1 } }) {
      const outcome = await app.node.publisher.publish({ tenant: TENANT, target, content, source: "http-api" });
      if ("code" in outcome) throw new Error(`refused: ${outcome.code}`);
      const { notificationId, deliveredTo, queued } = outcome.record;
      return { id: notificationId, deliveredTo, queued };
    },
    setTenant: (change) => load(change && { ...tenant, ...change }),
    async [Symbol.asyncDispose]() {
      await app.stop();
      const errors = logged.filter((line) => line.level === "error");
      if (errors.length > 0) throw new Error(`the server logged errors: ${JSON.stringify(errors)}`);
    },
  };
}

function loadConfig(live: LiveConfig, cluster: ClusterSettings, tenant: TenantSettings | undefined): void {
  const generation = 1;
  const own = sealEntry({ kind: "cluster" as const, id: CLUSTER_ENTRY_ID, uid: "cluster", generation, spec: cluster });
  const tenants = tenant ? [sealEntry({ kind: "tenant" as const, id: TENANT, uid: "tenant", generation, spec: tenant })] : [];
  const report = live.load([...makeBuckets([own, ...tenants])]);
  if (report.rejected.length > 0) throw new Error(`the test's configuration was refused: ${JSON.stringify(report.rejected)}`);
}

/** The rate per address is off unless a test is about it: all tests come from one address. */
function clusterOf({ limits = {}, delivery = {}, channels = [] }: TestServerOptions): ClusterSettings {
  const defaults = defaultClusterSettings();
  const rules = channels.map((rule) => Value.Default(ChannelRule, { ...rule }) as ChannelRule); // the schema fills what is left out
  return {
    ...defaults,
    limits: { ...defaults.limits, upgradesPerMinutePerAddress: 0, ...limits },
    delivery: { ...defaults.delivery, ...delivery },
    channels: rules,
  };
}

function tenantOf({ quotas = {}, allowedOrigins = [] }: TestServerOptions, secret: Buffer): TenantSettings {
  return {
    suspended: false,
    issuers: [
      {
        name: "test",
        audiences: [],
        algorithms: ["HS256"],
        key: { type: "secret", base64: secret.toString("base64") },
        clock_skew_seconds: 0,
      },
    ],
    api_keys: [],
    quotas: Value.Default(TenantQuotas, structuredClone(quotas)) as TenantQuotas, // the schema fills what is left out
    channels: [],
    allowed_origins: [...allowedOrigins],
  };
}

function sign(secret: Buffer, claims: Claims): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}

function recordingLog(lines: Logged[]): Log {
  const at =
    (level: keyof Log) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push({ level, event, fields });
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

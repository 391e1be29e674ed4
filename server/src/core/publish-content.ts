// Why: everything that can be said about a publish before it has a place: tenant, content, size, quota. It must never
// touch a stream: what is refused here has left no trace.
import type { ClusterSettings, TenantSettings } from "@nexus/protocol/bundle.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Audience, NotificationMetadata } from "@nexus/protocol/frames.ts";
import type { Content } from "@nexus/protocol/rest/content.ts";
import type { RemoteParent } from "@nexus/tracing/context.ts";
import type { Tracer } from "@nexus/tracing/tracer.ts";
import { type ResolvedContent, resolveContent } from "./content.ts";
import type { Defer } from "./defer.ts";
import type { Engine } from "./engine.ts";
import type { Clock, Ids, Log, Metrics, Tenants } from "./ports.ts";
import type { TemplateLookup } from "./template-lookup.ts";

export type PublisherDeps = {
  readonly tenants: Tenants;
  readonly templates: TemplateLookup;
  readonly engine: Pick<Engine, "store" | "rates" | "stats" | "receipts" | "writes">;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly metrics: Pick<Metrics, "published" | "publishTook">;
  readonly log: Pick<Log, "error">;
  readonly defer: Defer;
  readonly tracer?: Tracer | undefined;
};

/** Whoever asked may have begun a trace; `remote` is their word, unchecked. */
export type Traced = { readonly remote?: RemoteParent | undefined };

/** `source` is what the content's own `source` overrides. `content` has passed its schema. */
export type PublishContent = Traced & { readonly tenant: string; readonly content: Content; readonly source: string };

/** A publish that may be made, with the configuration it was judged by. */
export type Prepared = {
  readonly tenantId: string;
  readonly cluster: ClusterSettings;
  readonly tenant: TenantSettings;
  readonly content: ResolvedContent;
  readonly metadata: NotificationMetadata;
};

/** Refuses with `not_found` (tenant) and `tenant_suspended`. */
export function tenantOf({ tenants }: Pick<PublisherDeps, "tenants">, id: string): TenantSettings | Refusal {
  const tenant = tenants.tenant(id);
  if (!tenant) return { code: "not_found", detail: "No such tenant" };
  return tenant.suspended ? { code: "tenant_suspended", detail: "The tenant is suspended" } : tenant;
}

/**
 * A promise only where a template has to be asked for: this is on the path of every publish.
 * Refuses with what {@link tenantOf} and `resolveContent` refuse with, and `payload_too_large`.
 */
export function prepare(deps: PublisherDeps, input: PublishContent, audience?: Audience): Prepared | Refusal | Promise<Prepared | Refusal> {
  const tenant = tenantOf(deps, input.tenant);
  if ("code" in tenant) return tenant;
  const resolved = resolveContent(input.content, (id) => deps.templates(input.tenant, id));
  const judge = (content: ResolvedContent | Refusal) => ("code" in content ? content : judged(deps, { input, tenant, content, audience }));
  return resolved instanceof Promise ? resolved.then(judge) : judge(resolved);
}

type Judged = {
  readonly input: PublishContent;
  readonly tenant: TenantSettings;
  readonly content: ResolvedContent;
  readonly audience: Audience | undefined;
};

function judged({ tenants }: PublisherDeps, { input, tenant, content, audience }: Judged): Prepared | Refusal {
  const maxBytes = tenant.quotas.payloadBytes;
  if (isOver(content.payloadJson, maxBytes)) {
    return { code: "payload_too_large", detail: `The payload may have ${maxBytes} bytes of JSON` };
  }
  const { ttl, priority } = content;
  const { correlation_id, source = input.source } = input.content;
  const metadata: NotificationMetadata = {
    source,
    priority,
    ...(ttl === undefined ? {} : { ttl }),
    ...(audience ? { audience } : {}),
    ...(correlation_id === undefined ? {} : { correlation_id }),
  };
  return { tenantId: input.tenant, cluster: tenants.cluster(), tenant, content, metadata };
}

/** One notification of the tenant's `publishPerSecond`, however many targets it has. Refuses with `rate_limited`. */
export function takeQuota({ engine }: PublisherDeps, { tenantId, tenant }: Prepared): Refusal | undefined {
  const { publishPerSecond, publishBurst } = tenant.quotas;
  if (publishPerSecond === undefined) return undefined;
  const decision = engine.rates.take(`publish/${tenantId}`, { perSecond: publishPerSecond, burst: publishBurst ?? publishPerSecond });
  if (decision.allowed) return undefined;
  return { code: "rate_limited", detail: "The tenant's publish quota is used up", retryAfterSeconds: decision.retryAfterSeconds };
}

/** UTF-8 bytes are counted only where the count of UTF-16 units leaves it open. */
function isOver(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return true;
  return text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes;
}

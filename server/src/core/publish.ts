// Why: the one way into a stream, for REST, triggers and sockets alike: target, content, quota, append, announce.
// It must never deliver itself: whoever listens is told by the engine's bus.
import type { TenantSettings } from "@nexus/protocol/bundle.ts";
import type { FieldError, Refusal } from "@nexus/protocol/failures.ts";
import type { Audience, NotificationMetadata } from "@nexus/protocol/frames.ts";
import { CHANNEL_RULE, isChannelName, isUserId, USER_RULE } from "@nexus/protocol/names.ts";
import type { Content } from "@nexus/protocol/rest/content.ts";
import { audienceError } from "./audience.ts";
import { resolveContent } from "./content.ts";
import type { Engine } from "./engine.ts";
import type { Clock, Ids, Metrics, PublishRecord, StreamId, Tenants } from "./ports.ts";
import { retentionOf } from "./streams.ts";

export type PublishTarget =
  | { readonly kind: "user"; readonly user: string }
  | { readonly kind: "channel"; readonly channel: string }
  | { readonly kind: "broadcast"; readonly audience?: Audience };

/** `source` is what the content's own `source` overrides, for example `http-api`. `content` has passed its schema. */
export type PublishInput = {
  readonly tenant: string;
  readonly target: PublishTarget;
  readonly content: Content;
  readonly idempotencyKey?: string;
  /** Digest of the request body; the same key with another fingerprint is refused. */
  readonly fingerprint?: string;
  readonly source: string;
};

/** `replayed`: an earlier publish with the same idempotency key answered; nothing was sent now. */
export type PublishSuccess = { readonly kind: "published"; readonly record: PublishRecord; readonly replayed: boolean };

export type Publisher = {
  /**
   * Resolves once the entry is stored (where its stream keeps history) and announced.
   * Refuses with `not_found` (tenant), `tenant_suspended`, `validation_error`, `unknown_template`, `not_implemented`
   * (engine), `payload_too_large`, `rate_limited`, `idempotency_conflict`. Throws `Failure` when the engine is broken.
   */
  publish(input: PublishInput): Promise<PublishSuccess | Refusal>;
};

export type PublisherDeps = {
  readonly tenants: Tenants;
  readonly engine: Pick<Engine, "store" | "rates">;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly metrics: Pick<Metrics, "published">;
};

export function createPublisher(deps: PublisherDeps): Publisher {
  return {
    async publish(input) {
      const stream = streamOf(input);
      const outcome = await attempt(deps, stream, input);
      deps.metrics.published(stream.kind, "code" in outcome ? "refused" : outcome.replayed ? "replayed" : "published");
      return outcome;
    },
  };
}

async function attempt(deps: PublisherDeps, stream: StreamId, input: PublishInput): Promise<PublishSuccess | Refusal> {
  const cluster = deps.tenants.cluster();
  const tenant = deps.tenants.tenant(input.tenant);
  if (!tenant) return { code: "not_found", detail: "No such tenant" };
  if (tenant.suspended) return { code: "tenant_suspended", detail: "The tenant is suspended" };
  const wrong = targetError(input.target);
  if (wrong) return { code: "validation_error", detail: "The target does not match the contract", fields: [wrong] };
  const content = resolveContent(input.content, (id) => deps.tenants.template(input.tenant, id));
  if ("code" in content) return content;
  if (isOver(content.payloadJson, tenant.quotas.payloadBytes)) {
    return { code: "payload_too_large", detail: `The payload may have ${tenant.quotas.payloadBytes} bytes of JSON` };
  }
  const limited = takeQuota(deps, input.tenant, tenant);
  if (limited) return limited;

  const { ttl } = content;
  const audience = input.target.kind === "broadcast" ? input.target.audience : undefined;
  const metadata: NotificationMetadata = {
    source: input.content.source ?? input.source,
    priority: content.priority,
    ...(ttl === undefined ? {} : { ttl }),
    ...(audience ? { audience } : {}),
    ...(input.content.correlation_id === undefined ? {} : { correlation_id: input.content.correlation_id }),
  };
  const outcome = await deps.engine.store.publish({
    stream,
    notification: {
      id: deps.ids.uuid(),
      occurredAt: deps.clock.now(),
      eventType: content.eventType,
      payloadJson: content.payloadJson,
      metadata,
    },
    retention: retentionOf(stream, cluster, tenant),
    ...(input.idempotencyKey === undefined ? {} : { idempotency: { key: input.idempotencyKey, fingerprint: input.fingerprint ?? "" } }),
  });
  if (outcome.kind === "conflict") return { code: "idempotency_conflict", detail: "This Idempotency-Key was used with another body" };
  return { kind: "published", record: outcome.record, replayed: outcome.kind === "replayed" };
}

function streamOf({ tenant, target }: PublishInput): StreamId {
  switch (target.kind) {
    case "user":
      return { kind: "inbox", tenant, user: target.user };
    case "channel":
      return { kind: "channel", tenant, channel: target.channel };
    case "broadcast":
      return { kind: "broadcast", tenant };
    default:
      return target satisfies never;
  }
}

/** Pointers are those of the REST bodies. */
function targetError(target: PublishTarget): FieldError | undefined {
  if (target.kind === "user") return isUserId(target.user) ? undefined : { pointer: "/target_user_id", detail: USER_RULE };
  if (target.kind === "channel") return isChannelName(target.channel) ? undefined : { pointer: "/channel", detail: CHANNEL_RULE };
  return target.audience ? audienceError(target.audience) : undefined;
}

/** UTF-8 bytes are counted only where the count of UTF-16 units leaves it open. */
function isOver(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return true;
  return text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes;
}

function takeQuota(deps: PublisherDeps, id: string, tenant: TenantSettings): Refusal | undefined {
  const { publishPerSecond, publishBurst } = tenant.quotas;
  if (publishPerSecond === undefined) return undefined;
  const decision = deps.engine.rates.take(`publish/${id}`, { perSecond: publishPerSecond, burst: publishBurst ?? publishPerSecond });
  if (decision.allowed) return undefined;
  return { code: "rate_limited", detail: "The tenant's publish quota is used up", retryAfterSeconds: decision.retryAfterSeconds };
}

// Why: the publishing operations of the REST contract: decode, hand to core, answer in Ara's shape.
// It must never decide what a publish means: limits, templates and targets are core's.
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Audience } from "@nexus/protocol/frames.ts";
import type { ChannelsResult, Content, PublishResult, UsersResult } from "@nexus/protocol/rest/content.ts";
import type { OperationId } from "@nexus/protocol/rest/operations.ts";
import { BatchBody, BroadcastBody, ChannelBody, ChannelsBody, SendBody, UsersBody } from "@nexus/protocol/rest/publishing.ts";
import type { RemoteParent } from "@nexus/tracing/context.ts";
import type { Tracer } from "@nexus/tracing/tracer.ts";
import type { TSchema } from "@sinclair/typebox";
import { batchItems } from "../core/batch-items.ts";
import type { Tenants } from "../core/ports.ts";
import type { Publisher, PublishSuccess } from "../core/publish.ts";
import type { PublishManySuccess } from "../core/publish-many.ts";
import type { PublishTarget, PublishTargets } from "../core/publish-targets.ts";
import { bodyReader } from "./body.ts";
import { type Answer, type Handler, isRefusal } from "./call.ts";
import { idempotencyKeyOf, REPLAYED } from "./idempotency.ts";
import { batchResult } from "./publish-batch.ts";

const SOURCE = "http-api";

export type PublishHandlerDeps = {
  readonly tenants: Pick<Tenants, "cluster">;
  readonly publisher: Publisher;
  readonly tracer?: Pick<Tracer, "isOn"> | undefined;
};

/** Every handler refuses with what the body reader and `Publisher` refuse with, and `invalid_header`. */
export function publishHandlers(deps: PublishHandlerDeps): Partial<Record<OperationId, Handler>> {
  const { publisher } = deps;
  return {
    send: single(deps, SendBody, (body) => ({ kind: "user", user: body.target_user_id })),
    channel: single(deps, ChannelBody, (body) => ({ kind: "channel", channel: body.channel })),
    broadcast: single(deps, BroadcastBody, (body) =>
      body.audience === undefined ? { kind: "broadcast" } : { kind: "broadcast", audience: body.audience },
    ),
    sendToUsers: many(deps, UsersBody, (body) => ({ kind: "users", users: body.target_user_ids })),
    channels: many(deps, ChannelsBody, (body) => ({ kind: "channels", channels: body.channels })),
    batch: handler<BatchBody>(deps, BatchBody, async (body, keyed) => {
      const items = batchItems(body);
      if ("code" in items) return items;
      const { stop_on_error: stopOnError = false, deduplicate = false } = body.options ?? {};
      const outcome = await publisher.batch({ ...keyed, items, stopOnError, deduplicate, source: SOURCE });
      return isRefusal(outcome) ? outcome : answerOf(batchResult(outcome), outcome.replayed);
    }),
  };
}

/** Who publishes, and the key and fingerprint where there is a key. `remote`: whose trace it is part of, where anybody asks. */
type Asked = { readonly tenant: string; readonly remote: RemoteParent | undefined } & (
  | object
  | { readonly idempotencyKey: string; readonly fingerprint: string }
);

function handler<T>(
  { tenants, tracer }: PublishHandlerDeps,
  schema: TSchema,
  publish: (body: T, asked: Asked) => Promise<Answer | Refusal>,
): Handler {
  const read = bodyReader(schema);
  return async ({ operation, request, caller: { tenant } }) => {
    const idempotencyKey = idempotencyKeyOf(request);
    if (typeof idempotencyKey === "object") return idempotencyKey;
    const { bodyBytes, batchBytes } = tenants.cluster().limits;
    const body = await read(request, operation.limit === "batch" ? batchBytes : bodyBytes);
    if (isRefusal(body)) return body;
    const value = body.value as T; // checked by the schema of this operation
    const remote = tracer?.isOn ? remoteOf(request) : undefined;
    if (idempotencyKey === undefined) return await publish(value, { tenant, remote });
    return await publish(value, { tenant, remote, idempotencyKey, fingerprint: sha256(`${operation.id}\n${body.text}`) });
  };
}

function remoteOf({ headers }: Request): RemoteParent | undefined {
  const traceparent = headers.get("traceparent");
  return traceparent === null ? undefined : { traceparent, tracestate: headers.get("tracestate") ?? undefined };
}

/** What the bodies of one target have in common; each schema checks its own target member. */
type SingleBody = Content & { readonly target_user_id: string; readonly channel: string; readonly audience?: Audience };

const single = (deps: PublishHandlerDeps, schema: TSchema, targetOf: (body: SingleBody) => PublishTarget): Handler =>
  handler<SingleBody>(deps, schema, async (content, asked) => {
    const target = targetOf(content);
    // Spelled out where there is no key: copying members costs more than the rest of this function.
    const { tenant, remote } = asked;
    const input =
      "idempotencyKey" in asked ? { ...asked, target, content, source: SOURCE } : { tenant, remote, target, content, source: SOURCE };
    const outcome = await deps.publisher.publish(input);
    return isRefusal(outcome) ? outcome : answerOf(singleResult(target, outcome), outcome.replayed);
  });

type ManyBody = Content & { readonly target_user_ids: readonly string[]; readonly channels: readonly string[] };

const many = (deps: PublishHandlerDeps, schema: TSchema, targetsOf: (body: ManyBody) => PublishTargets): Handler =>
  handler<ManyBody>(deps, schema, async (content, asked) => {
    const targets = targetsOf(content);
    const outcome = await deps.publisher.publishMany({ ...asked, targets, content, source: SOURCE });
    if (isRefusal(outcome)) return outcome;
    return answerOf(targets.kind === "users" ? usersResult(outcome) : channelsResult(outcome), outcome.replayed);
  });

function answerOf(result: object, replayed: boolean): Answer {
  const body = JSON.stringify(result);
  return replayed ? { kind: "answer", body, headers: REPLAYED } : { kind: "answer", body };
}

type Facts = Pick<PublishManySuccess, "notificationId" | "occurredAt" | "deliveredTo" | "queued">;

const common = ({ notificationId, occurredAt, deliveredTo, queued }: Facts): PublishResult => ({
  success: deliveredTo > 0,
  notification_id: notificationId,
  delivered_to: deliveredTo,
  failed: 0,
  queued,
  timestamp: new Date(occurredAt).toISOString(),
});

function singleResult(target: PublishTarget, { record }: PublishSuccess): PublishResult & { readonly channel?: string } {
  const result = common(record);
  return target.kind === "channel" ? { ...result, channel: target.channel } : result;
}

/** `fromEntries` defines members, so that a user called `__proto__` is one like any other. */
function usersResult(outcome: PublishManySuccess): UsersResult {
  const results = [...outcome.records].map(([user, { deliveredTo, queued }]) => {
    return [user, { delivered: deliveredTo > 0, connections: deliveredTo, queued }] as const;
  });
  return { ...common(outcome), results: Object.fromEntries(results) };
}

function channelsResult(outcome: PublishManySuccess): ChannelsResult {
  const channels = [...outcome.records].map(([name, { deliveredTo }]) => [name, { delivered_to: deliveredTo }] as const);
  return { ...common(outcome), channels: Object.fromEntries(channels), total_delivered: outcome.deliveredTo };
}

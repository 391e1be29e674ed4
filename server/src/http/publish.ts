// Why: the three publishing operations of the REST contract: decode, hand to core, answer in Ara's shape.
// It must never decide what a publish means: limits, templates and targets are core's.
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { Audience } from "@nexus/protocol/frames.ts";
import type { Content } from "@nexus/protocol/rest/content.ts";
import type { OperationId } from "@nexus/protocol/rest/operations.ts";
import { BroadcastBody, ChannelBody, SendBody } from "@nexus/protocol/rest/publishing.ts";
import type { TSchema } from "@sinclair/typebox";
import type { PublishRecord, Tenants } from "../core/ports.ts";
import type { Publisher, PublishInput, PublishTarget } from "../core/publish.ts";
import { bodyReader } from "./body.ts";
import { type Answer, type Handler, isRefusal } from "./call.ts";

const SOURCE = "http-api";
/** 1-255 visible ASCII characters. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

export type PublishHandlerDeps = { readonly tenants: Pick<Tenants, "cluster">; readonly publisher: Publisher };

/** Every handler refuses with what the body reader and `Publisher.publish` refuse with, and `invalid_header`. */
export function publishHandlers(deps: PublishHandlerDeps): Partial<Record<OperationId, Handler>> {
  return {
    send: handler(deps, SendBody, (body) => ({ kind: "user", user: body.target_user_id })),
    channel: handler(deps, ChannelBody, (body) => ({ kind: "channel", channel: body.channel })),
    broadcast: handler(deps, BroadcastBody, (body) =>
      body.audience === undefined ? { kind: "broadcast" } : { kind: "broadcast", audience: body.audience },
    ),
  };
}

/** What the three bodies have in common with their target; each schema checks its own target member. */
type TargetedBody = Content & { readonly target_user_id: string; readonly channel: string; readonly audience?: Audience };

function handler({ tenants, publisher }: PublishHandlerDeps, schema: TSchema, targetOf: (body: TargetedBody) => PublishTarget): Handler {
  const read = bodyReader(schema);
  return async (call) => {
    const idempotencyKey = call.request.headers.get("idempotency-key");
    if (idempotencyKey !== null && !IDEMPOTENCY_KEY.test(idempotencyKey)) {
      return { code: "invalid_header", detail: "Idempotency-Key must be 1-255 visible ASCII characters" };
    }
    const body = await read(call.request, tenants.cluster().limits.bodyBytes);
    if (isRefusal(body)) return body;
    // Checked by the schema of this operation, which has the member that `targetOf` reads.
    const content = body.value as TargetedBody;
    const target = targetOf(content);
    const input: PublishInput = { tenant: call.caller.tenant, target, content, source: SOURCE };
    const outcome = await publisher.publish(
      idempotencyKey === null ? input : { ...input, idempotencyKey, fingerprint: sha256(`${call.operation.id}\n${body.text}`) },
    );
    return isRefusal(outcome) ? outcome : answerOf(target, outcome);
  };
}

const REPLAYED = { "idempotency-replayed": "true" } as const;

function answerOf(target: PublishTarget, outcome: { record: PublishRecord; replayed: boolean }): Answer {
  const { notificationId, occurredAt, deliveredTo, queued } = outcome.record;
  const result = {
    success: deliveredTo > 0,
    notification_id: notificationId,
    delivered_to: deliveredTo,
    failed: 0,
    queued,
    timestamp: new Date(occurredAt).toISOString(),
    ...(target.kind === "channel" ? { channel: target.channel } : {}),
  };
  const body = JSON.stringify(result);
  return outcome.replayed ? { kind: "answer", body, headers: REPLAYED } : { kind: "answer", body };
}

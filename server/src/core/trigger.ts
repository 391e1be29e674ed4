// Why: what arrives through Redis is judged like a request: size, JSON, shape, then the publisher with its quotas and
// templates. It must never throw for what somebody wrote, nor tell a log what they wrote.
import { sha256 } from "@nexus/protocol/canonical.ts";
import { FAILURES, Failure, type FailureCode, type Refusal } from "@nexus/protocol/failures.ts";
import { DEFAULT_TENANT } from "@nexus/protocol/names.ts";
import type { Content } from "@nexus/protocol/rest/content.ts";
import { TriggerBody } from "@nexus/protocol/triggers.ts";
import type { RemoteParent } from "@nexus/tracing/context.ts";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { parseJson } from "./json-body.ts";
import type { Log, Tenants } from "./ports.ts";
import type { Publisher } from "./publish.ts";

/**
 * `source`: what the content's own overrides, for example `redis:notification:broadcast`. `idempotencyKey`: visible ASCII, at most 255.
 * `remote`: the trace that came beside the body; one inside it is nearer to what is published, and wins.
 */
export type Trigger = {
  readonly body: string;
  readonly source: string;
  readonly idempotencyKey?: string;
  readonly remote?: RemoteParent | undefined;
};

/**
 * `published`: stored and announced, now or by an earlier try with the same key. `invalid`: can never be read.
 * `refused`: can never be published as things are. `later`: the same may succeed after so many seconds.
 */
export type TriggerOutcome =
  | { readonly kind: "published" }
  | { readonly kind: "invalid" | "refused"; readonly code: FailureCode }
  | { readonly kind: "later"; readonly code: FailureCode; readonly retryAfterSeconds: number };

/** Never rejects. */
export type TriggerSink = (trigger: Trigger) => Promise<TriggerOutcome>;

export type TriggerSinkDeps = {
  readonly tenants: Pick<Tenants, "cluster">;
  readonly publisher: Pick<Publisher, "publish" | "publishMany">;
  readonly log: Pick<Log, "error">;
};

const checker = TypeCompiler.Compile(TriggerBody);

export function createTriggerSink({ tenants, publisher, log }: TriggerSinkDeps): TriggerSink {
  return async ({ body, source, idempotencyKey, remote }) => {
    const { limits, tenancy } = tenants.cluster();
    if (Buffer.byteLength(body) > limits.batchBytes) return { kind: "invalid", code: "payload_too_large" };
    const parsed = parseJson(body);
    if (!parsed.ok) return { kind: "invalid", code: parsed.refusal.code };
    const { value } = parsed;
    if (!checker.Check(value)) return { kind: "invalid", code: "validation_error" };
    const target = targetOf(value);
    if (!target) return { kind: "invalid", code: "validation_error" };
    const tenant = tenancy === "Single" ? DEFAULT_TENANT : (value.tenant_id ?? DEFAULT_TENANT);
    const keyed = idempotencyKey === undefined ? { tenant } : { tenant, idempotencyKey, fingerprint: sha256(body) };
    const input = { ...keyed, content: contentOf(value), source, remote: remoteOf(value) ?? remote };
    try {
      const outcome =
        target.kind === "users" || target.kind === "channels"
          ? await publisher.publishMany({ ...input, targets: target })
          : await publisher.publish({ ...input, target });
      return "code" in outcome ? refused(outcome) : { kind: "published" };
    } catch (error) {
      const code = error instanceof Failure ? error.refusal.code : "internal";
      if (code === "internal") log.error("trigger.failed", { error }); // a bug of ours, or an engine's
      return { kind: "later", code, retryAfterSeconds: 1 };
    }
  };
}

/** Whatever else stands there is ignored: a trace is nothing to refuse a notification for. */
function remoteOf({ traceparent, tracestate }: TriggerBody): RemoteParent | undefined {
  if (typeof traceparent !== "string") return undefined;
  return { traceparent, tracestate: typeof tracestate === "string" ? tracestate : undefined };
}

function refused({ code, retryAfterSeconds = 1 }: Refusal): TriggerOutcome {
  return FAILURES[code].retry ? { kind: "later", code, retryAfterSeconds } : { kind: "refused", code };
}

/** Undefined where the target does not fit the type. One name where a list is asked for is a list of one. */
function targetOf({ type, target, audience }: TriggerBody) {
  const one = typeof target === "string" ? target : undefined;
  const many = Array.isArray(target) ? target : one === undefined ? undefined : [one];
  switch (type) {
    case "broadcast":
      return audience === undefined ? { kind: "broadcast" as const } : { kind: "broadcast" as const, audience };
    case "user":
      return one === undefined ? undefined : { kind: "user" as const, user: one };
    case "channel":
      return one === undefined ? undefined : { kind: "channel" as const, channel: one };
    case "users":
      return many && { kind: "users" as const, users: many };
    case "channels":
      return many && { kind: "channels" as const, channels: many };
    default:
      return type satisfies never;
  }
}

const MEMBERS = ["event_type", "payload", "template_id", "variables", "locale", "priority", "ttl", "correlation_id", "source"] as const;

function contentOf(body: TriggerBody): Content {
  const { event = {} } = body;
  const said = MEMBERS.flatMap((name) => {
    const value = Object.hasOwn(event, name) ? event[name] : body[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(said) as Content; // each member has passed its schema under this name
}

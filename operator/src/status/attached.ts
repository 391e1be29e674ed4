// Why: the statuses of Tenants and Templates from what was decided and seen. Pure: data in, status out.
import type { Condition, Refused } from "@nexus/protocol/resources/conditions.ts";
import type { TemplateStatus } from "@nexus/protocol/resources/template.ts";
import type { TenantStatus } from "@nexus/protocol/resources/tenant.ts";
import { conditions, few, isTrue, type Judgement, judge } from "./conditions.ts";
import { type Acknowledgement, syncedJudgement } from "./synced.ts";

type Context = {
  readonly previous: readonly Condition[] | undefined;
  readonly generation: number;
  /** RFC 3339. */
  readonly now: string;
  /** On the pusher's clock. */
  readonly nowMs: number;
};

/** What came of an object: refused, paused, or part of the configuration under `id`. */
export type AttachedState =
  | { readonly kind: "refused"; readonly refused: Refused }
  /** Left as it is, and so is what was said about it. */
  | { readonly kind: "paused" }
  | {
      readonly kind: "accepted";
      readonly id: string;
      readonly acknowledgement: Acknowledgement;
      readonly missing: readonly string[];
      /** Secrets whose content does not serve; sentences. */
      readonly unusable: readonly string[];
      readonly suspended: boolean;
      /** Its namespace may not attach any more: when it is disabled, RFC 3339. */
      readonly revokedUntil?: string | undefined;
    };

const taken = judge("Accepted", "True", "Reconciled", "part of the cluster's configuration");
const paused = judge("Paused", "True", "PausedByAnnotation", "the annotation nexus.dev/paused is true; nothing is changed");
const notLookedAt = judge("Ready", "Unknown", "NotObserved", "paused before it was looked at");

/** Still served for a moment is not accepted any more. */
const acceptedOf = ({ revokedUntil }: Extract<AttachedState, { kind: "accepted" }>): Judgement =>
  revokedUntil === undefined
    ? taken
    : judge(
        "Accepted",
        "False",
        "AccessRevoked",
        `the namespace may not attach any more: disabled at ${revokedUntil}, unless it is allowed again before`,
      );

/** The status as it stands, which is about an older generation after an edit, and that it is paused. */
function pausedStatus<S extends Published>(published: S | undefined, context: Context): S | Published {
  const before = published?.conditions ?? conditions([notLookedAt], context);
  const said = conditions([paused], context);
  return { ...published, conditions: [...before.filter((one) => one.type !== "Paused"), ...said] };
}
type Published = { readonly conditions?: Condition[] };

function synced(state: Extract<AttachedState, { kind: "accepted" }>, context: Context): Judgement {
  const previous = context.previous?.find((one) => one.type === "Synced");
  return syncedJudgement({ acknowledgement: state.acknowledgement, previous, generation: context.generation, nowMs: context.nowMs });
}

const WAITING: ReadonlySet<string> = new Set(["ReferenceNotPermitted", "TenantNotAccepted", "PurgePending"]);

/** What only a user can mend is `Stalled`; what time may mend is `Reconciling`. */
function refusedJudgements(refused: Refused): Judgement[] {
  const waits = WAITING.has(refused.reason);
  return [
    judge("Ready", "False", refused.reason, refused.message),
    judge("Accepted", "False", refused.reason, refused.message),
    judge("Synced", "False", refused.reason, "not part of the configuration"),
    judge(waits ? "Reconciling" : "Stalled", "True", refused.reason, refused.message),
  ];
}

function readiness(parts: readonly Judgement[], whenReady: string): Judgement[] {
  const failing = parts.find((one) => !isTrue(one));
  if (!failing) return [judge("Ready", "True", "Reconciled", whenReady)];
  const status = failing.status === "Unknown" ? "Unknown" : "False";
  const ready = judge("Ready", status, failing.reason, failing.message);
  return failing.type === "CredentialsReady" ? [ready] : [ready, judge("Reconciling", "True", failing.reason, failing.message)];
}

const finish = (judgements: readonly Judgement[], context: Context) => ({
  observedGeneration: context.generation,
  conditions: conditions(judgements, context),
});

function credentialsOf({ missing, unusable }: Extract<AttachedState, { kind: "accepted" }>): Judgement {
  if (missing.length > 0) return judge("CredentialsReady", "False", "SecretNotFound", `missing: ${few(missing)}`);
  if (unusable.length > 0) return judge("CredentialsReady", "False", "InvalidSpec", few(unusable));
  return judge("CredentialsReady", "True", "CredentialsFound", "every Secret and key is there");
}

/** `published`: the status now. */
export function tenantStatus(state: AttachedState, context: Context, published: TenantStatus | undefined): TenantStatus {
  if (state.kind === "paused") return pausedStatus(published, context);
  if (state.kind === "refused") {
    const unknown = judge("CredentialsReady", "Unknown", "NotObserved", "not looked at while the Tenant is not accepted");
    return finish([...refusedJudgements(state.refused), unknown], context);
  }
  const credentials = credentialsOf(state);
  const pushed = synced(state, context);
  const accepted = acceptedOf(state);
  const ready = readiness([accepted, credentials, pushed], state.suspended ? "suspended as asked" : "serving");
  const stalled = isTrue(credentials) ? [] : [judge("Stalled", "True", credentials.reason, credentials.message)];
  return { ...finish([...ready, accepted, credentials, pushed, ...stalled], context), tenantId: state.id };
}

/** `published`: the status now. */
export function templateStatus(state: AttachedState, context: Context, published: TemplateStatus | undefined): TemplateStatus {
  if (state.kind === "paused") return pausedStatus(published, context);
  if (state.kind === "refused") return finish(refusedJudgements(state.refused), context);
  const pushed = synced(state, context);
  const accepted = acceptedOf(state);
  return { ...finish([...readiness([accepted, pushed], "live on every ready pod"), accepted, pushed], context), templateId: state.id };
}

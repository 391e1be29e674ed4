// Why: one pass over a Tenant or a Template: accepted or refused, compiled, told to the pods, its status written. A bad object
// is refused on its own status and never stops another. It must never take the last good version from the servers because
// a new one cannot be used.
import { type BundleEntry, entryKey } from "@nexus/protocol/bundle.ts";
import type { Condition } from "@nexus/protocol/resources/conditions.ts";
import type { Template } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { acceptTemplate, acceptTenant, clusterKeyOf, keyOfObject, namespaceOf, type Refused } from "../desired/acceptance.ts";
import { isRefused, templateEntry, tenantEntry } from "../desired/bundle.ts";
import { type AttachedState, templateStatus, tenantStatus } from "../status/attached.ts";
import { timestamp } from "../status/conditions.ts";
import { type Context, isPaused } from "./context.ts";
import { apiKeySecrets, secretsOf } from "./credentials.ts";
import { type Attached, type SourceKey, sourceKey } from "./keys.ts";
import { KINDS } from "./kinds.ts";
import { MISSING_MS, SECRET_MS } from "./secrets.ts";
import type { Outcome } from "./workers.ts";

/** An acknowledgement usually comes within this time: then one status write says it all. */
const PATIENCE_MS = 1_000;

/** What a pass decided. `cluster`: where its entry is. */
type Decision =
  | { readonly kind: "refused"; readonly refused: Refused; readonly id?: undefined }
  | {
      readonly kind: "accepted";
      readonly cluster: string;
      readonly id: string;
      readonly entry: BundleEntry | undefined;
      /** Set when this version cannot be used. */
      readonly unusable?: Refused;
      readonly missing: readonly string[];
    };

export async function reconcileAttached(context: Context, kind: Attached, key: string): Promise<Outcome> {
  const source = sourceKey(kind, key);
  try {
    return await pass(context, kind, key);
  } catch (error) {
    keepOnFailure(context, kind, key);
    throw error;
  } finally {
    context.bundles.seen(source);
  }
}

async function pass(context: Context, kind: Attached, key: string): Promise<Outcome> {
  const source = sourceKey(kind, key);
  const object = kind === "tenant" ? context.stores.Tenant.get(key) : context.stores.Template.get(key);
  if (!object) {
    context.bundles.remove(source);
    context.secrets.forget(source);
    return { kind: "done" };
  }
  if (object.metadata.deletionTimestamp !== undefined) return { kind: "done" };
  const decision = object.kind === "Tenant" ? await decideTenant(context, object, source) : decideTemplate(context, object);
  return await contribute(context, { object, source, decision });
}

async function decideTenant(context: Context, tenant: Tenant, source: SourceKey): Promise<Decision> {
  const verdict = acceptTenant(tenant, context.world);
  if (!verdict.ok) {
    context.secrets.forget(source);
    return { kind: "refused", refused: verdict.refused };
  }
  const { tenantId: id } = verdict.value;
  const accepted = { kind: "accepted", cluster: clusterKeyOf(tenant), id, entry: undefined, missing: [] } as const;
  if (!isPaused(tenant)) {
    const conflict = await apiKeySecrets(context, tenant);
    if (conflict !== undefined) return { ...accepted, unusable: { reason: "NameConflict", message: conflict } };
  }
  const read = await context.secrets.reader(source, namespaceOf(tenant), secretsOf(tenant));
  const compiled = tenantEntry(verdict.value, read);
  if (isRefused(compiled)) return { ...accepted, unusable: compiled };
  return { ...accepted, entry: compiled.entry, missing: [...compiled.missing, ...compiled.unusable] };
}

function decideTemplate(context: Context, template: Template): Decision {
  const verdict = acceptTemplate(template, context.world);
  if (!verdict.ok) return { kind: "refused", refused: verdict.refused };
  const { owner, templateId: id } = verdict.value;
  const accepted = { kind: "accepted", cluster: clusterKeyOf(owner.tenant), id, missing: [] } as const;
  const compiled = templateEntry(verdict.value);
  return isRefused(compiled) ? { ...accepted, entry: undefined, unusable: compiled } : { ...accepted, entry: compiled };
}

type Work = { readonly object: Tenant | Template; readonly source: SourceKey; readonly decision: Decision };

async function contribute(context: Context, work: Work): Promise<Outcome> {
  const { object, source, decision } = work;
  const { bundles } = context;
  if (decision.kind === "refused") {
    bundles.remove(source);
    await writeStatus(context, work, { kind: "refused", refused: decision.refused });
    return { kind: "done" };
  }
  const isHeld = isPaused(object) || decision.entry === undefined;
  if (isHeld) bundles.keep(source, decision.cluster, object.metadata.uid ?? "");
  // What is news is told once the bundle went out: this key comes back then.
  else if (decision.entry && bundles.put(source, decision.cluster, decision.entry)) return again(context, work);
  if (decision.unusable) {
    await writeStatus(context, work, { kind: "refused", refused: decision.unusable });
    return again(context, work);
  }
  if (!bundles.isPublished(decision.cluster)) {
    // A cluster that waits for its first bundle tells its objects when that went out.
    return again(context, work);
  }
  return await tell(context, work, decision);
}

async function tell(context: Context, work: Work, decision: Extract<Decision, { kind: "accepted" }>): Promise<Outcome> {
  const { object } = work;
  const { uid = "", generation = 1 } = object.metadata;
  const entry = decision.entry ? entryKey(decision.entry) : "";
  const acknowledgement = context.pusher.acknowledged(decision.cluster, entry, uid, generation);
  const nowMs = context.clock.monotonicMs();
  const isKnown = conditionsOf(context, object)?.some(
    (one) => one.type === "Synced" && one.status === "True" && one.observedGeneration === generation,
  );
  if (!isKnown && acknowledgement.kind === "waiting") {
    const leftMs = acknowledgement.sinceMs + PATIENCE_MS - nowMs;
    if (leftMs > 0) return { kind: "again", afterMs: leftMs };
  }
  const suspended = object.kind === "Tenant" && object.spec.suspended;
  await writeStatus(context, work, { kind: "accepted", id: decision.id, acknowledgement, missing: decision.missing, suspended });
  return again(context, work);
}

/** When to look again without an event: Secrets that nobody labelled for watching. */
function again(context: Context, { object, decision }: Work): Outcome {
  if (object.kind !== "Tenant" || decision.kind !== "accepted") return { kind: "done" };
  const isWaiting = decision.missing.length > 0;
  if (!isWaiting && secretsOf(object).size === 0) return { kind: "done" };
  return { kind: "again", afterMs: isWaiting ? MISSING_MS : SECRET_MS * (0.9 + 0.2 * context.random()) };
}

const conditionsOf = (context: Context, object: Tenant | Template): readonly Condition[] | undefined =>
  (object.kind === "Tenant" ? context.statuses.current(object) : context.statuses.current(object))?.conditions;

async function writeStatus(context: Context, { object, decision }: Work, state: AttachedState): Promise<void> {
  const times = {
    previous: conditionsOf(context, object),
    generation: object.metadata.generation ?? 1,
    now: timestamp(context.clock.wallMs()),
    nowMs: context.clock.monotonicMs(),
    isPaused: isPaused(object),
  };
  const wasConflict = times.previous?.some((one) => one.reason === "NameConflict");
  if (state.kind === "refused" && state.refused.reason === "NameConflict" && !wasConflict) {
    context.events.record({ regarding: object, type: "Warning", reason: "NameConflict", action: "Accepting", note: state.refused.message });
  }
  if (object.kind === "Tenant") {
    const status = tenantStatus(state, times);
    const id = decision.kind === "accepted" ? { tenantId: decision.id } : {};
    await context.statuses.write(KINDS.Tenant, object, { ...status, ...id });
  } else {
    const id = decision.kind === "accepted" ? { templateId: decision.id } : {};
    await context.statuses.write(KINDS.Template, object, { ...templateStatus(state, times), ...id });
  }
}

/** A pass that failed (no answer, a refusal) must not look like an object that is gone. */
function keepOnFailure(context: Context, kind: Attached, key: string): void {
  const tenant = kind === "tenant" ? context.stores.Tenant.get(key) : context.world.tenant(tenantOf(context.stores.Template.get(key)));
  const uid = (kind === "tenant" ? tenant : context.stores.Template.get(key))?.metadata.uid;
  if (tenant && uid) context.bundles.keep(sourceKey(kind, key), clusterKeyOf(tenant), uid);
}

const tenantOf = (template: Template | undefined): string =>
  template ? `${template.spec.tenantRef.namespace ?? namespaceOf(template)}/${template.spec.tenantRef.name}` : "";

/** Rivals for an id, and whoever depends on an object, come back when it comes, goes or changes. */
export const keyOfAttached = (object: Tenant | Template): SourceKey =>
  sourceKey(object.kind === "Tenant" ? "tenant" : "template", keyOfObject(object));

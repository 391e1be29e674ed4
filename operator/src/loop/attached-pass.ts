// Why: the passes over one Tenant and one Template: what is theirs alone is made, and their status says what became of them. It
// must never write a word that the next second takes back: pods that were just told are given a moment to answer.
import type { Condition } from "@nexus/protocol/resources/conditions.ts";
import { API_VERSION } from "@nexus/protocol/resources/names.ts";
import type { Template, TemplateStatus } from "@nexus/protocol/resources/template.ts";
import type { Tenant } from "@nexus/protocol/resources/tenant.ts";
import { acceptTenant, clusterKeyOf, namespaceOf, tenantKeyOf, type World } from "../desired/acceptance.ts";
import { apiKeySecretName, MANAGER, ownedBy, tenantLabels } from "../desired/names.ts";
import type { KubeObject } from "../plan/object.ts";
import { type AttachedState, templateStatus, tenantStatus } from "../status/attached.ts";
import { timestamp } from "../status/conditions.ts";
import { staysSettled } from "../status/settled.ts";
import { ACKNOWLEDGE_MS } from "../status/synced.ts";
import type { AccessGrace } from "./access-grace.ts";
import type { Clock } from "./clock.ts";
import type { CompiledObject } from "./config/notes.ts";
import type { Configurations } from "./configuration.ts";
import { ensureKey } from "./generated-secrets.ts";
import { KINDS } from "./kinds.ts";
import { removeOrphanKeys } from "./orphan-keys.ts";
import { isPaused } from "./paused.ts";
import type { EventRecorder, KubeApi, StatusWriter, TemplateReader } from "./ports.ts";
import type { Pusher } from "./pusher.ts";
import type { SecretSource } from "./secret-source.ts";
import type { TemplateIndex } from "./template-index.ts";
import type { Views } from "./views.ts";
import type { Outcome } from "./workers.ts";

export type AttachedPassDeps = {
  readonly views: Views;
  readonly world: World;
  readonly configurations: Configurations;
  readonly grace: Pick<AccessGrace, "until">;
  readonly content: Pick<TemplateReader, "get">;
  readonly pusher: Pusher;
  readonly api: KubeApi;
  readonly secrets: SecretSource;
  readonly statuses: StatusWriter;
  readonly events: EventRecorder;
  readonly context: { readonly operatorId: string };
  readonly clock: Clock;
  readonly wallMs: () => number;
  /** A Secret of a Tenant was made: its entry has to be compiled again. */
  readonly recompile: (tenant: Tenant) => void;
};

const DONE: Outcome = { kind: "done" };
/** So long pods that are told may take before anybody is told of the waiting, in milliseconds. */
const ANSWER_MS = 1_000;

type Judged = { readonly state: AttachedState; readonly quietMs: number };

export class AttachedPass {
  readonly #deps: AttachedPassDeps;

  constructor(deps: AttachedPassDeps) {
    this.#deps = deps;
  }

  /** Rejects with `KubeError`. */
  async tenant(key: string): Promise<Outcome> {
    const { views, configurations, world, statuses } = this.#deps;
    const compiled = configurations.outcome("tenant", key);
    const tenant = views.tenants.get(key);
    if (!tenant || tenant.metadata.deletionTimestamp) return DONE;
    if (!isPaused(tenant) && acceptTenant(tenant, world).ok) {
      if (await this.#ensureKeys(tenant)) this.#deps.recompile(tenant);
      await this.#removeKeys(tenant);
    }
    if (!compiled) return DONE; // the configuration's pass brings it back
    const { state, quietMs } = this.#judge(tenant, compiled, { clusterKey: clusterKeyOf(tenant), suspended: tenant.spec.suspended });
    if (quietMs > 0) return { kind: "again", afterMs: quietMs };
    const status = tenantStatus(state, this.#context(tenant, tenant.status?.conditions), tenant.status);
    await statuses.write({ kind: KINDS.Tenant, live: tenant, status });
    return settle(state, status.conditions);
  }

  /** Rejects with `KubeError`. */
  async template(key: string): Promise<Outcome> {
    const { views, statuses, configurations } = this.#deps;
    const compiled = configurations.outcome("template", key);
    const index = views.templates.get(key);
    if (!index || index.metadata.deletionTimestamp || !compiled) return DONE;
    const tenant = views.tenants.get(tenantKeyOf(index));
    const { state, quietMs } = this.#judge(index, compiled, { clusterKey: tenant ? clusterKeyOf(tenant) : "", suspended: false });
    if (index.status === "settled" && staysSettled(state)) return DONE;
    if (quietMs > 0) return { kind: "again", afterMs: quietMs };
    const live = await this.#withStatus(key, index);
    if (!live) return DONE;
    const status = templateStatus(state, this.#context(index, live.status?.conditions), live.status);
    await statuses.write({ kind: KINDS.Template, live, status });
    return settle(state, status.conditions);
  }

  /** With the status written out: a settled one is not kept, and is read back on the few occasions it changes. */
  async #withStatus(
    key: string,
    { metadata, status }: TemplateIndex,
  ): Promise<(KubeObject & { readonly status?: TemplateStatus }) | undefined> {
    const { apiVersion, kind } = TEMPLATE;
    if (status !== "settled") return { apiVersion, kind, metadata: { ...metadata }, ...(status ? { status } : {}) };
    const read: Template | undefined = await this.#deps.content.get(key);
    const isSame = read?.metadata.uid === metadata.uid && read?.metadata.generation === metadata.generation;
    return isSame ? read : undefined; // another version is on its way through the watch
  }

  #judge(
    object: Pick<TemplateIndex, "metadata">,
    compiled: CompiledObject,
    { clusterKey, suspended }: { readonly clusterKey: string; readonly suspended: boolean },
  ): Judged {
    if (compiled.kind === "refused") return { state: { kind: "refused", refused: compiled.refused }, quietMs: 0 };
    if (compiled.kind === "paused") return { state: { kind: "paused" }, quietMs: 0 };
    const { key, id, missing, unusable } = compiled;
    const acknowledgement = this.#deps.pusher.acknowledged(clusterKey, key, object.metadata.uid ?? "", object.metadata.generation ?? 1);
    const sinceMs = acknowledgement.kind === "waiting" ? acknowledgement.sinceMs : Number.NEGATIVE_INFINITY;
    const quietMs = Math.max(0, sinceMs + ANSWER_MS - this.#deps.clock.monotonicMs());
    const revokedUntil = this.#deps.grace.until(object.metadata.uid ?? "");
    return { state: { kind: "accepted", id, missing, unusable, suspended, acknowledgement, revokedUntil }, quietMs };
  }

  #context({ metadata }: Pick<TemplateIndex, "metadata">, previous: readonly Condition[] | undefined) {
    const { clock, wallMs } = this.#deps;
    return { previous, generation: metadata.generation ?? 1, now: timestamp(wallMs()), nowMs: clock.monotonicMs() };
  }

  /** Generated keys that the spec does not name any more, or not as generated ones. */
  async #removeKeys(tenant: Tenant): Promise<void> {
    const { context, views } = this.#deps;
    const { name, uid } = tenant.metadata;
    if (uid === undefined) return;
    const generated = (tenant.spec.auth.apiKeys ?? []).filter((key) => !key.secretRef);
    const orphans = {
      ...{ namespace: namespaceOf(tenant), prefix: apiKeySecretName(name, "") },
      stored: views.ownSecrets.byIndex("tenant", `${namespaceOf(tenant)}/${name}`),
      wanted: new Set(generated.map((key) => apiKeySecretName(name, key.name))),
      identity: { labels: tenantLabels(name, context.operatorId), ownerUid: uid },
    };
    await removeOrphanKeys(orphans, this.#deps);
  }

  /** Whether one was made or changed. A Secret with a key's name that belongs to somebody else is told of by an event. */
  async #ensureKeys(tenant: Tenant): Promise<boolean> {
    const { context, secrets, events } = this.#deps;
    const labels = tenantLabels(tenant.metadata.name, context.operatorId);
    let isNew = false;
    for (const key of tenant.spec.auth.apiKeys ?? []) {
      if (key.secretRef) continue;
      const name = apiKeySecretName(tenant.metadata.name, key.name);
      const head = { namespace: namespaceOf(tenant), name, labels, ownerReferences: ownedBy(tenant) };
      const before = await secrets.get(head.namespace, head.name);
      const ensured = await ensureKey(head, key.rotation, { ...this.#deps, manager: MANAGER, wallMs: this.#deps.wallMs() });
      if (!ensured.ok)
        events.record({ regarding: tenant, type: "Warning", reason: "NameConflict", action: "Creating", note: ensured.message });
      else if (before?.metadata.resourceVersion !== ensured.secret.metadata.resourceVersion) isNew = true;
    }
    return isNew;
  }
}

const TEMPLATE = { apiVersion: API_VERSION, kind: "Template" } as const;

/** What pods still have to answer comes back when they do, or when they took too long. */
function settle(state: AttachedState, conditions: readonly Condition[] = []): Outcome {
  const isSynced = conditions.some((one) => one.type === "Synced" && one.status === "True");
  return state.kind !== "accepted" || isSynced ? DONE : { kind: "again", afterMs: ACKNOWLEDGE_MS };
}

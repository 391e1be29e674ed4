// Why: templates over REST: decode, hand to core, answer in Ara's spelling and ours.
// It must never decide what a template may be: ids, rules and who owns it are core's.
import type { TemplateVariable } from "@nexus/protocol/bundle.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { OperationId } from "@nexus/protocol/rest/operations.ts";
import { CreateTemplateBody, PreviewBody, type TemplateResult, UpdateTemplateBody } from "@nexus/protocol/rest/templates.ts";
import type { Engine } from "../core/engine.ts";
import type { Clock, Tenants } from "../core/ports.ts";
import { createTemplateAdmin, type TemplateDraft, type TemplateView } from "../core/template-admin.ts";
import { bodyReader } from "./body.ts";
import { type Answer, type Handler, isRefusal } from "./call.ts";

export type TemplateHandlerDeps = {
  readonly tenants: Tenants;
  readonly engine: Pick<Engine, "templates">;
  readonly clock: Pick<Clock, "now">;
};

/** Each refuses with what the body reader and the call of `TemplateAdmin` refuse with. */
export function templateHandlers({ tenants, engine, clock }: TemplateHandlerDeps): Partial<Record<OperationId, Handler>> {
  const admin = createTemplateAdmin({ tenants, store: engine.templates, clock });
  const readCreate = bodyReader(CreateTemplateBody);
  const readUpdate = bodyReader(UpdateTemplateBody);
  const readPreview = bodyReader(PreviewBody);
  const limit = () => tenants.cluster().limits.bodyBytes;
  const idOf = (params: Readonly<Record<string, string>>) => params.id ?? "";

  return {
    async createTemplate({ request, caller }) {
      const body = await readCreate(request, limit());
      if (isRefusal(body)) return body;
      return answered(await admin.create(caller.tenant, draftOf(body.value)), 201);
    },
    async listTemplates({ caller }) {
      const listed = await admin.list(caller.tenant);
      if (isRefusal(listed)) return listed;
      const { templates, shadowed } = listed;
      return json({ templates: templates.map(resultOf), total: templates.length, shadowed });
    },
    async getTemplate({ params, caller }) {
      return answered(await admin.get(caller.tenant, idOf(params)));
    },
    async updateTemplate({ request, params, caller }) {
      const body = await readUpdate(request, limit());
      if (isRefusal(body)) return body;
      return answered(await admin.update(caller.tenant, idOf(params), (before) => changed(before, body.value)));
    },
    async deleteTemplate({ params, caller }) {
      return (await admin.remove(caller.tenant, idOf(params))) ?? { kind: "answer", status: 204, body: "" };
    },
    async previewTemplate({ request, params, caller }) {
      const body = await readPreview(request, limit());
      if (isRefusal(body)) return body;
      const { variables, locale } = body.value;
      const rendered = await admin.preview(caller.tenant, idOf(params), { variables: variables ?? {}, locale: locale ?? undefined });
      if ("code" in rendered) return rendered;
      const { eventType, payloadJson, priority, ttl } = rendered;
      // The payload is JSON text already.
      const rest = JSON.stringify({ priority, ...(ttl === undefined ? {} : { ttl }) }).slice(1);
      return { kind: "answer", body: `{"event_type":${JSON.stringify(eventType)},"payload":${payloadJson},${rest}` };
    },
  };
}

const json = (value: object, status = 200): Answer => ({ kind: "answer", status, body: JSON.stringify(value) });

const answered = (view: TemplateView | Refusal, status = 200): Answer | Refusal => ("code" in view ? view : json(resultOf(view), status));

function draftOf(body: CreateTemplateBody): TemplateDraft {
  const ttl = body.default_ttl ?? body.ttl ?? undefined;
  return {
    name: body.name ?? body.id,
    description: body.description ?? undefined,
    settings: {
      template_id: body.id,
      event_type: body.event_type,
      priority: body.default_priority ?? body.priority ?? "Normal",
      ...(ttl === undefined ? {} : { ttl_seconds: ttl }),
      engine: body.engine ?? "Simple",
      variables: variablesOf(body.variables),
      payload: body.payload_template,
      locales: localesOf(body.locales),
    },
  };
}

/** What is left out or null stays; null takes description and ttl away. */
function changed(before: TemplateView, body: UpdateTemplateBody): TemplateDraft {
  const { ttl_seconds, ...settings } = before.settings;
  const asked = body.default_ttl === undefined ? body.ttl : body.default_ttl;
  const ttl = asked === undefined ? ttl_seconds : (asked ?? undefined);
  return {
    name: body.name ?? before.name,
    description: body.description === undefined ? before.description : (body.description ?? undefined),
    settings: {
      ...settings,
      event_type: body.event_type ?? settings.event_type,
      priority: body.default_priority ?? body.priority ?? settings.priority,
      ...(ttl === undefined ? {} : { ttl_seconds: ttl }),
      engine: body.engine ?? settings.engine,
      variables: body.variables ? variablesOf(body.variables) : settings.variables,
      payload: body.payload_template ?? settings.payload,
      locales: body.locales ? localesOf(body.locales) : settings.locales,
    },
  };
}

const variablesOf = (variables: CreateTemplateBody["variables"]): TemplateVariable[] =>
  (variables ?? []).map(({ name, type = "string", required = false, default: fallback }) => ({
    ...{ name, type, required },
    ...(fallback === undefined ? {} : { default: fallback }),
  }));

const localesOf = (locales: CreateTemplateBody["locales"]): { locale: string; payload: unknown }[] =>
  (locales ?? []).map(({ locale, payload }) => ({ locale, payload }));

function resultOf({ name, description, settings, managedBy, times }: TemplateView): TemplateResult {
  const { template_id, event_type, priority, ttl_seconds: ttl, engine, variables, payload, locales } = settings;
  const rfc3339 = (ms: number) => new Date(ms).toISOString();
  return {
    id: template_id,
    name,
    ...(description === undefined ? {} : { description }),
    event_type,
    payload_template: payload,
    default_priority: priority,
    priority,
    ...(ttl === undefined ? {} : { default_ttl: ttl, ttl }),
    ...{ engine, variables, locales, managed_by: managedBy },
    ...(times ? { created_at: rfc3339(times.createdAt), updated_at: rfc3339(times.updatedAt) } : {}),
  };
}

// Why: what REST may do with templates: its own it makes and changes, those of the configuration it only shows, because
// they win. It must never change one that somebody else changed meanwhile, nor one of another tenant.
import type { TemplateSettings, TenantSettings } from "@nexus/protocol/bundle.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import { isTemplateId, TEMPLATE_RULE } from "@nexus/protocol/names.ts";
import type { Clock, Tenants } from "./ports.ts";
import type { StoredTemplate, TemplateStore } from "./record-ports.ts";
import { createTemplateLookup } from "./template-lookup.ts";
import { type TemplateTexts, templateErrors } from "./template-rules.ts";
import { type Rendered, type RenderInput, renderTemplate } from "./templates.ts";

/** A template in force. Times in milliseconds since 1970, not known of a resource. */
export type TemplateView = TemplateTexts & {
  readonly settings: TemplateSettings;
  readonly managedBy: "api" | "resource";
  readonly times: { readonly createdAt: number; readonly updatedAt: number } | undefined;
};

export type TemplateDraft = TemplateTexts & { readonly settings: Omit<TemplateSettings, "tenant_id"> };

/** Every call refuses with `not_found` for a tenant that nobody declared. */
export type TemplateAdmin = {
  /** Refuses with `invalid_template_id`, `invalid_template`, `template_exists`, `template_managed`, `limit_exceeded`. */
  create(tenant: string, draft: TemplateDraft): Promise<TemplateView | Refusal>;
  /** By id. `shadowed`: stored ones that are hidden by one of the configuration. */
  list(tenant: string): Promise<{ readonly templates: readonly TemplateView[]; readonly shadowed: number } | Refusal>;
  /** Refuses with `template_not_found`. */
  get(tenant: string, id: string): Promise<TemplateView | Refusal>;
  /** `change` may run again, when somebody else was faster. Refuses with `template_not_found`, `template_managed`, `invalid_template`. */
  update(tenant: string, id: string, change: (before: TemplateView) => TemplateDraft): Promise<TemplateView | Refusal>;
  /** Undefined: it is gone. Refuses with `template_not_found`, `template_managed`. */
  remove(tenant: string, id: string): Promise<Refusal | undefined>;
  /** As a send would render it. Refuses with `template_not_found`, `payload_too_large` and what `renderTemplate` refuses with. */
  preview(tenant: string, id: string, input: RenderInput): Promise<Rendered | Refusal>;
};

export type TemplateAdminDeps = {
  readonly tenants: Pick<Tenants, "tenant" | "template" | "templateIds">;
  readonly store: TemplateStore;
  readonly clock: Pick<Clock, "now">;
};

/** One of many writers wins each round, so only a store that never says `replaced` gets this far. */
const MAX_ATTEMPTS = 100;

const NO_TENANT: Refusal = { code: "not_found", detail: "No such tenant" };
const NOT_FOUND: Refusal = { code: "template_not_found", detail: "The tenant has no such template" };
const MANAGED: Refusal = { code: "template_managed", detail: "A Template resource has this id: change it there" };

export function createTemplateAdmin({ tenants, store, clock }: TemplateAdminDeps): TemplateAdmin {
  const lookup = createTemplateLookup({ tenants, store });

  return {
    async create(tenantId, { settings, ...texts }) {
      const tenant = tenants.tenant(tenantId);
      if (!tenant) return NO_TENANT;
      const id = settings.template_id;
      if (!isTemplateId(id)) return invalidId();
      if (tenants.template(tenantId, id)) return MANAGED;
      const now = clock.now();
      const template = { ...texts, settings: { ...settings, tenant_id: tenantId }, createdAt: now, updatedAt: now };
      const wrong = refusalOf(template, tenant);
      if (wrong) return wrong;
      const outcome = await store.create(tenantId, template, tenant.quotas.templates);
      if (outcome === "exists") return { code: "template_exists", detail: "The tenant has a template with this id" };
      if (outcome === "created") return viewOf(template);
      return { code: "limit_exceeded", detail: `The tenant may have ${tenant.quotas.templates} templates` };
    },

    async list(tenantId) {
      if (!tenants.tenant(tenantId)) return NO_TENANT;
      const stored = await store.list(tenantId);
      const declared = tenants.templateIds(tenantId).flatMap((id) => tenants.template(tenantId, id) ?? []);
      const hidden = new Set(declared.map((one) => one.template_id));
      const own = stored.filter(({ settings }) => !hidden.has(settings.template_id));
      const templates = [...declared.map(declaredView), ...own.map(viewOf)];
      templates.sort((a, b) => (a.settings.template_id < b.settings.template_id ? -1 : 1));
      return { templates, shadowed: stored.length - own.length };
    },

    async get(tenantId, id) {
      if (!tenants.tenant(tenantId)) return NO_TENANT;
      if (!isTemplateId(id)) return NOT_FOUND;
      const declared = tenants.template(tenantId, id);
      if (declared) return declaredView(declared);
      const stored = await store.get(tenantId, id);
      return stored ? viewOf(stored) : NOT_FOUND;
    },

    async update(tenantId, id, change) {
      const tenant = tenants.tenant(tenantId);
      if (!tenant) return NO_TENANT;
      if (!isTemplateId(id)) return NOT_FOUND;
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
        if (tenants.template(tenantId, id)) return MANAGED;
        const before = await store.get(tenantId, id);
        if (!before) return NOT_FOUND;
        const { settings, ...texts } = change(viewOf(before));
        // Later than before in any case: `updatedAt` is what tells two versions apart.
        const updatedAt = Math.max(clock.now(), before.updatedAt + 1);
        const own = { tenant_id: tenantId, template_id: id };
        const after = { ...texts, settings: { ...settings, ...own }, createdAt: before.createdAt, updatedAt };
        const wrong = refusalOf(after, tenant);
        if (wrong) return wrong;
        const outcome = await store.replace(tenantId, after, before.updatedAt);
        if (outcome === "replaced") return viewOf(after);
        if (outcome === "missing") return NOT_FOUND;
      }
      throw new Error(`a template was changed by others ${MAX_ATTEMPTS} times in a row`);
    },

    async remove(tenantId, id) {
      if (!tenants.tenant(tenantId)) return NO_TENANT;
      if (!isTemplateId(id)) return NOT_FOUND;
      if (tenants.template(tenantId, id)) return MANAGED;
      return (await store.delete(tenantId, id)) ? undefined : NOT_FOUND;
    },

    async preview(tenantId, id, input) {
      const tenant = tenants.tenant(tenantId);
      if (!tenant) return NO_TENANT;
      const settings = await lookup(tenantId, id);
      if (!settings) return NOT_FOUND;
      const rendered = await renderTemplate(settings, input, (partial) => lookup(tenantId, partial));
      if ("code" in rendered || Buffer.byteLength(rendered.payloadJson) <= tenant.quotas.payloadBytes) return rendered;
      return { code: "payload_too_large", detail: `The payload may have ${tenant.quotas.payloadBytes} bytes of JSON` };
    },
  };
}

const invalidId = (): Refusal => ({
  code: "invalid_template_id",
  detail: `A template's id is ${TEMPLATE_RULE}`,
  fields: [{ pointer: "/id", detail: `must be ${TEMPLATE_RULE}` }],
});

function refusalOf({ settings, name, description }: StoredTemplate, tenant: TenantSettings): Refusal | undefined {
  const fields = templateErrors(settings, { name, description }, tenant.quotas.payloadBytes);
  return fields.length === 0 ? undefined : { code: "invalid_template", detail: "The template cannot be used", fields };
}

const viewOf = ({ name, description, settings, createdAt, updatedAt }: StoredTemplate): TemplateView => ({
  ...{ name, description, settings, managedBy: "api" },
  times: { createdAt, updatedAt },
});

const declaredView = (settings: TemplateSettings): TemplateView => ({
  ...{ name: settings.template_id, description: undefined, settings, managedBy: "resource" },
  times: undefined,
});

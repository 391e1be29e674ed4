// Why: templates made by REST, for as long as the process lives; the tenants' quotas bound them.
// It must never answer one tenant with another's.
import type { StoredTemplate, TemplateStore } from "../../core/record-ports.ts";

export class MemoryTemplateStore implements TemplateStore {
  readonly #tenants = new Map<string, Map<string, StoredTemplate>>();

  forget(tenant: string): void {
    this.#tenants.delete(tenant);
  }

  get: TemplateStore["get"] = async (tenant, id) => this.#tenants.get(tenant)?.get(id);

  list: TemplateStore["list"] = async (tenant) => {
    const all = [...(this.#tenants.get(tenant)?.values() ?? [])];
    return all.sort((a, b) => (a.settings.template_id < b.settings.template_id ? -1 : 1));
  };

  create: TemplateStore["create"] = async (tenant, template, limit) => {
    const templates = this.#tenants.get(tenant) ?? new Map<string, StoredTemplate>();
    if (templates.has(template.settings.template_id)) return "exists";
    if (templates.size >= limit) return "limit";
    templates.set(template.settings.template_id, template);
    this.#tenants.set(tenant, templates);
    return "created";
  };

  replace: TemplateStore["replace"] = async (tenant, template, expectedUpdatedAt) => {
    const templates = this.#tenants.get(tenant);
    const stored = templates?.get(template.settings.template_id);
    if (!templates || !stored) return "missing";
    if (stored.updatedAt !== expectedUpdatedAt) return "changed";
    templates.set(template.settings.template_id, template);
    return "replaced";
  };

  delete: TemplateStore["delete"] = async (tenant, id) => {
    const templates = this.#tenants.get(tenant);
    const deleted = templates?.delete(id) ?? false;
    if (templates?.size === 0) this.#tenants.delete(tenant);
    return deleted;
  };
}

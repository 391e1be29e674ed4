// Why: a template is looked for in the live configuration first, then among those made by REST; a send that names one of
// the first must not wait for a store. It must never let a stored one replace one of the configuration.

import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import { isTemplateId } from "@nexus/protocol/names.ts";
import { AgingMap } from "./aging-map.ts";
import type { Tenants } from "./ports.ts";
import type { TemplateStore } from "./record-ports.ts";

/** Undefined: the tenant has no such template. A promise only where the store has to be asked. */
export type TemplateLookup = (tenant: string, id: string) => TemplateSettings | undefined | Promise<TemplateSettings | undefined>;

export type TemplateLookupDeps = { readonly tenants: Pick<Tenants, "template">; readonly store: Pick<TemplateStore, "get"> };

/** Stored templates whose compiled form is worth keeping; least recently used goes first. */
const REMEMBERED = 1024;

/**
 * Compiled templates hang on their settings object, so a stored template that reads the same as last time is answered
 * with the object of last time. The store is asked every time: there is nothing to go stale.
 */
export function createTemplateLookup({ tenants, store }: TemplateLookupDeps): TemplateLookup {
  const remembered = new AgingMap<string, { readonly json: string; readonly settings: TemplateSettings }>();

  async function fromStore(tenant: string, id: string): Promise<TemplateSettings | undefined> {
    const key = `${tenant}/${id}`;
    const stored = await store.get(tenant, id);
    const last = remembered.get(key);
    remembered.delete(key);
    if (!stored) return undefined;
    const json = JSON.stringify(stored.settings);
    const current = last?.json === json ? last : { json, settings: stored.settings };
    remembered.set(key, current);
    const oldest = remembered.size > REMEMBERED ? remembered.oldest() : undefined;
    if (oldest) remembered.delete(oldest[0]);
    return current.settings;
  }

  // What can be no id is asked of nobody.
  return (tenant, id) => (isTemplateId(id) ? (tenants.template(tenant, id) ?? fromStore(tenant, id)) : undefined);
}

// Why: a send must not wait for a store that it does not need, and must never render what is no longer stored.
import { expect, test } from "bun:test";
import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import { MemoryTemplateStore } from "@nexus/server/adapters/memory/template-store.ts";
import { resolveContent } from "@nexus/server/core/content.ts";
import { createTemplateLookup } from "@nexus/server/core/template-lookup.ts";

const settings = (template_id: string, payload: unknown): TemplateSettings => ({
  ...{ tenant_id: "acme", template_id, event_type: "e", priority: "Normal", engine: "Simple", variables: [], locales: [] },
  payload,
});
const stored = (id: string, payload: unknown, updatedAt = 1) => ({
  ...{ name: id, description: undefined, createdAt: 1, updatedAt },
  settings: settings(id, payload),
});

function lookupWith(...declared: readonly TemplateSettings[]) {
  const asked: string[] = [];
  const store = new MemoryTemplateStore();
  const tenants = { template: (_: string, id: string) => declared.find((one) => one.template_id === id) };
  const get: MemoryTemplateStore["get"] = (tenant, id) => {
    asked.push(id);
    return store.get(tenant, id);
  };
  return { lookup: createTemplateLookup({ tenants, store: { get } }), store, asked };
}

test("a template of the configuration is there at once, and hides a stored one", async () => {
  const { lookup, store, asked } = lookupWith(settings("a", "declared"));
  await store.create("acme", stored("a", "stored"), 10);
  const content = resolveContent({ template_id: "a" }, (id) => lookup("acme", id));
  expect(content).toMatchObject({ payloadJson: '"declared"' });
  expect(asked).toEqual([]);
});

test("content without a template asks nobody", () => {
  const { lookup, asked } = lookupWith();
  expect(resolveContent({ event_type: "e", payload: 1 }, (id) => lookup("acme", id))).toMatchObject({ payloadJson: "1" });
  expect(asked).toEqual([]);
});

test("a stored template is asked for each time; unchanged it is the same object, so it is compiled once", async () => {
  const { lookup, store, asked } = lookupWith();
  await store.create("acme", stored("a", "first"), 10);
  const first = await lookup("acme", "a");
  await store.replace("acme", stored("a", "first", 2), 1);
  expect(await lookup("acme", "a")).toBe(first as TemplateSettings);
  await store.replace("acme", stored("a", "second", 3), 2);
  expect(await lookup("acme", "a")).toMatchObject({ payload: "second" });
  await store.delete("acme", "a");
  expect(await lookup("acme", "a")).toBeUndefined();
  expect(await lookup("other", "a")).toBeUndefined();
  expect(asked).toHaveLength(5);
});

test("what can be no id is asked of nobody", () => {
  const { lookup, asked } = lookupWith();
  for (const id of ["", "a/b", "../a", "a:b", "x".repeat(65), "é"]) expect(lookup("acme", id)).toBeUndefined();
  expect(asked).toEqual([]);
});

test("many stored templates are forgotten in turn and stay right", async () => {
  const { lookup, store } = lookupWith();
  const ids = Array.from({ length: 1100 }, (_, i) => `t-${i}`);
  for (const id of ids) await store.create("acme", stored(id, id), 2000);
  for (const id of [...ids, ...ids]) expect(await lookup("acme", id)).toMatchObject({ payload: id });
});

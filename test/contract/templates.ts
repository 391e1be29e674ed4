// Why: what core relies on where templates made by REST are kept: one step each, one tenant each, bounded, never a lost update.
import { describe, expect, test } from "bun:test";
import type { StoredTemplate } from "@nexus/server/core/record-ports.ts";
import { freshTenant, type MakeSubject } from "./subject.ts";

const LIMIT = 10;

function template(tenant: string, id: string, change: Partial<StoredTemplate> = {}): StoredTemplate {
  return {
    name: id,
    description: undefined,
    settings: {
      ...{ tenant_id: tenant, template_id: id, event_type: "test", priority: "Normal", engine: "Simple" },
      ...{ variables: [], payload: { text: "hello {{name}}", list: [1, null, "ü"] }, locales: [{ locale: "de", payload: "hallo" }] },
    },
    createdAt: 1_700_000_000_000,
    updatedAt: 1_700_000_000_000,
    ...change,
  };
}

export function templatesSuite(name: string, make: MakeSubject): void {
  describe(`templates: ${name}`, () => {
    test("a template comes back whole, and only for its tenant", async () => {
      await using subject = await make();
      const { templates } = subject.engine;
      const [tenant, other] = [freshTenant(), freshTenant()];
      const plain = template(tenant, "plain");
      const full = template(tenant, "full", { description: "words" });
      const whole = {
        ...full,
        settings: { ...full.settings, ttl_seconds: 60, variables: [{ name: "n", type: "integer" as const, required: false, default: 3 }] },
      };
      for (const one of [plain, whole]) expect(await templates.create(tenant, one, LIMIT)).toBe("created");
      expect([await templates.get(tenant, "plain"), await templates.get(tenant, "full")]).toEqual([plain, whole]);
      expect([await templates.get(other, "plain"), await templates.get(tenant, "none")]).toEqual([undefined, undefined]);
      expect([await templates.list(other), await templates.delete(other, "plain")]).toEqual([[], false]);
    });

    test("an id is taken once, and a tenant may have so many", async () => {
      await using subject = await make();
      const { templates } = subject.engine;
      const [tenant, other] = [freshTenant(), freshTenant()];
      expect(await templates.create(tenant, template(tenant, "a"), 2)).toBe("created");
      expect(await templates.create(tenant, template(tenant, "a", { name: "again" }), 2)).toBe("exists");
      expect(await templates.create(tenant, template(tenant, "b"), 2)).toBe("created");
      expect(await templates.create(tenant, template(tenant, "c"), 2)).toBe("limit");
      expect(await templates.create(tenant, template(tenant, "b"), 2)).toBe("exists");
      expect(await templates.create(other, template(other, "c"), 2)).toBe("created");
      expect(await templates.delete(tenant, "a")).toBe(true);
      expect(await templates.create(tenant, template(tenant, "c"), 2)).toBe("created");
      expect((await templates.get(tenant, "b"))?.name).toBe("b");
    });

    test("of many who create at once one wins, and the limit holds", async () => {
      await using subject = await make();
      const { templates } = subject.engine;
      const tenant = freshTenant();
      const same = await Promise.all(Array.from({ length: 8 }, () => templates.create(tenant, template(tenant, "same"), LIMIT)));
      expect(same.toSorted()).toEqual(["created", ...Array(7).fill("exists")]);
      const many = await Promise.all(Array.from({ length: 8 }, (_, at) => templates.create(tenant, template(tenant, `t${at}`), 5)));
      expect(many.filter((outcome) => outcome === "created").length).toBe(4);
      expect((await templates.list(tenant)).length).toBe(5);
    });

    test("the list is in the order of ids", async () => {
      await using subject = await make();
      const { templates } = subject.engine;
      const tenant = freshTenant();
      for (const id of ["b", "a_1", "Z", "a", "a-1", "9"]) await templates.create(tenant, template(tenant, id), LIMIT);
      expect((await templates.list(tenant)).map(({ settings }) => settings.template_id)).toEqual(["9", "Z", "a", "a-1", "a_1", "b"]);
    });

    test("replacing needs the version that was read", async () => {
      await using subject = await make();
      const { templates } = subject.engine;
      const tenant = freshTenant();
      const first = template(tenant, "one");
      await templates.create(tenant, first, LIMIT);
      const second = { ...first, name: "second", updatedAt: first.updatedAt + 1 };
      expect(await templates.replace(tenant, second, first.updatedAt)).toBe("replaced");
      expect(await templates.replace(tenant, { ...first, name: "late", updatedAt: first.updatedAt + 2 }, first.updatedAt)).toBe("changed");
      expect(await templates.get(tenant, "one")).toEqual(second);
      expect(await templates.replace(tenant, template(tenant, "none"), first.updatedAt)).toBe("missing");
      expect(await templates.replace(freshTenant(), second, second.updatedAt)).toBe("missing");
    });

    test("of many who replace the same version one wins", async () => {
      await using subject = await make();
      const { templates } = subject.engine;
      const tenant = freshTenant();
      const first = template(tenant, "one");
      await templates.create(tenant, first, LIMIT);
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, at) =>
          templates.replace(tenant, { ...first, name: `by ${at}`, updatedAt: first.updatedAt + 1 }, first.updatedAt),
        ),
      );
      expect(outcomes.toSorted()).toEqual([...Array(7).fill("changed"), "replaced"]);
    });

    test("deleting takes it away, once", async () => {
      await using subject = await make();
      const { templates } = subject.engine;
      const tenant = freshTenant();
      const one = template(tenant, "one");
      await templates.create(tenant, one, LIMIT);
      expect([await templates.delete(tenant, "one"), await templates.delete(tenant, "one")]).toEqual([true, false]);
      expect([await templates.get(tenant, "one"), await templates.list(tenant)]).toEqual([undefined, []]);
      expect(await templates.replace(tenant, one, one.updatedAt)).toBe("missing");
    });
  });
}

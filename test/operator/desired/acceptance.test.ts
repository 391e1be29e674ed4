// Why: whoever may attach gets a tenant's id, and with it its data: a mistake here gives one namespace another's notifications.
import { describe, expect, test } from "bun:test";
import { mayAttach } from "@nexus/operator/desired/acceptance.ts";
import { acceptAll, type Resources } from "@nexus/operator/desired/world.ts";
import type { AllowedNamespaces } from "@nexus/protocol/resources/fields.ts";
import fc from "fast-check";
import { aCluster, aTemplate, aTenant } from "../bundle/fixtures.ts";

const judge = (resources: Partial<Resources>) => {
  const { tenants, templates, refused } = acceptAll({ clusters: [aCluster()], tenants: [], templates: [], ...resources });
  return {
    tenants: tenants.map((one) => `${one.tenant.metadata.name}=${one.tenantId}`),
    templates: templates.map((one) => `${one.template.metadata.name}=${one.owner.tenantId}/${one.templateId}`),
    refused: refused.map(({ key, reason }) => `${key} ${reason}`),
  };
};
const at = (creationTimestamp: string, uid: string) => ({ creationTimestamp, uid });
const abroad = { clusterRef: { name: "live", namespace: "prod" } };

describe("tenants", () => {
  test("in the cluster's namespace have their id, elsewhere one that names the namespace", () => {
    const clusters = [aCluster({ allowedNamespaces: { from: "All" } })];
    const tenants = [aTenant("acme"), aTenant("acme", abroad, { namespace: "team", uid: "u2" })];
    expect(judge({ clusters, tenants }).tenants).toEqual(["acme=acme", "acme=team.acme"]);
  });

  test("cannot claim another namespace's id by spelling it out", () => {
    const clusters = [aCluster({ allowedNamespaces: { from: "All" } })];
    const stolen = aTenant(
      "thief",
      { ...abroad, tenantId: "acme" },
      { namespace: "evil", uid: "a", creationTimestamp: "2020-01-01T00:00:00Z" },
    );
    expect(judge({ clusters, tenants: [aTenant("acme"), stolen] }).tenants).toEqual(["acme=acme", "thief=evil.acme"]);
  });

  test("refused and not found read the same", () => {
    const { refused } = acceptAll({
      clusters: [aCluster()],
      tenants: [
        aTenant("a", abroad, { namespace: "team" }),
        aTenant("b", { clusterRef: { name: "none", namespace: "prod" } }, { namespace: "team" }),
      ],
      templates: [],
    });
    expect(refused.map((one) => one.reason)).toEqual(["ReferenceNotPermitted", "ReferenceNotPermitted"]);
    expect(refused[0]?.message.replace("prod/live", "X")).toBe(refused[1]?.message.replace("prod/none", "X") ?? "");
  });

  test("whose name is no legal id need a tenantId", () => {
    const long = "n".repeat(60);
    const clusters = [aCluster({ allowedNamespaces: { from: "All" } })];
    expect(judge({ clusters, tenants: [aTenant("acme", abroad, { namespace: long })] }).refused).toEqual([`${long}/acme InvalidSpec`]);
  });

  test("of two with one id the older has it, then the smaller uid, in whatever order they are listed", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (order) => {
        const all = [
          aTenant("d", { tenantId: "x" }, at("2026-01-01T00:00:00Z", "1")),
          aTenant("a", { tenantId: "x" }, at("2026-01-01T00:00:00Z", "2")),
          aTenant("b", { tenantId: "x" }, at("2026-01-02T00:00:00Z", "0")),
          aTenant("c", { tenantId: "y" }, at("2026-01-03T00:00:00Z", "3")),
        ];
        const { tenants, refused } = judge({ tenants: order.flatMap((index) => all[index] ?? []) });
        expect(tenants.sort()).toEqual(["c=y", "d=x"]);
        expect(refused.sort()).toEqual(["prod/a NameConflict", "prod/b NameConflict"]);
      }),
    );
  });

  test("one that may not attach takes no id from those that may", () => {
    const older = aTenant("z", { ...abroad, tenantId: "x" }, { namespace: "team", ...at("2020-01-01T00:00:00Z", "0") });
    expect(judge({ tenants: [older, aTenant("a", { tenantId: "x" })] })).toMatchObject({ tenants: ["a=x"] });
  });

  test("a message never names an object of another namespace", () => {
    const clusters = [aCluster({ allowedNamespaces: { from: "All" } })];
    const dotted = aTenant("own", { tenantId: "team.x" }, at("2020-01-01T00:00:00Z", "0"));
    const guest = aTenant("guest", { ...abroad, tenantId: "x" }, { namespace: "team", ...at("2026-01-01T00:00:00Z", "1") });
    const { refused } = acceptAll({ clusters, tenants: [dotted, guest], templates: [] });
    expect(refused).toMatchObject([{ key: "team/guest", reason: "NameConflict" }]);
    expect(refused[0]?.message).not.toContain("own");
  });
});

describe("templates", () => {
  test("follow their tenant, and its allowedNamespaces", () => {
    const tenants = [aTenant("acme", { allowedNamespaces: { from: "Selector", selector: { matchLabels: { team: "blue" } } } })];
    const guest = (namespace: string) => aTemplate("t", { tenantRef: { name: "acme", namespace: "prod" } }, { namespace, uid: namespace });
    const namespaceLabels = (name: string) => ({ blue: { team: "blue" }, green: { team: "green" } })[name];
    const templates = [aTemplate("own"), guest("blue"), guest("green"), guest("unknown")];
    expect(judge({ tenants, templates, namespaceLabels })).toMatchObject({
      templates: ["own=acme/own", "t=acme/t"],
      refused: ["green/t ReferenceNotPermitted", "unknown/t ReferenceNotPermitted"],
    });
  });

  test("of a tenant that is not accepted wait for it", () => {
    expect(judge({ clusters: [], tenants: [aTenant("acme")], templates: [aTemplate("t")] }).refused).toEqual([
      "prod/acme ReferenceNotPermitted",
      "prod/t TenantNotAccepted",
    ]);
  });

  test("with one id: the older has it", () => {
    const templates = [
      aTemplate("new", { templateId: "x" }, at("2026-02-01T00:00:00Z", "0")),
      aTemplate("old", { templateId: "x" }, at("2026-01-01T00:00:00Z", "1")),
    ];
    expect(judge({ tenants: [aTenant("acme")], templates })).toMatchObject({
      templates: ["old=acme/x"],
      refused: ["prod/new NameConflict"],
    });
  });
});

describe("allowedNamespaces", () => {
  const cases: readonly [AllowedNamespaces, Record<string, string> | undefined, boolean][] = [
    [{ from: "Same" }, {}, false],
    [{ from: "All" }, undefined, true],
    [{ from: "Selector", selector: {} }, {}, true],
    [{ from: "Selector", selector: { matchLabels: { a: "1" } } }, undefined, false],
    [{ from: "Selector", selector: { matchLabels: { a: "1" } } }, { a: "1", b: "2" }, true],
    [{ from: "Selector", selector: { matchLabels: { a: "1", b: "1" } } }, { a: "1" }, false],
    [{ from: "Selector", selector: { matchExpressions: [{ key: "a", operator: "In", values: ["1", "2"] }] } }, { a: "2" }, true],
    [{ from: "Selector", selector: { matchExpressions: [{ key: "a", operator: "In", values: ["1"] }] } }, {}, false],
    [{ from: "Selector", selector: { matchExpressions: [{ key: "a", operator: "NotIn", values: ["1"] }] } }, {}, true],
    [{ from: "Selector", selector: { matchExpressions: [{ key: "a", operator: "NotIn", values: ["1"] }] } }, { a: "1" }, false],
    [{ from: "Selector", selector: { matchExpressions: [{ key: "a", operator: "Exists" }] } }, { a: "" }, true],
    [{ from: "Selector", selector: { matchExpressions: [{ key: "a", operator: "DoesNotExist" }] } }, { a: "" }, false],
  ];
  test.each(cases)("%j lets a namespace labelled %j in: %p", (allowed, labels, expected) => {
    expect(mayAttach("team", aCluster(), allowed, () => labels)).toBe(expected);
    expect(mayAttach("prod", aCluster(), allowed, () => undefined)).toBe(true);
  });
});

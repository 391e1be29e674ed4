// Why: what can be said about a resource without an API server must be the same that the API server says.
import { describe, expect, test } from "bun:test";
import { checkChange, checkResource, type Resource, SCHEMAS, withDefaults } from "@nexus/protocol/resources/schema.ts";
import type { TSchema } from "@sinclair/typebox";
import { rulesOf } from "../../../scripts/generate/resource-reference.ts";
import { drifted } from "../../../scripts/generate.ts";
import { CASES, objectOf, UPDATES } from "./cases.ts";

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("checkResource", () => {
  for (const one of CASES) {
    test(`${one.kind}: ${one.name}`, () => {
      const checked = checkResource(plain(objectOf(one, "x")));
      if (!one.bad) {
        expect(checked).toMatchObject({ ok: true });
        return;
      }
      const complaints = checked.ok ? [] : checked.complaints;
      expect(complaints.map((complaint) => complaint.path)).toContain(one.bad.field);
      expect(complaints.map((complaint) => complaint.message).join()).toContain(one.bad.says);
    });
  }

  test("names an unknown field and what may have been meant", () => {
    const checked = checkResource({ ...objectOf({ kind: "NexusCluster", spec: { redis: { mode: "None" }, replica: 2 } }, "x") });
    expect(checked).toEqual({ ok: false, complaints: [{ path: "spec.replica", message: "no such field; did you mean replicas?" }] });
  });

  test("refuses what is no object of ours without throwing", () => {
    const documents = [null, 1, "x", [], {}, { apiVersion: "v1", kind: "Secret" }, { apiVersion: "nexus.dev/v1alpha1", kind: "Nexus" }];
    for (const document of documents) expect(checkResource(document).ok).toBe(false);
  });
});

const accepted = (document: unknown): Resource => {
  const checked = checkResource(plain(document));
  if (!checked.ok) throw new Error(JSON.stringify(checked.complaints));
  return checked.resource;
};

describe("checkChange", () => {
  for (const one of UPDATES) {
    test(one.name, () => {
      const before = accepted(objectOf({ kind: one.kind, spec: one.before }, "x"));
      const after = checkResource(plain(objectOf({ kind: one.kind, spec: one.after }, "x")));
      const complaints = after.ok ? checkChange(before, after.resource) : after.complaints;
      expect(complaints.map(({ path }) => path)).toEqual(one.field ? [one.field] : []);
    });
  }
});

test("the list has what the API server is asked: good and bad of every kind", () => {
  for (const kind of ["NexusCluster", "Tenant", "Template"])
    for (const bad of [true, false])
      expect(CASES.filter((one) => one.kind === kind && (one.bad !== undefined) === bad).length).toBeGreaterThan(2);
});

test("every rule between fields is broken by an example", () => {
  const messages = new Set(
    CASES.flatMap((one) => {
      const checked = checkResource(plain(objectOf(one, "x")));
      return checked.ok ? [] : checked.complaints.map(({ message }) => message);
    }),
  );
  const untested = Object.values(SCHEMAS).flatMap(({ spec, rules }) =>
    [...rules, ...rulesOf(spec, "spec")].filter((rule) => !rule.onUpdate && !messages.has(rule.message)).map(({ message }) => message),
  );
  expect(untested).toEqual([]);
});

test("defaults reach nested objects, and leave out what has no default", () => {
  const filled = withDefaults(SCHEMAS.NexusCluster.spec, { redis: { mode: "Managed" }, channels: [{ match: "a" }] });
  expect(filled).toMatchObject({
    replicas: 1,
    limits: { sendQueueBytes: 1048576 },
    rollout: { maxSurge: 1, upgrades: "Manual" },
    channels: [{ match: "a", history: { size: 0, ttlSeconds: 300 }, slowConsumer: "Disconnect" }],
  });
  expect(filled).not.toHaveProperty("autoscaling");
  expect(filled).not.toHaveProperty("redis.managed");
});

const WORDS_OF_YAML_1_1 = /^(y|n|yes|no|on|off|true|false|null|~)$/i;

function walk(schema: TSchema, path: string, visit: (schema: TSchema, path: string) => void): void {
  visit(schema, path);
  const properties: Readonly<Record<string, TSchema>> = schema.properties ?? {};
  for (const [name, field] of Object.entries(properties)) walk(field, `${path}.${name}`, visit);
  if (schema.items) walk(schema.items, `${path}[]`, visit);
}

describe.each(Object.entries(SCHEMAS))("%s", (_kind, { spec }) => {
  test("no enum value or default is a word that YAML 1.1 reads as something else", () => {
    walk(spec, "spec", (schema, path) => {
      const words: readonly unknown[] = [...(schema.enum ?? []), schema.default];
      for (const word of words)
        if (typeof word === "string") expect(`${path}=${word}`).not.toMatch(new RegExp(`=${WORDS_OF_YAML_1_1.source.slice(1)}`, "i"));
    });
  });

  test("every field says what it is and what a change does", () => {
    const silent: string[] = [];
    walk(spec, "spec", (schema, path) => {
      if (!path.endsWith("[]") && !/(Takes effect live|Rolls pods)\.$/.test(String(schema.description))) silent.push(path);
    });
    expect(silent).toEqual([]);
  });

  test("every list and text is bounded, so that rules stay affordable", () => {
    const open: string[] = [];
    walk(spec, "spec", (schema, path) => {
      if (schema.type === "array" && (schema.maxItems === undefined || schema["x-kubernetes-list-type"] === undefined)) open.push(path);
      if (schema.type === "string" && !schema.enum && schema.maxLength === undefined) open.push(path);
      if (schema.type === "number") open.push(`${path} is a float`);
    });
    expect(open).toEqual([]);
  });
});

test("generated files are what npm run generate writes, and each CRD is below 100 KB", async () => {
  const root = new URL("../../..", import.meta.url).pathname;
  expect(await drifted(root)).toEqual([]);
  for (const plural of ["nexusclusters", "tenants", "templates"])
    expect(Bun.file(`${root}/crds/nexus.dev_${plural}.yaml`).size).toBeLessThan(100_000);
});

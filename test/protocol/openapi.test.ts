// Why: the document is only as good as what it is made from: a shared schema must be found however it was copied, and no
// operation may be served without saying what it takes and answers.
import { describe, expect, test } from "bun:test";
import { Priority } from "@nexus/protocol/frames.ts";
import { isChannelName, isTemplateId, isTenantId, isUserId, NAME_SCHEMAS } from "@nexus/protocol/names.ts";
import { openApiDocument } from "@nexus/protocol/rest/openapi.ts";
import { createSchemaWriter } from "@nexus/protocol/rest/openapi-schema.ts";
import type { Operation } from "@nexus/protocol/rest/operation.ts";
import { OPERATIONS } from "@nexus/protocol/rest/operations.ts";
import { wireName } from "@nexus/protocol/rest/told.ts";
import { Type } from "@sinclair/typebox";
import Ajv2020 from "ajv/dist/2020";
import fc from "fast-check";
import { fuzzSettings } from "../support/fuzz.ts";

const operations: readonly Operation[] = OPERATIONS;

describe("schemas", () => {
  const Person = Type.Object({ name: Type.String(), mood: Type.Optional(Priority) }, { description: "Somebody." });
  const writer = () => createSchemaWriter({ Person, Priority });
  const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

  test("a shared schema is one component, wherever and however it is used", () => {
    const one = writer();
    const listed = one.write(
      Type.Object({ people: Type.Array(Person), best: Type.Optional(Person), by: Type.Record(Type.String(), Person) }),
    );
    expect(listed).toEqual({
      type: "object",
      required: ["people", "by"],
      properties: {
        people: { type: "array", items: ref("Person") },
        best: ref("Person"),
        by: { type: "object", additionalProperties: ref("Person") },
      },
    });
    expect(one.components()).toEqual({
      Person: {
        type: "object",
        description: "Somebody.",
        required: ["name"],
        properties: { name: { type: "string" }, mood: ref("Priority") },
      },
      Priority: { type: "string", enum: ["Low", "Normal", "High", "Critical"], description: Priority.description ?? "" },
    });
  });

  test("a place may describe a shared schema in its own words", () => {
    expect(writer().write(Type.Object(Person.properties, { description: "The owner." }))).toEqual({
      ...ref("Person"),
      description: "The owner.",
    });
  });

  test("what nobody refers to is no component", () => {
    const one = writer();
    one.write(Type.Object({ mood: Priority }));
    expect(Object.keys(one.components())).toEqual(["Priority"]);
  });

  test("no identifier and no symbol of TypeBox's is left; values that look like schemas stay as they are", () => {
    const written = writer().write(Type.Object({ a: Type.String({ $id: "a" }), b: Type.Unknown({ default: { $id: "kept", anyOf: [] } }) }));
    expect(written.properties).toEqual({ a: { type: "string" }, b: { default: { $id: "kept", anyOf: [] } } });
    expect(Object.getOwnPropertySymbols(written)).toEqual([]);
  });

  test("a name is told by its rule, with the place's own words", () => {
    const written = writer().write(Type.Object({ to: wireName("user", "Who gets it.") }));
    expect(written.properties).toEqual({ to: { ...NAME_SCHEMAS.user, description: "Who gets it." } });
  });

  test("a reference to what the document does not hold is refused", () => {
    expect(() => writer().write(Type.Object({ a: Type.Ref("elsewhere") }))).toThrow("elsewhere");
  });
});

describe("names", () => {
  const ajv = new Ajv2020({ strict: false });
  const rules = [
    ["channel", isChannelName],
    ["tenant", isTenantId],
    ["template", isTemplateId],
    ["user", isUserId],
  ] as const;
  test.each(rules)("a legal %s name is legal by its schema, and what the schema refuses is no legal name", (kind, isLegal) => {
    const bySchema = ajv.compile(NAME_SCHEMAS[kind]);
    const name = fc.oneof(
      fc.string({ unit: "binary", maxLength: 70 }),
      fc.stringMatching(/^[\p{L}\p{N}._-]{0,70}$/u),
      fc.stringMatching(/^[A-Za-z0-9_.-]{0,70}$/),
    );
    fc.assert(
      fc.property(name, (text) => !isLegal(text) || bySchema(text)),
      fuzzSettings(),
    );
    expect([bySchema("news"), bySchema(""), bySchema("a\u0000"), bySchema("x".repeat(300))]).toEqual([true, false, false, false]);
  });
});

describe("operations", () => {
  test.each(operations)("$id says what it takes and what it answers", ({ method, status, body, result, auth }) => {
    expect(result === undefined).toBe(status === 204);
    if (method === "PUT" || (method === "POST" && auth === "publish")) expect(body).toBeDefined();
    if (method === "GET" || method === "DELETE") expect(body).toBeUndefined();
  });

  test("the same version gives the same bytes", () => {
    expect(JSON.stringify(openApiDocument("1.2.3"))).toBe(JSON.stringify(openApiDocument("1.2.3")));
    expect(openApiDocument("1.2.3").info).toMatchObject({ version: "1.2.3" });
  });
});

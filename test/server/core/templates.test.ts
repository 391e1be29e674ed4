// Why: the Simple engine's rules are a contract with existing templates: each is pinned here.
import { expect, test } from "bun:test";
import type { TemplateSettings, TemplateVariable } from "@nexus/protocol/bundle.ts";
import { renderTemplate } from "@nexus/server/core/templates.ts";
import fc from "fast-check";
import { fuzzSettings } from "../../support/fuzz.ts";

function template(payload: unknown, change: Partial<TemplateSettings> = {}): TemplateSettings {
  const base = {
    tenant_id: "acme",
    template_id: "t",
    event_type: "e",
    priority: "Normal",
    engine: "Simple",
    variables: [],
    locales: [],
  } as const;
  return { ...base, variables: [], locales: [], payload, ...change };
}
const variable = (name: string, change: Partial<TemplateVariable> = {}): TemplateVariable => ({
  name,
  type: "string",
  required: false,
  ...change,
});

/** Templates that render no partial answer at once. */
function render(settings: TemplateSettings, variables: Record<string, unknown> = {}, locale?: string) {
  const result = renderTemplate(settings, { variables, locale });
  if (result instanceof Promise) throw new Error("nothing had to be waited for");
  return result;
}

function rendered(settings: TemplateSettings, variables: Record<string, unknown> = {}, locale?: string): unknown {
  const result = render(settings, variables, locale);
  if ("code" in result) throw new Error(`${result.code}: ${JSON.stringify(result.fields)}`);
  return JSON.parse(result.payloadJson);
}

test.each([
  ["a number", 42, "42"],
  ["a fraction", 1.5, "1.5"],
  ["true", true, "true"],
  ["null", null, ""],
  ["a text", "x", "x"],
  ["a text with quotes", 'a"b\\c\n', 'a"b\\c\n'],
  ["a list", [1, "a"], '[1,"a"]'],
  ["an object", { a: { b: null } }, '{"a":{"b":null}}'],
  ["an empty text", "", ""],
])("%s renders as text", (_, value, text) => {
  expect(rendered(template({ v: "{{v}}", w: "<{{v}}>" }), { v: value })).toEqual({ v: text, w: `<${text}>` });
});

test.each([
  ["an unknown name", "{{nobody}}"],
  ["a name with spaces", "{{ v }}"],
  ["an unknown path", "{{o.x}}"],
  ["a path through a list", "{{l.0}}"],
  ["a path through a text", "{{v.length}}"],
  ["an inherited member", "{{constructor}}"],
  ["an inherited member of an object", "{{o.toString}}"],
  ["__proto__", "{{__proto__}}"],
  ["half a placeholder", "{{v"],
])("%s stays as it is written", (_, text) => {
  expect(rendered(template({ text }), { v: "x", o: {}, l: [1] })).toEqual({ text });
});

test("paths walk objects; a variable whose name has a dot wins over the path", () => {
  const settings = template("{{a.b}} {{c.d}}");
  expect(rendered(settings, { a: { b: 1 }, "c.d": 2, c: { d: 3 } })).toBe("1 2");
});

test("keys are rendered too; two that become one leave the last", () => {
  expect(rendered(template({ "{{k}}": "first", x: "second" }), { k: "x" })).toEqual({ x: "second" });
  expect(rendered(template({ x: "first", "{{k}}-{{k}}": [{ "{{k}}": 1 }] }), { k: "y" })).toEqual({ x: "first", "y-y": [{ y: 1 }] });
});

test("numbers, booleans and null of the payload stay what they are", () => {
  expect(rendered(template([1, true, null, "{{v}}", { a: [false] }]), { v: 2 })).toEqual([1, true, null, "2", { a: [false] }]);
  expect(rendered(template(null))).toBeNull();
});

test("what a variable holds is never rendered again", () => {
  expect(rendered(template("{{a}}"), { a: "{{b}}", b: "no" })).toBe("{{b}}");
});

test("a lone placeholder of a variable declared with another type keeps its type; inside text it is text", () => {
  const types = ["number", "boolean", "object", "array", "any"] as const;
  const variables = types.map((type) => variable(type, { type }));
  const payload = Object.fromEntries(types.map((type) => [type, `{{${type}}}`]));
  const given = { number: 1.5, boolean: false, object: { a: 1 }, array: [1], any: null };
  expect(rendered(template({ ...payload, mixed: "n={{number}}" }, { variables }), given)).toEqual({ ...given, mixed: "n=1.5" });
});

test("defaults fill in, what is given wins", () => {
  const settings = template("{{a}} {{b}}", { variables: [variable("a", { default: "x" }), variable("b", { default: "y" })] });
  expect(rendered(settings, { b: "given" })).toBe("x given");
});

test("a missing required variable and one of another type are refused with their pointers, never their values", () => {
  const variables = [variable("a", { required: true }), variable("n/~", { type: "integer" }), variable("o", { type: "object" })];
  const refusal = render(template("{{a}}", { variables }), { "n/~": 1.5, o: ["hunter2"] });
  expect(refusal).toMatchObject({
    code: "validation_error",
    fields: [{ pointer: "/variables/a" }, { pointer: "/variables/n~1~0" }, { pointer: "/variables/o" }],
  });
  expect(JSON.stringify(refusal)).not.toContain("hunter2");
});

test("a locale falls back to shorter tags, then to the payload; case does not count", () => {
  const settings = template("default", {
    locales: [
      { locale: "de", payload: "deutsch" },
      { locale: "de-AT", payload: "österreichisch" },
    ],
  });
  const locales = ["de-at", "de-CH-1996", "DE", "fr", "", "d"];
  expect(locales.map((locale) => rendered(settings, {}, locale))).toEqual([
    "österreichisch",
    "deutsch",
    "deutsch",
    "default",
    "default",
    "default",
  ]);
});

test("a region is never taken for another", () => {
  const settings = template("default", { locales: [{ locale: "en-GB", payload: "british" }] });
  expect(["en-US", "en", "en-GB-oed"].map((locale) => rendered(settings, {}, locale))).toEqual(["default", "default", "british"]);
});

test("whatever the template and the variables, the result is JSON with no prototype touched", () => {
  const text = fc.oneof(fc.string(), fc.constantFrom("{{a}}", "{{a.b}}", "x{{__proto__}}", "{{a}}{{b}}"));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      text,
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(text, tie("value"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(value, fc.dictionary(fc.constantFrom("a", "b", "__proto__"), fc.jsonValue()), (payload, variables) => {
      const result = render(template(payload), variables);
      if ("code" in result) throw new Error(result.code);
      JSON.parse(result.payloadJson);
      expect(Object.getPrototypeOf({})).toBe(Object.prototype);
    }),
    fuzzSettings(),
  );
});

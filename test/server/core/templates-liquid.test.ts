// Why: Liquid templates come from tenants: what they can do is shown here, and what they can not do even more.
import { describe, expect, test } from "bun:test";
import type { TemplateSettings, TemplateVariable } from "@nexus/protocol/bundle.ts";
import { type FindTemplate, renderTemplate, templateFault } from "@nexus/server/core/templates.ts";
import fc from "fast-check";
import { fuzzSettings } from "../../support/fuzz.ts";

const liquid = (payload: unknown, change: Partial<TemplateSettings> = {}): TemplateSettings => ({
  ...{ tenant_id: "acme", template_id: "t", event_type: "e", priority: "Normal", engine: "Liquid", variables: [], locales: [] },
  payload,
  ...change,
});
const variable = (name: string, change: Partial<TemplateVariable> = {}): TemplateVariable => ({
  ...{ name, type: "string", required: false },
  ...change,
});

type Given = { readonly variables?: Record<string, unknown>; readonly locale?: string; readonly find?: FindTemplate };

/** What comes out, or the refusal's words. */
function outcome(settings: TemplateSettings, { variables = {}, locale, find }: Given = {}): unknown {
  const result = renderTemplate(settings, { variables, locale }, find);
  if (result instanceof Promise) throw new Error("nothing had to be waited for");
  if ("code" in result) {
    expect(result.code).toBe("validation_error");
    return `refused: ${result.detail}`;
  }
  return JSON.parse(result.payloadJson);
}
const text = (source: string, variables: Record<string, unknown> = {}) => outcome(liquid([source]), { variables });
const partials =
  (all: Record<string, unknown>, change: Partial<TemplateSettings> = {}): FindTemplate =>
  (id) =>
    Object.hasOwn(all, id) ? liquid(all[id], { template_id: id, ...change }) : undefined;

describe("texts", () => {
  test.each([
    ["loops", "{% for i in list %}{{ i }}{% unless forloop.last %}, {% endunless %}{% endfor %}", "a, b"],
    ["conditions", "{% if n > 1 %}many{% elsif n == 1 %}one{% else %}none{% endif %}", "many"],
    ["cases", "{% case n %}{% when 3 %}three{% else %}other{% endcase %}", "three"],
    ["filters", "{{ name | upcase | append: '!' }} {{ n | times: 2 }}", "ADA! 6"],
    ["members", "{{ o.a.b }} {{ list[0] }} {{ list.first }} {{ list.size }}", "1 a a 2"],
    ["captures", "{% capture x %}<{{ name }}>{% endcapture %}{{ x }}{{ x }}", "<Ada><Ada>"],
    ["objects and lists", "{{ o }} {{ list }}", '{"a":{"b":1}} ["a","b"]'],
    ["nothing", "[{{ nobody }}{{ o.x.y }}{{ nil }}]", "[]"],
    ["dates, in UTC", "{{ 0 | date: '%Y-%m-%d %H:%M %z' }}", "1970-01-01 00:00 +0000"],
    ["json", "{{ list | json }} {{ nobody | json }}", '["a","b"] null'],
    ["raw text", "{% raw %}{{ name }}{% endraw %}", "{{ name }}"],
    ["quotes", '{{ quoted }}"\\', 'a"b\\\n"\\'],
  ])("have %s", (_, source, expected) => {
    expect(text(source, { name: "Ada", n: 3, list: ["a", "b"], o: { a: { b: 1 } }, quoted: 'a"b\\\n' })).toEqual([expected]);
  });

  test("are rendered in keys and at any depth; other values stay", () => {
    const settings = liquid({ "{{ k }}": [1, true, null, { deep: "{{ k }}" }], fixed: "plain" });
    expect(outcome(settings, { variables: { k: "x" } })).toEqual({ x: [1, true, null, { deep: "x" }], fixed: "plain" });
  });

  test("cannot leave their string, whatever a variable holds", () => {
    expect(text("{{ v }}", { v: '"],"admin":true,["' })).toEqual(['"],"admin":true,["']);
  });

  test("a lone placeholder of a typed variable keeps its type; with a filter or text around it, it is text", () => {
    const variables = [variable("n", { type: "integer" }), variable("l", { type: "array" }), variable("s")];
    const settings = liquid({ n: "{{ n }}", l: " {{-l-}} ", s: "{{ s }}", f: "{{ n | plus: 1 }}", t: "n={{ n }}" }, { variables });
    expect(outcome(settings, { variables: { n: 3, l: [1], s: 5 } })).toEqual({ n: 3, l: [1], s: "5", f: "4", t: "n=3" });
    expect(outcome(settings)).toMatchObject({ n: null, l: null, s: "" });
  });

  test("defaults and required variables are as with Simple", () => {
    const variables = [variable("a", { default: "x" }), variable("b", { required: true })];
    expect(outcome(liquid("{{ a | json }}", { variables }), { variables: { b: 1 } })).toBe("x");
    expect(renderTemplate(liquid("{{ a | json }}", { variables }))).toMatchObject({
      code: "validation_error",
      fields: [{ pointer: "/variables/b" }],
    });
  });

  test("what increment counts stays inside one text, and no variable is changed", () => {
    const variables = { n: 5 };
    expect(outcome(liquid(["{% increment n %}{% increment n %}", "{% increment n %}"]), { variables })).toEqual(["56", "5"]);
    expect(variables).toEqual({ n: 5 });
  });
});

describe("a payload that is one text", () => {
  const list = '{ "items": [{% for i in items %}{{ i | json }}{% unless forloop.last %},{% endunless %}{% endfor %}] }';

  test("renders to any JSON, as one line", () => {
    expect(outcome(liquid(list), { variables: { items: ['a"b', 2, null, { c: [] }] } })).toEqual({ items: ['a"b', 2, null, { c: [] }] });
    const rendered = renderTemplate(liquid("[\n 1,\n 2 ]"));
    expect(rendered).toMatchObject({ payloadJson: "[1,2]" });
  });

  test("that is no JSON is refused with what would be right, and without the text", () => {
    const refusal = String(outcome(liquid('{"a": {{ a }} }'), { variables: { a: "hunter2" } }));
    expect(refusal).toContain("The template t cannot be rendered: does not render to JSON");
    expect(refusal).not.toContain("hunter2");
    expect(outcome(liquid("[".repeat(70) + "]".repeat(70)))).toContain("nests deeper than 64");
  });

  test("with locales picks the variant, which may have the other form", () => {
    const settings = liquid('{"a":{{ a | json }}}', { locales: [{ locale: "de", payload: { a: "auf Deutsch {{ a }}" } }] });
    expect(outcome(settings, { variables: { a: 1 } })).toEqual({ a: 1 });
    expect(outcome(settings, { variables: { a: 1 }, locale: "de-AT" })).toEqual({ a: "auf Deutsch 1" });
  });
});

describe("partials", () => {
  const find = partials({ footer: "-- {{ who | default: name }}", outer: "<{% render 'footer', who: 'Bob' %}>", list: { a: 1 } });
  const variables = { name: "Ada", people: ["x", "y"] };

  test.each([
    ["render sees only what it is given", "{% render 'footer' %}|{% render 'footer', who: name %}", "-- |-- Ada"],
    ["include sees everything", "{% include 'footer' %}", "-- Ada"],
    ["render goes over lists", "{% render 'footer' for people as who %}", "-- x-- y"],
    ["a partial renders another", "{% render 'outer' %}{% render 'footer', who: 1 %}", "<-- Bob>-- 1"],
    ["also inside blocks", "{% if name %}{% for p in people %}{% render 'footer', who: p %}{% endfor %}{% endif %}", "-- x-- y"],
  ])("%s", (_, source, expected) => {
    expect(outcome(liquid([source]), { variables, find })).toEqual([expected]);
  });

  test("have the locale that was asked for", () => {
    const localized = partials({ footer: "bye" }, { locales: [{ locale: "de", payload: "tschüss" }] });
    expect(outcome(liquid(["{% render 'footer' %}"]), { find: localized, locale: "de-CH" })).toEqual(["tschüss"]);
  });

  test("that are missing or of the wrong kind are named", () => {
    expect(outcome(liquid(["{% render 'none' %}"]), { find })).toContain("the partial none is no template of the tenant");
    expect(outcome(liquid(["{% render 'list' %}"]), { find })).toContain("the template list cannot be a partial");
    expect(outcome(liquid(["{% render 'footer' %}"]), { find: partials({ footer: "x" }, { engine: "Simple" }) })).toContain(
      "its engine must be Liquid",
    );
  });

  test("that render each other, or too deep, are refused before anything renders", () => {
    const circle = partials({ a: "{% render 'b' %}", b: "{% if false %}{% include 'a' %}{% endif %}" });
    expect(outcome(liquid(["{% render 'a' %}"]), { find: circle })).toContain("without end: a → b → a");
    const deep: FindTemplate = (id) => liquid(`{% render '${Number(id) + 1}' %}`);
    expect(outcome(liquid(["{% render '1' %}"]), { find: deep })).toContain("nested deeper than 8");
    const ids = Array.from({ length: 70 }, (_, i) => `p${i}`);
    const wide = liquid([ids.map((id) => `{% render '${id}' %}`).join("")]);
    expect(outcome(wide, { find: () => liquid("x") })).toContain("more than 64 partials");
  });

  test("are looked up once each, however they are connected", () => {
    const asked: string[] = [];
    const grid: FindTemplate = (id) => {
      asked.push(id);
      const level = Number(id[0]);
      return liquid(
        level === 7 ? "x" : `${["a", "b", "c"].map((one) => `{% if n == 1 %}{% render '${level + 1}${one}' %}{% endif %}`).join("")}`,
      );
    };
    expect(outcome(liquid(["{% render '1a' %}"]), { find: grid })).toEqual([""]);
    expect(asked.length).toBe(1 + 6 * 3);
  });

  test("from a store are waited for", async () => {
    const stored: FindTemplate = async (id) => find(id);
    const result = await renderTemplate(liquid(["{% render 'outer' %}"]), { variables }, stored);
    expect(result).toMatchObject({ payloadJson: '["<-- Bob>"]' });
    expect(await renderTemplate(liquid(["{% render 'none' %}"]), {}, stored)).toMatchObject({ code: "validation_error" });
  });

  test("must be named in the template: a name from a variable could be anything", () => {
    for (const source of ["{% render name %}", "{% include name %}", "{% render 'a{{ name }}' %}"])
      expect(templateFault(liquid([source]))).toEqual({
        pointer: "/payload/0",
        detail: "the partial's name must be a quoted template id (line 1, column 1)",
      });
  });
});

describe("compile errors", () => {
  test.each([
    ["an unclosed tag", { a: ["x", "one\n  {% if x %}"] }, "/payload/a/1", "tag {% if x %} not closed (line 2, column 3)"],
    ["an unknown tag", { a: "{% exec %}" }, "/payload/a", 'tag "exec" not found (line 1, column 1)'],
    ["an unknown filter", { "a/b": "{{ x | shell }}" }, "/payload/a~1b", "undefined filter: shell (line 1, column 1)"],
    ["an unclosed output", "ab {{ x", "/payload", 'output "{{ x" not closed (line 1, column 4)'],
    ["a broken key", { "{{ | }}": 1 }, "/payload/{{ | }}", 'invalid value expression: "|" (line 1, column 4)'],
  ])("%s is named with place, line and column", (_, payload, pointer, detail) => {
    expect(templateFault(liquid(payload))).toEqual({ pointer, detail });
    const place = pointer.replace("/payload", "");
    expect(outcome(liquid(payload))).toBe(`refused: The template t cannot be rendered: ${place === "" ? "" : `${place}: `}${detail}`);
  });

  test("are found in every locale", () => {
    const locales = [
      { locale: "de", payload: { a: "gut" } },
      { locale: "fr", payload: { a: "{% endif %}" } },
    ];
    expect(templateFault(liquid({}, { locales }))).toMatchObject({ pointer: "/locales/1/payload/a" });
    expect(templateFault(liquid({}, { locales, engine: "Simple" }))).toBeUndefined();
  });

  test.each(["layout 'x'", "block x"])("%s is not there", (tag) => {
    expect(templateFault(liquid([`{% ${tag} %}`]))?.detail).toContain("not found");
  });

  test.each(["sample", "where_exp: 'x', 'x'", "sha256", "find_exp: 'x', 'x'"])("| %s is not there", (filter) => {
    expect(templateFault(liquid([`{{ x | ${filter} }}`]))?.detail).toContain("undefined filter");
  });
});

describe("limits", () => {
  /** The budget; on a busy machine the back-stop behind it may come first. */
  const STOPPED = /renders more than the limits allow|takes longer than 100 ms/;
  const doubling = (body: string) => `{% assign s = "0123456789" %}{% for i in (1..60) %}${body}{% endfor %}{{ s | size }}`;

  test.each([
    ["an empty loop over a huge range", "{% for i in (1..100000000) %}{% endfor %}"],
    ["loops in loops", "{% for i in (1..1000) %}{% for j in (1..1000) %}{% for k in (1..1000) %}{% endfor %}{% endfor %}{% endfor %}"],
    ["text that doubles by capture", doubling("{% capture s %}{{ s }}{{ s }}{% endcapture %}")],
    ["text that doubles by append", doubling("{% assign s = s | append: s %}")],
    ["text that grows by replace", doubling("{% assign s = s | replace: '0', s %}")],
    ["a list that doubles", "{% assign l = 'a,b' | split: ',' %}{% for i in (1..60) %}{% assign l = l | concat: l %}{% endfor %}"],
    ["output without end", "{% for i in (1..60000) %}0123456789012345678901234567890123456789{% endfor %}"],
    ["a date wide as a wall", "{{ 0 | date: '%999999999d' }}"],
    ["variables written again and again", "{% for i in (1..1000) %}{{ big }}{% endfor %}"],
  ])("stop %s", (_, source) => {
    const startedAt = performance.now();
    expect(text(source, { big: "x".repeat(60_000) })).toMatch(STOPPED);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  const grown = (change: string) => `{% assign l = 'a,b' | split: ',' %}{% for i in (1..50) %}{% assign l = l | ${change} %}{% endfor %}`;
  test.each([
    ["a list pushed into itself", `${grown("push: l")}{{ l }}`],
    ["groups of groups", `${grown("concat: l | group_by: 'name'")}{{ l | json }}`],
    ["a property that is a list", "{{ big | map: big }}"],
    ["a value that is a list", "{{ big | where: 'a', big }}"],
    ["a key that is a list", "{% cycle o[big], o[big] %}{% for i in (1..9000) %}{% if o[big] %}{% endif %}{% endfor %}"],
    ["a count of 60,000 digits", "{{ big | slice: digits }}"],
    ["many comparisons in one tag", `{% case big %}{% when ${Array.from({ length: 2000 }, () => "big2").join(", ")} %}x{% endcase %}`],
    ["many sorts in one output", `{{ big${" | reverse | sort_natural".repeat(1000)} | size }}`],
    ["lists that are sorted", "{{ lists | sort_natural | size }}"],
  ])("hold for %s", (_, source) => {
    const big = Array.from({ length: 20_000 }, (_unused, i) => i);
    const variables = { big, big2: [...big.slice(1), 0], o: {}, digits: "9".repeat(60_000), lists: [[1], [2]] };
    const startedAt = performance.now();
    expect(JSON.stringify(text(source, variables))).toMatch(/^"refused: |^\[".{0,4}"\]$/);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test("count what a template works, not what the machine does meanwhile", () => {
    const variables = {
      name: "Ann",
      get busy() {
        Bun.sleepSync(250); // as a process that is not given the CPU
        return "!";
      },
    };
    expect(text("Hello {{ name }}{{ busy }}{% if name %} {{ name }}{% endif %}", variables)).toEqual(["Hello Ann! Ann"]);
  });

  test("leave ordinary lists alone", () => {
    const items = Array.from({ length: 500 }, (_, i) => ({ name: `n${i % 7}`, at: { y: 500 - i }, on: i % 2 === 0 }));
    const source = "{{ items | where: 'on', true | sort: 'at.y' | map: 'name' | uniq | join: ', ' }} {{ items | group_by: 'name' | size }}";
    expect(text(source, { items })).toEqual(["n1, n6, n4, n2, n0, n5, n3 7"]);
    expect(text("{{ x | default: 'no', allow_false: true }} {{ 'a b' | truncate: 2, '' }} {{ 1.55 | round: 1 }}", { x: false })).toEqual([
      "false a  1.6",
    ]);
  });

  test("one budget holds for all texts of a payload", () => {
    const loop = "{% for i in (1..2000) %}.{% endfor %}";
    expect(text(loop)).toEqual([".".repeat(2_000)]);
    expect(outcome(liquid(Array.from({ length: 20 }, () => loop)))).toMatch(STOPPED);
  });

  test("partials are paid for by who renders them", () => {
    const find = partials({ p: "{% for i in (1..5000) %}.{% endfor %}" });
    expect(outcome(liquid(["{% for i in (1..5000) %}{% render 'p' %}{% endfor %}"]), { find })).toMatch(STOPPED);
  });

  test("nesting that no stack can hold is refused", () => {
    const deep = `{% assign a = x${"[x".repeat(20_000)}${"]".repeat(20_000)} %}`;
    expect(text(deep)).toContain("refused: ");
    const blocks = `${"{% if x %}".repeat(6_000)}${"{% endif %}".repeat(6_000)}`;
    expect(text(blocks, { x: 1 })).toBeDefined();
  });
});

describe("nothing outside is reached", () => {
  test.each([
    "{{ constructor }}{{ o.constructor }}{{ o.__proto__ }}{{ l.constructor }}",
    "{{ l.push }}{{ l.map }}{{ s.constructor.name }}",
    "{{ __proto__ }}{{ __proto__.polluted }}",
  ])("%s renders nothing", (source) => {
    expect(text(source, { o: {}, l: [], s: "x" })).toEqual([""]);
  });

  test("names like __proto__ are names", () => {
    const variables = JSON.parse('{"__proto__": {"polluted": true}, "constructor": "c"}') as Record<string, unknown>;
    expect(text("{{ constructor }}{% assign __proto__ = 1 %}{% capture __proto__ %}x{% endcapture %}", variables)).toEqual(["c"]);
    expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain("polluted");
  });

  test("files are not there", () => {
    expect(text("{% include '/etc/passwd' %}")).toContain("the partial /etc/passwd is no template of the tenant");
  });
});

test("whatever the source and the variables, the answer is JSON or a refusal", () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.constantFrom("{{", "}}", "{%", "%}", "{{ a }}", "{% if a %}", "{% endif %}", "{% for i in a %}", "{% endfor %}", "{% else %}"),
    fc.constantFrom("{% case a %}", "{% when 1 %}", "{% endcase %}", "{% render 'p' %}", "{% include 'p', a: a %}", "{% liquid", "echo a"),
    fc.constantFrom("{{ a | ", "json", "split: '' ", "map: 'x'", "where: 'a', 1", "date: '%c'", "truncate: -1", "slice: -3, 9", "round: a"),
    fc.constantFrom("{% tablerow i in a cols: a %}", "{% endtablerow %}", "{% cycle a, b %}", "(1..a)", "a[0]", "__proto__", "'", '"', "|"),
  );
  const source = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(" "));
  const find = partials({ p: "<{{ a }}>" });
  fc.assert(
    fc.property(source, fc.boolean(), fc.jsonValue(), (made, whole, a) => {
      const result = renderTemplate(liquid(whole ? made : { [made]: made }), { variables: { a, b: a } }, find);
      if (result instanceof Promise) throw new Error("nothing had to be waited for");
      if ("code" in result) expect(result.code).toBe("validation_error");
      else JSON.parse(result.payloadJson);
      expect(Object.keys(Object.prototype)).toEqual([]);
    }),
    fuzzSettings(),
  );
});

// Why: what the operator accepts, servers can compile, and the other way round: two engines, one list of what is allowed.
import { expect, test } from "bun:test";
import { liquidComplaint } from "@nexus/operator/desired/liquid.ts";
import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import { LIQUID_FILTERS, LIQUID_TAGS } from "@nexus/protocol/liquid.ts";
import { templateFault } from "@nexus/server/core/templates.ts";
import fc from "fast-check";
import { fuzzSettings } from "../../support/fuzz.ts";

const settings = (payload: unknown): TemplateSettings => ({
  ...{ tenant_id: "acme", template_id: "t", event_type: "e", priority: "Normal", engine: "Liquid", variables: [], locales: [] },
  payload,
});

test("the operator and the servers refuse the same sources in the same words", () => {
  const word = fc.constantFrom(
    ...["{%", "%}", "{{", "}}", "|", "'x'", "x", ",", ":", "endif", "endfor", "if", "for i in x", "render", "include", "case", "when"],
    ...["{% if x %}", "{% endif %}", "{{ x | json }}", "{% render 'a' %}", "{% assign x = 1 %}", "\n", "(1..3)", "layout", "sha256"],
  );
  const source = fc.array(word, { minLength: 1, maxLength: 10 }).map((words) => words.join(" "));
  fc.assert(
    fc.property(source, fc.boolean(), (text, whole) => {
      const payload = whole ? text : { a: [text] };
      expect(liquidComplaint(payload, "spec.payload")?.message).toBe(templateFault(settings(payload))?.detail as string);
    }),
    fuzzSettings(),
  );
});

test("what is allowed is there: a newer engine that lost or renamed something is seen here", () => {
  for (const filter of LIQUID_FILTERS) expect(liquidComplaint(`{{ x | ${filter} }}`, "")).toBeUndefined();
  for (const tag of LIQUID_TAGS) expect(liquidComplaint(`{% ${tag} %}`, "")?.message ?? "").not.toContain("not found");
});

test("a source that no stack can hold is refused by both", () => {
  const source = `{% liquid ${"if a\n".repeat(100_000)}%}`;
  expect(liquidComplaint(source, "")?.message).toStartWith("is nested too deep (line ");
  expect(templateFault(settings(source))?.detail).toStartWith("is nested too deep (line ");
});

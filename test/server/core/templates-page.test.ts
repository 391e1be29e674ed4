// Why: examples people copy must do what the page says: each resource of docs/templates.md is accepted, compiled and
// rendered with the variables below it.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readYaml } from "@nexus/cli/files/yaml.ts";
import { templateEntry } from "@nexus/operator/desired/bundle.ts";
import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import {
  LIQUID_FILTERS,
  LIQUID_PARTIAL_DEPTH,
  LIQUID_RENDER_MS,
  LIQUID_STEP_UNITS,
  LIQUID_TAGS,
  LIQUID_UNITS,
} from "@nexus/protocol/liquid.ts";
import { checkResource } from "@nexus/protocol/resources/schema.ts";
import { renderTemplate } from "@nexus/server/core/templates.ts";
import { accepted, acceptedTemplate, aTenant } from "../../operator/bundle/fixtures.ts";

const page = readFileSync(join(import.meta.dir, "../../../docs/templates.md"), "utf8");
const blocks = [...page.matchAll(/^```(yaml|json)\n([\s\S]*?)^```$/gm)].map(([, kind, text = ""]) => ({ kind, text }));

function settingsOf(yaml: string): TemplateSettings {
  const checked = checkResource(readYaml(yaml).documents[0]?.value);
  if (!checked.ok || checked.resource.kind !== "Template") throw new Error(JSON.stringify(checked));
  const entry = templateEntry(acceptedTemplate(checked.resource, accepted(aTenant("acme"))));
  if ("reason" in entry) throw new Error(entry.message);
  return entry.spec;
}

const templates = new Map<string, TemplateSettings>();
for (const { kind, text } of blocks) {
  if (kind !== "yaml") continue;
  const settings = settingsOf(text);
  templates.set(settings.template_id, settings);
}
const examples = blocks.flatMap(({ kind, text }, at) => {
  const [given, wanted] = [blocks[at + 1], blocks[at + 2]];
  if (kind !== "yaml" || given?.kind !== "json" || wanted?.kind !== "json") return [];
  return [
    {
      settings: settingsOf(text),
      variables: JSON.parse(given.text) as Record<string, unknown>,
      payload: JSON.parse(wanted.text) as unknown,
    },
  ];
});

describe("docs/templates.md", () => {
  test.each(examples.map((one) => [one.settings.template_id, one] as const))("%s renders to what is written", async (_, example) => {
    const rendered = await renderTemplate(example.settings, { variables: example.variables }, (id) => templates.get(id));
    if ("code" in rendered) throw new Error(rendered.detail);
    expect(JSON.parse(rendered.payloadJson)).toEqual(example.payload);
  });

  test("has an example of each form", () => {
    expect(examples.map(({ settings }) => settings.template_id)).toEqual(["order-shipped", "basket", "digest"]);
    expect([...templates.keys()]).toContain("footer");
  });

  test("lists every tag and filter, and the limits as they are", () => {
    const section = page.slice(page.indexOf("### What Liquid may use"), page.indexOf("## Limits"));
    for (const name of [...LIQUID_FILTERS, ...LIQUID_TAGS]) expect(section).toMatch(name === "#" ? /\{% # / : new RegExp(`\`${name}\``));
    expect(page).toContain(`${LIQUID_UNITS.toLocaleString("en-US")} units`);
    expect(page).toContain(`${LIQUID_STEP_UNITS} for each tag and output executed`);
    expect(page).toContain(`| ${LIQUID_RENDER_MS} ms |`);
    expect(LIQUID_PARTIAL_DEPTH).toBe(8);
  });
});

// Why: content is said in two ways, directly or by template; afterwards nobody has to know which it was.
// It must never look at targets or quotas.
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Priority } from "@nexus/protocol/frames.ts";
import type { Content } from "@nexus/protocol/rest/content.ts";
import { type FindTemplate, type Rendered, type RenderInput, renderTemplate } from "./templates.ts";

/** `payloadJson`: compact JSON text. `ttl`: seconds. */
export type ResolvedContent = {
  readonly eventType: string;
  readonly payloadJson: string;
  readonly priority: Priority;
  readonly ttl: number | undefined;
};

/**
 * What to send. If both forms are there, the template wins; `priority` and `ttl` of the request win over the template's.
 * A promise only where `find` answers with one: content that needs no store is there at once.
 * Refuses with `unknown_template` and `validation_error` (neither form is whole, the variables do not fit, or the template
 * cannot be rendered).
 */
export function resolveContent(content: Content, find: FindTemplate): ResolvedContent | Refusal | Promise<ResolvedContent | Refusal> {
  return content.template_id === undefined ? direct(content) : fromTemplate(content, content.template_id, find);
}

const unknown: Refusal = {
  code: "unknown_template",
  detail: "The tenant has no such template",
  fields: [{ pointer: "/template_id", detail: "names no template of the tenant" }],
};

function fromTemplate(content: Content, id: string, find: FindTemplate): ReturnType<typeof resolveContent> {
  const input: RenderInput = { variables: content.variables, locale: content.locale };
  const over = (rendered: Rendered | Refusal): ResolvedContent | Refusal =>
    "code" in rendered ? rendered : { ...rendered, priority: content.priority ?? rendered.priority, ttl: content.ttl ?? rendered.ttl };
  const settings = find(id);
  if (settings instanceof Promise) {
    return settings.then(async (found) => (found ? over(await renderTemplate(found, input, find)) : unknown));
  }
  if (!settings) return unknown;
  const rendered = renderTemplate(settings, input, find);
  return rendered instanceof Promise ? rendered.then(over) : over(rendered);
}

function direct(content: Content): ResolvedContent | Refusal {
  const missing = missingContent(content);
  if (missing !== undefined || content.event_type === undefined) {
    const detail = "Content is event_type and payload, or template_id";
    return { code: "validation_error", detail, fields: [{ pointer: missing ?? "", detail: "is required without template_id" }] };
  }
  return {
    eventType: content.event_type,
    payloadJson: JSON.stringify(content.payload),
    priority: content.priority ?? "Normal",
    ttl: content.ttl,
  };
}

/** The pointer of the member without which this is no content in either form. */
export function missingContent({ template_id, event_type, payload }: Content): string | undefined {
  if (template_id !== undefined) return undefined;
  if (event_type === undefined) return "/event_type";
  return payload === undefined ? "/payload" : undefined;
}

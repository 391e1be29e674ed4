// Why: content is said in two ways, directly or by template; afterwards nobody has to know which it was.
// It must never look at targets or quotas.
import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import type { Refusal } from "@nexus/protocol/failures.ts";
import type { Priority } from "@nexus/protocol/frames.ts";
import type { Content } from "@nexus/protocol/rest/content.ts";
import { renderTemplate } from "./templates.ts";

/** `payloadJson`: compact JSON text. `ttl`: seconds. */
export type ResolvedContent = {
  readonly eventType: string;
  readonly payloadJson: string;
  readonly priority: Priority;
  readonly ttl: number | undefined;
};

/**
 * What to send. If both forms are there, the template wins; `priority` and `ttl` of the request win over the template's.
 * Refuses with `unknown_template`, `validation_error` (neither form is whole, or the variables do not fit) and
 * `not_implemented` (the template's engine).
 */
export function resolveContent(content: Content, templateById: (id: string) => TemplateSettings | undefined): ResolvedContent | Refusal {
  if (content.template_id !== undefined) {
    const settings = templateById(content.template_id);
    if (!settings) return { code: "unknown_template", detail: "The tenant has no such template" };
    const rendered = renderTemplate(settings, content.variables, content.locale);
    if ("code" in rendered) return rendered;
    return { ...rendered, priority: content.priority ?? rendered.priority, ttl: content.ttl ?? rendered.ttl };
  }
  const missing = content.event_type === undefined ? "/event_type" : content.payload === undefined ? "/payload" : undefined;
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

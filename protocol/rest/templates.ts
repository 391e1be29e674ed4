// Why: operations on templates, as Ara's clients read and write them, with ours beside: variables, locales, engine.
// It must never judge what a template means: ids, texts and payloads are the server's, with failure codes of their own.
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { VARIABLE_TYPES } from "../bundle.ts";
import { Priority } from "../frames.ts";
import type { Operation } from "./operation.ts";
import { told, wireName } from "./told.ts";

const TTL = { minimum: 0, maximum: 2147483647 };
const open = { additionalProperties: true };
const MAX_LIST = 64;
const VARIABLE_NAME = { minLength: 1, maxLength: 128, pattern: "^[^{}\\s]+$" };
const LOCALE_TAG = { minLength: 2, maxLength: 35, pattern: "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$" };
const eventType = Type.String({ description: "1-256 characters.", ...told({ minLength: 1, maxLength: 256 }) });
/** A member that may be left out; `null` says the same. */
const maybe = <T extends TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()], schema.description === undefined ? {} : { description: schema.description }));
const type = Type.Union(VARIABLE_TYPES.map((value) => Type.Literal(value)));
const engine = Type.Union([Type.Literal("Simple"), Type.Literal("Liquid")], {
  description: "Simple replaces {{variable}}; Liquid adds loops, conditions, filters and partials.",
});
const ANY_PAYLOAD = "Any JSON value; texts and keys in it are templates. With Liquid a text renders to the whole payload as JSON.";

const VariableInput = Type.Object(
  {
    name: Type.String({ description: "1-128 characters without braces and spaces.", ...told(VARIABLE_NAME) }),
    type: Type.Optional(type),
    required: Type.Optional(Type.Boolean()),
    default: Type.Optional(Type.Unknown()),
  },
  open,
);
const LocaleInput = Type.Object(
  { locale: Type.String({ description: "BCP 47 tag.", ...told(LOCALE_TAG) }), payload: Type.Unknown() },
  open,
);

const changeable = {
  name: maybe(Type.String({ description: "For people, 1-256 characters; absent: the id.", ...told({ minLength: 1, maxLength: 256 }) })),
  description: maybe(Type.String({ description: "For people, at most 1024 characters.", ...told({ maxLength: 1024 }) })),
  default_priority: maybe(Priority),
  priority: maybe(Priority),
  default_ttl: maybe(Type.Integer({ ...TTL, description: "Seconds." })),
  ttl: maybe(Type.Integer({ ...TTL, description: "The same as default_ttl, which wins." })),
  engine: maybe(engine),
  variables: maybe(Type.Array(VariableInput, { description: "What a send may fill in, at most 64.", ...told({ maxItems: MAX_LIST }) })),
  locales: maybe(
    Type.Array(LocaleInput, {
      description: "Other languages, at most 64; the longest matching tag wins.",
      ...told({ maxItems: MAX_LIST }),
    }),
  ),
};

export const CreateTemplateBody = Type.Object(
  {
    id: wireName("template", "1-64 of A-Z a-z 0-9 _ -."),
    event_type: eventType,
    payload_template: Type.Unknown({ description: ANY_PAYLOAD }),
    ...changeable,
  },
  { ...open, description: "A template as it is made." },
);
export type CreateTemplateBody = Static<typeof CreateTemplateBody>;

export const UpdateTemplateBody = Type.Object(
  {
    event_type: maybe(eventType),
    payload_template: Type.Optional(Type.Unknown({ description: ANY_PAYLOAD })),
    ...changeable,
  },
  { ...open, description: "What is left out or null stays; null takes description and default_ttl away." },
);
export type UpdateTemplateBody = Static<typeof UpdateTemplateBody>;

export const TemplateResult = Type.Object({
  id: Type.String(),
  name: Type.String(),
  description: Type.Optional(Type.String()),
  event_type: Type.String(),
  payload_template: Type.Unknown(),
  default_priority: Priority,
  priority: Priority,
  default_ttl: Type.Optional(Type.Integer()),
  ttl: Type.Optional(Type.Integer()),
  engine,
  variables: Type.Array(Type.Object({ name: Type.String(), type, required: Type.Boolean(), default: Type.Optional(Type.Unknown()) })),
  locales: Type.Array(Type.Object({ locale: Type.String(), payload: Type.Unknown() })),
  managed_by: Type.Union([Type.Literal("api"), Type.Literal("resource")], {
    description: "resource: a Template of Kubernetes, which this API does not change.",
  }),
  created_at: Type.Optional(Type.String({ format: "date-time", description: "Not known of a resource." })),
  updated_at: Type.Optional(Type.String({ format: "date-time", description: "Not known of a resource." })),
});
export type TemplateResult = Static<typeof TemplateResult>;

export const TemplateList = Type.Object({
  templates: Type.Array(TemplateResult, { description: "Those in force, by id." }),
  total: Type.Integer({ minimum: 0 }),
  shadowed: Type.Integer({ minimum: 0, description: "Templates of this API that a resource with the same id hides." }),
});

export const PreviewBody = Type.Object(
  {
    variables: maybe(Type.Record(Type.String(), Type.Unknown())),
    locale: maybe(Type.String({ maxLength: 35, description: "BCP 47 tag." })),
  },
  { ...open, description: "What a send would fill in." },
);
export type PreviewBody = Static<typeof PreviewBody>;

export const PreviewResult = Type.Object({
  event_type: Type.String(),
  payload: Type.Unknown(),
  priority: Priority,
  ttl: Type.Optional(Type.Integer()),
});

const write = { limit: "body" } as const;

export const TEMPLATES = [
  {
    id: "createTemplate",
    method: "POST",
    path: "/api/v1/templates",
    summary: "Create a template",
    auth: "admin",
    ...write,
    status: 201,
    body: CreateTemplateBody,
    result: TemplateResult,
  },
  {
    id: "listTemplates",
    method: "GET",
    path: "/api/v1/templates",
    summary: "Templates of the tenant",
    auth: "read",
    result: TemplateList,
  },
  {
    id: "getTemplate",
    method: "GET",
    path: "/api/v1/templates/{id}",
    summary: "One template",
    auth: "read",
    result: TemplateResult,
  },
  {
    id: "updateTemplate",
    method: "PUT",
    path: "/api/v1/templates/{id}",
    summary: "Change the given fields of a template",
    auth: "admin",
    ...write,
    body: UpdateTemplateBody,
    result: TemplateResult,
  },
  {
    id: "deleteTemplate",
    method: "DELETE",
    path: "/api/v1/templates/{id}",
    summary: "Delete a template",
    auth: "admin",
    status: 204,
  },
  {
    id: "previewTemplate",
    method: "POST",
    path: "/api/v1/templates/{id}/preview",
    summary: "Render without sending",
    auth: "read",
    ...write,
    body: PreviewBody,
    result: PreviewResult,
  },
] as const satisfies readonly Operation[];

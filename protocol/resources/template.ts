// Why: Template, one message form of a tenant: the source of its CRD, reference and types.
// It must never hold behaviour; rules between fields are CEL texts that the API server enforces.
import { type Static, Type } from "@sinclair/typebox";
import { Condition, NOT_SEEN } from "./conditions.ts";
import { anyJson, choice, flag, int, keyed, LIVE, type ObjectMeta, objectRef, opaque, text } from "./fields.ts";
import { type API_VERSION, TEMPLATE_ID_PATTERN } from "./names.ts";
import { type CelRule, celRule, immutable, immutableOptional, nameRule } from "./rules.ts";

const VARIABLE_TYPES = ["string", "number", "integer", "boolean", "object", "array", "any"] as const;

const Variable = Type.Object({
  name: text("Name as in {{name}}.", LIVE, { minLength: 1, maxLength: 128, pattern: "^[^{}\\s]+$" }),
  type: choice(VARIABLE_TYPES, "A lone placeholder of a type other than string renders as that JSON type.", LIVE, "string"),
  required: flag(false, "A send without it is refused; a default has no effect then.", LIVE),
  default: Type.Optional(anyJson("Value when the send has none.", LIVE)), // CEL cannot see a field of any type
});

const MAX_TEXT = { minLength: 1, maxLength: 65536 };
type PayloadForms = { readonly payload?: unknown; readonly payloadText?: string };

const onePayload = celRule<PayloadForms>(
  "has(self.payload) != has(self.payloadText)",
  "payload is required, or payloadText instead of it",
  ({ payload, payloadText }) => (payload === undefined) !== (payloadText === undefined),
  ".payload",
);

const LocaleVariant = Type.Object(
  {
    locale: text("BCP 47 tag, such as de or de-AT.", LIVE, { minLength: 2, maxLength: 35, pattern: "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$" }),
    payload: Type.Optional(opaque("Payload in this language.", LIVE)),
    payloadText: Type.Optional(text("The same as one Liquid text.", LIVE, MAX_TEXT)),
  },
  { "x-kubernetes-validations": [onePayload] },
);

type Engines = PayloadForms & { readonly engine: string; readonly locales?: readonly PayloadForms[] };
const textNeedsLiquid: readonly CelRule[] = [
  celRule<Engines>(
    "self.engine == 'Liquid' || !has(self.payloadText)",
    "payloadText needs engine: Liquid",
    ({ engine, payloadText }) => engine === "Liquid" || payloadText === undefined,
    ".payloadText",
  ),
  celRule<Engines>(
    "self.engine == 'Liquid' || !has(self.locales) || self.locales.all(l, !has(l.payloadText))",
    "payloadText in locales needs engine: Liquid",
    ({ engine, locales = [] }) => engine === "Liquid" || locales.every(({ payloadText }) => payloadText === undefined),
    ".locales",
  ),
];

export const TemplateSpec = Type.Object(
  {
    tenantRef: objectRef("The Tenant this template belongs to.", LIVE),
    templateId: Type.Optional(
      text("Id in requests; absent: the object's name.", LIVE, { minLength: 1, maxLength: 64, pattern: TEMPLATE_ID_PATTERN }),
    ),
    eventType: text("Event type of what is sent.", LIVE, { minLength: 1, maxLength: 256 }),
    priority: choice(["Low", "Normal", "High", "Critical"], "Priority unless the send says another.", LIVE, "Normal"),
    ttlSeconds: Type.Optional(int("How long what is sent lives unless the send says otherwise, in seconds.", LIVE)),
    engine: choice(
      ["Simple", "Liquid"],
      "Simple replaces {{variable}} in keys and strings; Liquid adds loops, conditions, filters and partials.",
      LIVE,
      "Simple",
    ),
    variables: Type.Optional(keyed(Variable, ["name"], 64, "What a send may fill in.", LIVE)),
    payload: Type.Optional(opaque("What is sent; free JSON.", LIVE)),
    payloadText: Type.Optional(
      text("Instead of payload, with engine Liquid: one text that renders to the payload as JSON, or is a partial.", LIVE, MAX_TEXT),
    ),
    locales: Type.Optional(keyed(LocaleVariant, ["locale"], 64, "Other languages; the longest matching tag wins, then payload.", LIVE)),
  },
  {
    description: `What a message looks like. ${LIVE}`,
    "x-kubernetes-validations": [immutable("tenantRef"), immutableOptional("templateId"), onePayload, ...textNeedsLiquid],
  },
);
export type TemplateSpec = Static<typeof TemplateSpec>;

export const TemplateStatus = Type.Object(
  {
    observedGeneration: Type.Optional(Type.Integer({ format: "int64", description: "Generation this status is about." })),
    templateId: Type.Optional(Type.String({ maxLength: 64, description: "The id in force." })),
    conditions: Type.Optional(
      Type.Array(Condition, {
        maxItems: 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        description: "Aspects of the state.",
      }),
    ),
  },
  { description: "What was seen.", default: NOT_SEEN },
);
export type TemplateStatus = Static<typeof TemplateStatus>;

export const TEMPLATE_RULES: readonly CelRule[] = [
  nameRule<{ metadata: ObjectMeta; spec: { templateId?: string } }>(
    `has(self.spec.templateId) || self.metadata.name.matches('${TEMPLATE_ID_PATTERN}')`,
    "metadata.name must be at most 64 characters without dots when spec.templateId is not set, because it becomes the id",
    ({ metadata, spec }) => spec.templateId !== undefined || new RegExp(TEMPLATE_ID_PATTERN, "u").test(metadata.name),
  ),
];

export type Template = {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "Template";
  readonly metadata: ObjectMeta;
  readonly spec: TemplateSpec;
  readonly status?: TemplateStatus;
};

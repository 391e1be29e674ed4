// Why: the vocabulary every custom resource is written in: Kubernetes' own shapes and extensions as TypeBox schemas, so
// that a field says its type, bound, default and effect in one line. It must never know a kind of ours.
import { type Static, type TProperties, type TSchema, Type } from "@sinclair/typebox";
import { DNS_LABEL_PATTERN, DNS_SUBDOMAIN_PATTERN } from "./names.ts";
import { celRule } from "./rules.ts";

/** What a change of a spec field does. Every spec field's description ends with one of these. */
export const LIVE = "Takes effect live.";
export const ROLLS = "Rolls pods.";
export type Effect = typeof LIVE | typeof ROLLS;

const MAX_INT32 = 2147483647;

export const text = (description: string, effect: Effect, options: Record<string, unknown> = {}) =>
  Type.String({ maxLength: 1024, ...options, description: `${description} ${effect}` });
export const name = (description: string, effect: Effect) =>
  text(description, effect, { maxLength: 253, minLength: 1, pattern: DNS_SUBDOMAIN_PATTERN });
export const int = (description: string, effect: Effect, options: Record<string, unknown> = {}) =>
  Type.Integer({ format: "int32", minimum: 0, maximum: MAX_INT32, ...options, description: `${description} ${effect}` });
export const flag = (fallback: boolean, description: string, effect: Effect) =>
  Type.Boolean({ default: fallback, description: `${description} ${effect}` });

/** A closed set of words; never a word that YAML 1.1 reads as a boolean or null. */
export const choice = <const T extends readonly string[]>(values: T, description: string, effect: Effect, fallback?: T[number]) =>
  Type.Unsafe<T[number]>({
    type: "string",
    enum: [...values],
    ...(fallback === undefined ? {} : { default: fallback }),
    description: `${description} ${effect}`,
  });

/** An object; `defaulted` makes it appear with its own defaults when absent. */
export const group = <T extends TProperties>(description: string, effect: Effect, fields: T, options: Record<string, unknown> = {}) =>
  Type.Object(fields, { ...options, description: `${description} ${effect}` });

/** `resource.Quantity` above zero: a number or a text such as 256Mi. */
export const quantity = (description: string, effect: Effect, fallback?: string) =>
  Type.Unsafe<string | number>({
    "x-kubernetes-int-or-string": true,
    anyOf: [{ type: "integer" }, { type: "string" }],
    minimum: 1,
    maxLength: 32,
    pattern: "^([0-9]*[1-9][0-9]*(\\.[0-9]*)?|[0-9]*\\.[0-9]*[1-9][0-9]*)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$",
    ...(fallback === undefined ? {} : { default: fallback }),
    description: `${description} ${effect}`,
  });

/** A list whose order counts: one owner writes it whole. */
export const ordered = <T extends TSchema>(items: T, maxItems: number, description: string, effect: Effect) =>
  Type.Array(items, { maxItems, "x-kubernetes-list-type": "atomic", description: `${description} ${effect}` });
/** A list of objects without order, merged by key. */
export const keyed = <T extends TSchema>(items: T, keys: readonly string[], maxItems: number, description: string, effect: Effect) =>
  Type.Array(items, {
    maxItems,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": [...keys],
    description: `${description} ${effect}`,
  });
/** A set of scalars. */
export const set = <T extends TSchema>(items: T, maxItems: number, description: string, effect: Effect) =>
  Type.Array(items, { maxItems, "x-kubernetes-list-type": "set", description: `${description} ${effect}` });

/** Labels, annotations and the like. */
export const stringMap = (description: string, effect: Effect, options: Record<string, unknown> = {}) =>
  Type.Unsafe<Record<string, string>>({
    type: "object",
    additionalProperties: { type: "string", maxLength: 4096 },
    maxProperties: 64,
    ...options,
    description: `${description} ${effect}`,
  });

/** A shape of Kubernetes' own that its API server checks when we use it (affinity, resources …). */
export const opaque = (description: string, effect: Effect) =>
  Type.Unsafe<Record<string, unknown>>({
    type: "object",
    "x-kubernetes-preserve-unknown-fields": true,
    "x-kubernetes-map-type": "atomic",
    description: `${description} ${effect}`,
  });
export const opaqueList = (maxItems: number, description: string, effect: Effect) =>
  Type.Unsafe<readonly Record<string, unknown>[]>({
    type: "array",
    maxItems,
    "x-kubernetes-list-type": "atomic",
    items: { type: "object", "x-kubernetes-preserve-unknown-fields": true, description: "As in a Pod." },
    description: `${description} ${effect}`,
  });
/** Such a list where Kubernetes merges by keys: every entry has them, the rest is checked when we use it. */
export const opaqueKeyed = <const K extends string>(
  keys: readonly K[],
  maxItems: number,
  description: string,
  effect: Effect,
  options = {},
) =>
  Type.Unsafe<readonly (Record<string, unknown> & Readonly<Record<K, string>>)[]>({
    type: "array",
    maxItems,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": [...keys],
    items: {
      type: "object",
      "x-kubernetes-preserve-unknown-fields": true,
      required: [...keys],
      properties: Object.fromEntries(keys.map((key) => [key, text("As in a Pod.", effect, { minLength: 1, maxLength: 317 })])),
      description: "As in a Pod.",
    },
    ...options,
    description: `${description} ${effect}`,
  });
/** Any JSON value; Kubernetes cannot mark one that is no object as atomic. */
export const anyJson = (description: string, effect: Effect) =>
  Type.Unknown({ "x-kubernetes-preserve-unknown-fields": true, description: `${description} ${effect}` });

const shape = { "x-kubernetes-map-type": "atomic" };

/** A key of a Secret in the namespace of the object that names it. */
export const secretKeyRef = (description: string, effect: Effect, key: string) =>
  group(
    description,
    effect,
    {
      name: name("Name of the Secret.", effect),
      key: text("Key in the Secret.", effect, { default: key, minLength: 1, maxLength: 253, pattern: "^[-._a-zA-Z0-9]+$" }),
    },
    shape,
  );
export type SecretKeyRef = { readonly name: string; readonly key: string };

/** A whole Secret in the namespace of the object that names it. */
export const secretRef = (description: string, effect: Effect) =>
  group(description, effect, { name: name("Name of the Secret.", effect) }, shape);

/** One of our own kinds; without a namespace the referrer's own. */
export const objectRef = (description: string, effect: Effect) =>
  group(
    description,
    effect,
    {
      name: name("Name of the object.", effect),
      namespace: Type.Optional(
        text("Namespace of the object; absent: that of this object.", effect, { maxLength: 63, pattern: DNS_LABEL_PATTERN }),
      ),
    },
    shape,
  );
export type ObjectRef = { readonly name: string; readonly namespace?: string };

const selectorRequirement = Type.Object({
  key: text("Label key.", LIVE, { maxLength: 317 }),
  operator: choice(["In", "NotIn", "Exists", "DoesNotExist"], "How values are compared.", LIVE),
  values: Type.Optional(
    Type.Array(Type.String({ maxLength: 63 }), { maxItems: 32, "x-kubernetes-list-type": "atomic", description: `Label values. ${LIVE}` }),
  ),
});

/** Who may attach, in the shape of the Gateway API. */
export const allowedNamespaces = (who: string) =>
  group(
    `From which namespaces ${who} may attach.`,
    LIVE,
    {
      from: choice(
        ["Same", "All", "Selector"],
        "Same: the own namespace. All: every one. Selector: those whose labels match.",
        LIVE,
        "Same",
      ),
      selector: Type.Optional(
        group(
          "Labels of namespaces, with from: Selector.",
          LIVE,
          {
            matchLabels: Type.Optional(stringMap("Labels that must be there.", LIVE)),
            matchExpressions: Type.Optional(ordered(selectorRequirement, 16, "Expressions that must hold.", LIVE)),
          },
          { "x-kubernetes-map-type": "atomic" },
        ),
      ),
    },
    {
      default: { from: "Same" }, // a rule is checked against the default as it is written
      "x-kubernetes-validations": [
        celRule<{ from: string; selector?: unknown }>(
          "(self.from == 'Selector') == has(self.selector)",
          "selector belongs to from: Selector, and is required there",
          ({ from, selector }) => (from === "Selector") === (selector !== undefined),
        ),
      ],
    },
  );
export type AllowedNamespaces = Static<ReturnType<typeof allowedNamespaces>>;

export const ObjectMeta = Type.Object({
  name: Type.String(),
  namespace: Type.Optional(Type.String()),
  uid: Type.Optional(Type.String()),
  generation: Type.Optional(Type.Integer()),
  resourceVersion: Type.Optional(Type.String()),
  creationTimestamp: Type.Optional(Type.String()),
  deletionTimestamp: Type.Optional(Type.String()),
  labels: Type.Optional(Type.Record(Type.String(), Type.String())),
  annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
});
export type ObjectMeta = Static<typeof ObjectMeta>;

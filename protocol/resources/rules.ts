// Why: a rule between fields stands here once, as the CEL text an API server enforces and as a predicate for those who have
// none (`nexus validate`, `nexus dev`), with one message; tests put both to the same examples. Predicates are pure and run
// only on what the schema has already accepted, with defaults filled in.
import type { TSchema } from "@sinclair/typebox";
import { canonicalJson } from "../canonical.ts";

type Holds = (self: unknown, before: unknown) => boolean;

/** `message` names the field and says what would be right; `fieldPath` is relative to where the rule stands. */
export type CelRule = {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
  /** The field where a CRD cannot name it, because its schema does not declare it (metadata). */
  readonly about?: string;
  /** Judged on updates only: the predicate gets the value as it was. */
  readonly onUpdate?: true;
  readonly holds: Holds;
};

/** A complaint about one field. `path` as in Kubernetes' messages: `spec.redis.mode`, `spec.channels[0].match`. */
export type Complaint = { readonly path: string; readonly message: string };

/** `T` names the members the predicate reads; the schema beside the rule declares them. */
export const celRule = <T>(rule: string, message: string, holds: (self: T) => boolean, fieldPath?: string): CelRule => ({
  rule,
  message,
  ...(fieldPath === undefined ? {} : { fieldPath }),
  holds: (self) => holds(self as T), // accepted by the schema that T is the reading of
});

/** A rule on `metadata.name`, which may look at the whole object. */
export const nameRule = <T>(rule: string, message: string, holds: (self: T) => boolean): CelRule => ({
  ...celRule(rule, message, holds),
  about: "metadata.name",
});

/** A required field that cannot be changed. */
export const immutable = (field: string): CelRule => ({
  rule: `self.${field} == oldSelf.${field}`,
  message: `${field} is immutable`,
  fieldPath: `.${field}`,
  onUpdate: true,
  holds: (self, before) => same(member(self, field), member(before, field)),
});

/** An optional field that can be neither changed, nor set later, nor removed. */
export const immutableOptional = (field: string): CelRule => ({
  rule: `has(self.${field}) == has(oldSelf.${field}) && (!has(self.${field}) || self.${field} == oldSelf.${field})`,
  message: `${field} is immutable: it cannot be changed, set later or removed`,
  fieldPath: `.${field}`,
  onUpdate: true,
  holds: (self, before) => same(member(self, field), member(before, field)),
});

const same = (one: unknown, other: unknown): boolean => canonicalJson(one ?? null) === canonicalJson(other ?? null);
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const member = (value: unknown, name: string): unknown => (isRecord(value) ? value[name] : undefined);

/** Rules that stand at this schema itself. */
export const rulesAt = (schema: TSchema): readonly CelRule[] => schema["x-kubernetes-validations"] ?? [];

/** What the rules of one place say about its value. */
export function broken(rules: readonly CelRule[], value: unknown, path: string): readonly Complaint[] {
  return rules.filter((rule) => !rule.onUpdate && !rule.holds(value, undefined)).map((rule) => complaint(rule, path));
}

/** What the update rules of one place say about a change. */
export function brokenByChange(rules: readonly CelRule[], value: unknown, before: unknown, path: string): readonly Complaint[] {
  return rules.filter((rule) => rule.onUpdate && !rule.holds(value, before)).map((rule) => complaint(rule, path));
}

/** Every rule at and below a schema, judged on a value with its defaults. Update rules are left out. */
export function brokenBelow(schema: TSchema, value: unknown, path: string): readonly Complaint[] {
  if (value === undefined || value === null) return [];
  const own = broken(rulesAt(schema), value, path);
  if (Array.isArray(value)) {
    const items: TSchema | undefined = schema.items;
    return items ? [...own, ...value.flatMap((item, at) => brokenBelow(items, item, `${path}[${at}]`))] : own;
  }
  const properties: Readonly<Record<string, TSchema>> = schema.properties ?? {};
  const below = Object.entries(properties).flatMap(([name, field]) => brokenBelow(field, member(value, name), `${path}.${name}`));
  return [...own, ...below];
}

const complaint = ({ message, fieldPath = "", about }: CelRule, path: string): Complaint => ({
  path: about ?? `${path}${fieldPath}`,
  message,
});

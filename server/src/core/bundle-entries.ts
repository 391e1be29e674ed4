// Why: one place decides whether an entry of the bundle can be used, and says why when not, so that a bad object is
// refused alone and never takes others with it. It must never repeat an entry's content: it holds key material.
import {
  BundleEntry,
  bucketOf,
  CLUSTER_ENTRY_ID,
  type ClusterSettings,
  type EntryKind,
  isIntact,
  type TemplateSettings,
  type TenantSettings,
  type TombstoneSettings,
  templateEntryId,
} from "@nexus/protocol/bundle.ts";
import { isTemplateId, isTenantId, TEMPLATE_RULE, TENANT_RULE } from "@nexus/protocol/names.ts";
import { FormatRegistry, type Static, Type, TypeRegistry } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";

/** What every entry says about itself, whatever its kind: enough to acknowledge or reject it. */
export const EntryEnvelope = Type.Object({
  kind: Type.String({ maxLength: 64 }),
  id: Type.String({ minLength: 1, maxLength: 256 }),
  uid: Type.String({ maxLength: 256 }),
  generation: Type.Integer(),
  digest: Type.String({ pattern: "^[0-9a-f]{64}$" }),
});
export type EntryEnvelope = Static<typeof EntryEnvelope>;

// The compiler refuses formats nobody registered; the bundle has one.
if (!FormatRegistry.Has("date-time")) FormatRegistry.Set("date-time", (text) => !Number.isNaN(Date.parse(text)));

// Choices are written as `enum` (what a CRD wants), for which TypeBox has no kind of its own.
const isChoice = (schema: { enum?: readonly unknown[] }, value: unknown) => schema.enum?.includes(value) ?? true;
if (!TypeRegistry.Has("Unsafe")) TypeRegistry.Set("Unsafe", isChoice);

type Checker = TypeCheck<(typeof BundleEntry)["anyOf"][number]>;
const checkers = new Map<string, Checker>();

/** Compiled when an entry of the kind is first seen: a start that has none does not pay for it. */
function checkerOf(kind: EntryKind): Checker {
  let checker = checkers.get(kind);
  if (!checker) {
    const schema = BundleEntry.anyOf.find((one) => one.properties.kind.const === kind);
    if (!schema) throw new Error(`no schema for entries of kind ${kind}`);
    checker = TypeCompiler.Compile(schema);
    checkers.set(kind, checker);
  }
  return checker;
}

const KINDS: readonly string[] = ["cluster", "tenant", "template", "tombstone"] satisfies EntryKind[];
const isKind = (kind: string): kind is EntryKind => KINDS.includes(kind);

export type ReadEntry = { readonly ok: true; readonly entry: BundleEntry } | { readonly ok: false; readonly reason: string };

/** Checks one entry whose envelope was checked. `bucket` is the index it came in. The reason names fields, never values. */
export function readEntry(value: EntryEnvelope, bucket: number): ReadEntry {
  if (!isKind(value.kind)) return refused("this version knows no such kind of entry");
  const checker = checkerOf(value.kind);
  if (!checker.Check(value)) {
    const first = checker.Errors(value).First();
    return refused(`${first?.path || "/"}: ${first?.message ?? "does not match the format"}`);
  }
  // Checked just above against the schema of its kind.
  const entry = value as BundleEntry;
  const wrong = identityError(entry, bucket);
  if (wrong !== undefined) return refused(wrong);
  if (!isIntact(entry)) return refused("the digest is not that of the content");
  return { ok: true, entry };
}

function identityError(entry: BundleEntry, bucket: number): string | undefined {
  if (bucketOf(entry.id) !== bucket) return "the entry belongs to another bucket";
  switch (entry.kind) {
    case "cluster":
      return entry.id === CLUSTER_ENTRY_ID ? undefined : `/id: the cluster's entry is called ${CLUSTER_ENTRY_ID}`;
    case "tenant":
    case "tombstone":
      return isTenantId(entry.id) ? undefined : `/id: ${TENANT_RULE}`;
    case "template": {
      const { tenant_id, template_id } = entry.spec;
      if (!isTenantId(tenant_id)) return `/spec/tenant_id: ${TENANT_RULE}`;
      if (!isTemplateId(template_id)) return `/spec/template_id: ${TEMPLATE_RULE}`;
      return entry.id === templateEntryId(tenant_id, template_id) ? undefined : "/id: is not <tenant_id>/<template_id>";
    }
    default:
      return entry satisfies never;
  }
}

const refused = (reason: string): ReadEntry => ({ ok: false, reason });

/**
 * How an entry is held. Templates are many and mostly idle, so they are kept as compact JSON text, without what the id says, and parsed on use;
 * the few others stay objects.
 */
export type HeldSpec =
  | { readonly kind: "cluster"; readonly spec: ClusterSettings }
  | { readonly kind: "tenant"; readonly id: string; readonly spec: TenantSettings }
  | { readonly kind: "template"; readonly id: string; readonly json: string }
  | { readonly kind: "tombstone"; readonly id: string; readonly uid: string; readonly spec: TombstoneSettings };

export function holdSpec(entry: BundleEntry): HeldSpec {
  switch (entry.kind) {
    case "cluster":
      return { kind: "cluster", spec: entry.spec };
    case "tenant":
      return { kind: "tenant", id: entry.id, spec: entry.spec };
    case "template": {
      const { tenant_id, template_id, ...rest } = entry.spec; // both are in the id
      return { kind: "template", id: entry.id, json: JSON.stringify(rest) };
    }
    case "tombstone":
      return { kind: "tombstone", id: entry.id, uid: entry.uid, spec: entry.spec };
    default:
      return entry satisfies never;
  }
}

/** The settings of a held template. Its text was checked when it was taken in. */
export function parseTemplate(id: string, json: string): TemplateSettings {
  const slash = id.indexOf("/"); // a tenant's id holds none
  return { tenant_id: id.slice(0, slash), template_id: id.slice(slash + 1), ...(JSON.parse(json) as RestOfTemplate) };
}

type RestOfTemplate = Omit<TemplateSettings, "tenant_id" | "template_id">;

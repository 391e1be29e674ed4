// Why: a rendering carries its own digest, so that a changed rendering and a changed live object can be told apart, and a
// field we stopped rendering is noticed although every field we still render is right. Pure.
import { digestOf } from "@nexus/protocol/canonical.ts";
import type { KubeObject, Manifest } from "./object.ts";

/** Annotation with the digest of the rendering. */
export const RENDERED_ANNOTATION = "nexus.dev/rendered";

/** Whose annotations carry the digest: the object's, or those of its `spec.template`. */
export type DigestAt = "metadata" | "podTemplate";

export type Rendered = { readonly object: Manifest; readonly digest: string };

/**
 * The rendering as it is sent: `undefined` and `null` members dropped, a Secret's `stringData` turned into `data` (the
 * server never shows stringData, so it could not be compared), digest annotation added.
 * @throws TypeError when `digestAt` is `podTemplate` and there is no `spec.template`
 */
export function rendered(desired: KubeObject, digestAt: DigestAt): Rendered {
  const object = withData(clean({ ...desired }));
  const digest = digestOf(object);
  if (digestAt === "metadata") return { digest, object: { ...object, metadata: annotated(object.metadata, digest) } };
  const spec = record(object.spec, "spec");
  const template = record(spec.template, "spec.template");
  const metadata = annotated(record(template.metadata ?? {}, "spec.template.metadata"), digest);
  return { digest, object: { ...object, spec: { ...spec, template: { ...template, metadata } } } };
}

/** The digest the live object carries; undefined when it has none. */
export function renderedDigest(live: KubeObject, digestAt: DigestAt): string | undefined {
  let metadata: unknown = live.metadata;
  if (digestAt === "podTemplate") metadata = member(member(member(live, "spec"), "template"), "metadata");
  const digest = member(member(metadata, "annotations"), RENDERED_ANNOTATION);
  return typeof digest === "string" ? digest : undefined;
}

const annotated = <T extends object>(
  metadata: T & { annotations?: unknown },
  digest: string,
): T & { annotations: Record<string, string> } => ({
  ...metadata,
  annotations: { ...record(metadata.annotations ?? {}, "annotations"), [RENDERED_ANNOTATION]: digest } as Record<string, string>,
});

function clean<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => clean(item)) as T;
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined && member !== null);
  return Object.fromEntries(members.map(([name, member]) => [name, clean(member)])) as T; // same members, less those
}

function withData(object: Manifest | (KubeObject & Record<string, unknown>)): Manifest {
  if (object.kind !== "Secret" || object.stringData === undefined) return object;
  const { stringData, ...rest } = object;
  const data: Record<string, string> = {};
  for (const [name, value] of Object.entries(record(stringData, "stringData"))) data[name] = Buffer.from(String(value)).toString("base64");
  return { ...rest, data: { ...record(rest.data ?? {}, "data"), ...data } };
}

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError(`the rendering has no ${what}`);
  return { ...value };
}

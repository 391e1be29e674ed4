// Why: content that is random is written once and never rendered again: created by POST alone, so that two operators at once
// end with one value; AlreadyExists means read it and use it. Rotation is an update of the version that was read.
import { PREVIOUS_KEY, PREVIOUS_UNTIL, type ReplacedKey, replacedKeys } from "../desired/bundle/credentials.ts";
import { ROTATION_ANNOTATION } from "../desired/names.ts";
import { opaqueSecret } from "../desired/secrets.ts";
import type { OwnerReference } from "../plan/object.ts";
import { foreignReason, type Identity } from "../plan/ownership.ts";
import { KINDS } from "./kinds.ts";
import { isAlreadyExists } from "./kube-error.ts";
import type { KubeApi } from "./ports.ts";
import type { SecretObject, SecretSource } from "./secret-source.ts";

export type SecretHead = {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly OwnerReference[];
};

type Deps = { readonly api: KubeApi; readonly secrets: SecretSource; readonly manager: string };
/** The Secret in force, or whose it is instead. */
export type Ensured = { readonly ok: true; readonly secret: SecretObject } | { readonly ok: false; readonly message: string };

const KEY_BYTES = 32;
/** How long a replaced key stays valid. */
const OVERLAP_MS = 24 * 3600 * 1000;

const encoded = (data: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]));

const identityOf = (head: SecretHead): Identity => {
  const ownerUid = head.ownerReferences.find((owner) => owner.controller)?.uid;
  return { labels: head.labels, ...(ownerUid === undefined ? {} : { ownerUid }) };
};

/** The Secret as it is, or a new one with `make()`; one that belongs to somebody else is left alone. Rejects with `KubeError`. */
export async function ensureSecret(
  head: SecretHead,
  make: () => Promise<Record<string, string>> | Record<string, string>,
  deps: Deps,
  annotations?: Readonly<Record<string, string>>,
): Promise<Ensured> {
  const { namespace, name } = head;
  const existing = await newestOf(head, deps);
  if (existing) return await adopted(existing, head, deps);
  const object: SecretObject = opaqueSecret(head, encoded(await make()), annotations);
  try {
    const created = await deps.api.create<SecretObject>(KINDS.Secret, object, { manager: deps.manager });
    deps.secrets.put(created);
    return { ok: true, secret: created };
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const now = await deps.api.get<SecretObject>({ kind: KINDS.Secret, namespace, name });
    if (!now) throw error; // made and deleted again meanwhile: the next pass looks anew
    deps.secrets.put(now);
    return await adopted(now, head, deps);
  }
}

/** A Secret that looks foreign, or absent, is read: nobody watches those, and what is remembered of them may be over. */
async function newestOf(head: SecretHead, { api, secrets }: Deps): Promise<SecretObject | undefined> {
  const { namespace, name } = head;
  const known = await secrets.get(namespace, name);
  if (known && foreignReason(known, identityOf(head)) === undefined) return known;
  const live = await api.get<SecretObject>({ kind: KINDS.Secret, namespace, name });
  if (live) secrets.put(live);
  return live;
}

/** Ours, with the owner and labels it must have (a restore, or an orphaning delete, takes them away); or whose it is instead. */
async function adopted(secret: SecretObject, head: SecretHead, deps: Deps): Promise<Ensured> {
  const why = foreignReason(secret, identityOf(head));
  if (why !== undefined) return { ok: false, message: `Secret ${head.name} exists and ${why}` };
  const hasOwners = head.ownerReferences.every(({ uid }) => secret.metadata.ownerReferences?.some((one) => one.uid === uid));
  const hasLabels = Object.entries(head.labels).every(([name, value]) => secret.metadata.labels?.[name] === value);
  if ((hasOwners && hasLabels) || secret.metadata.deletionTimestamp !== undefined) return { ok: true, secret };
  const { resourceVersion } = secret.metadata;
  const { namespace, name, labels } = head;
  const ours = new Set(head.ownerReferences.map(({ uid }) => uid));
  const others = secret.metadata.ownerReferences?.filter(({ uid }) => !ours.has(uid)) ?? [];
  const ownerReferences = [...others, ...head.ownerReferences];
  const patched = await deps.api.mergePatch<SecretObject>(
    { kind: KINDS.Secret, namespace, name },
    { metadata: { labels, ownerReferences, ...(resourceVersion === undefined ? {} : { resourceVersion }) } },
    { manager: deps.manager },
  );
  deps.secrets.put(patched);
  return { ok: true, secret: patched };
}

/** Replaces data of a Secret of ours; the version that was read is compared. Rejects with `KubeError` (409: look again). */
export async function replaceData(
  secret: SecretObject,
  data: Readonly<Record<string, string>>,
  deps: Deps,
  annotations: Readonly<Record<string, string>> = {},
): Promise<SecretObject> {
  const metadata = { ...secret.metadata, annotations: { ...secret.metadata.annotations, ...annotations } };
  const updated = await deps.api.update<SecretObject>(
    KINDS.Secret,
    { ...secret, metadata, data: encoded(data) },
    { manager: deps.manager },
  );
  deps.secrets.put(updated);
  return updated;
}

const newKey = (): string => `nxk_${Buffer.from(crypto.getRandomValues(new Uint8Array(KEY_BYTES))).toString("base64url")}`;

/** A random bearer token, for the admin port. */
export const newToken = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(KEY_BYTES))).toString("base64url");

/**
 * An API key: made when missing or emptied, replaced when `rotation` was raised. A replaced one stays valid for 24 h, also when
 * the next is replaced before that; nobody has to write anything for it to end.
 */
export async function ensureKey(head: SecretHead, rotation: number, deps: Deps & { readonly wallMs: number }): Promise<Ensured> {
  const ensured = await ensureSecret(head, () => ({ key: newKey() }), deps, { [ROTATION_ANNOTATION]: String(rotation) });
  if (!ensured.ok) return ensured;
  const { secret } = ensured;
  const present = textOf(secret, "key").trim();
  const done = Number(secret.metadata.annotations?.[ROTATION_ANNOTATION] ?? 0);
  if (done >= rotation && present !== "") return ensured;
  const until = new Date(deps.wallMs + OVERLAP_MS).toISOString();
  const earlier = replacedKeys(textOf(secret, PREVIOUS_KEY), textOf(secret, PREVIOUS_UNTIL), false);
  const replaced = [...(present === "" ? [] : [{ key: present, notAfter: until }]), ...earlier.filter((one) => isValid(one, deps.wallMs))];
  const data = {
    key: newKey(),
    [PREVIOUS_KEY]: replaced.map(({ key }) => key).join("\n"),
    [PREVIOUS_UNTIL]: replaced.map(({ notAfter }) => notAfter).join("\n"),
  };
  return { ok: true, secret: await replaceData(secret, data, deps, { [ROTATION_ANNOTATION]: String(Math.max(done || 0, rotation)) }) };
}

const textOf = (secret: SecretObject, key: string): string => Buffer.from(secret.data?.[key] ?? "", "base64").toString();
const isValid = ({ notAfter }: ReplacedKey, nowMs: number): boolean => notAfter !== undefined && Date.parse(notAfter) > nowMs;

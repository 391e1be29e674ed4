// Why: a Secret that is missing is the most frequent cause of all; every one a spec names is looked up by name. It must never
// read more of a Secret than which keys it has, nor show a value.
import { KINDS } from "@nexus/operator/loop/kinds.ts";
import { isForbidden } from "@nexus/operator/loop/kube-error.ts";
import type { SecretObject } from "@nexus/operator/loop/secret-source.ts";
import type { Connection } from "../kube/connect.ts";
import { broken, fine, type Link, unseen } from "./links.ts";

/** `keys` that have to be in it; none: only the Secret itself. */
export type NamedSecret = { readonly field: string; readonly name: string; readonly keys: readonly string[] };

/** Every Secret a spec names, in the order of the fields. A whole Secret is one of type kubernetes.io/tls. */
export function secretsIn(value: unknown, field: string): readonly NamedSecret[] {
  if (Array.isArray(value)) return value.flatMap((item, at) => secretsIn(item, `${field}[${at}]`));
  if (typeof value !== "object" || value === null) return [];
  const found: NamedSecret[] = [];
  for (const [member, inner] of Object.entries(value)) {
    const path = `${field}.${member}`;
    if (!/secretRef$/i.test(member) || typeof inner !== "object" || inner === null || !("name" in inner))
      found.push(...secretsIn(inner, path));
    else found.push({ field: path, name: String(inner.name), keys: "key" in inner ? [String(inner.key)] : ["tls.crt", "tls.key"] });
  }
  return found;
}

/** One link a Secret. */
export async function secretLinks({ api }: Connection, namespace: string, secrets: readonly NamedSecret[]): Promise<readonly Link[]> {
  return await Promise.all(
    secrets.map(async ({ field, name, keys }) => {
      const what = `Secret ${namespace}/${name}`;
      try {
        const secret = await api.get<SecretObject>({ kind: KINDS.Secret, namespace, name });
        if (!secret) return broken(what, `does not exist (${field} names it)`, `Create it with ${keysText(keys)}.`);
        const missing = keys.filter((key) => !secret.data?.[key]);
        if (missing.length === 0) return fine(what, `is there, for ${field}`);
        return broken(what, `has no content under ${keysText(missing)} (${field} names it)`, `Add ${keysText(missing)} to it.`);
      } catch (error) {
        if (!isForbidden(error)) throw error;
        return unseen(what, `not allowed to look (${field} names it)`);
      }
    }),
  );
}

const keysText = (keys: readonly string[]): string => `${keys.length === 1 ? "key" : "keys"} ${keys.join(" and ")}`;

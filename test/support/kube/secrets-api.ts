// Why: tests of what is written to Secrets need an API server that keeps them, compares versions and counts writes, in memory.
// It must refuse what the real one refuses: a second one of a name, an update of an old version.
import { KubeError } from "@nexus/operator/loop/kube-error.ts";
import type { KubeApi, ObjectRef } from "@nexus/operator/loop/ports.ts";
import type { SecretObject } from "@nexus/operator/loop/secret-source.ts";
import type { KubeObject } from "@nexus/operator/plan/object.ts";

export type SecretsApi = {
  readonly api: KubeApi;
  readonly secrets: ReadonlyMap<string, SecretObject>;
  readonly writes: readonly string[];
  /** As somebody else would, behind everybody's back. */
  put(secret: SecretObject): void;
};

const refused = (status: number, reason: "AlreadyExists" | "Conflict" | "NotFound", message: string) =>
  new KubeError({ status, reason, message });

export function secretsApi(): SecretsApi {
  const secrets = new Map<string, SecretObject>();
  const writes: string[] = [];
  let version = 0;
  const keyOf = ({ namespace, name }: Pick<ObjectRef, "namespace" | "name">) => `${namespace}/${name}`;
  const keep = (object: KubeObject, uid: string): SecretObject => {
    const kept = { ...object, metadata: { ...object.metadata, uid, resourceVersion: String(++version) } } as SecretObject; // only Secrets come here
    secrets.set(keyOf(object.metadata), kept);
    return kept;
  };
  const never = () => Promise.reject(new Error("not for Secrets"));
  const api = {
    get: async (ref: ObjectRef) => secrets.get(keyOf(ref)),
    async create(_kind: unknown, object: KubeObject) {
      const key = keyOf(object.metadata);
      if (secrets.has(key)) throw refused(409, "AlreadyExists", `${key} already exists`);
      writes.push(`create ${key}`);
      return keep(object, crypto.randomUUID());
    },
    async update(_kind: unknown, object: KubeObject) {
      const key = keyOf(object.metadata);
      const before = secrets.get(key);
      if (!before) throw refused(404, "NotFound", `${key} not found`);
      if (before.metadata.resourceVersion !== object.metadata.resourceVersion) throw refused(409, "Conflict", `${key} was modified`);
      writes.push(`update ${key}`);
      return keep(object, before.metadata.uid ?? "");
    },
    async delete(ref: ObjectRef, options?: { readonly uid?: string }) {
      const before = secrets.get(keyOf(ref));
      if (!before) return false;
      if (options?.uid !== undefined && options.uid !== before.metadata.uid) throw refused(409, "Conflict", "the uid differs");
      writes.push(`delete ${keyOf(ref)}`);
      return secrets.delete(keyOf(ref));
    },
    ...{ list: never, apply: never, mergePatch: never, getScale: never, setScale: never, discover: never },
  } as unknown as KubeApi; // generic over kinds; here all are Secrets
  return { api, secrets, writes, put: (secret) => void keep(secret, secret.metadata.uid ?? crypto.randomUUID()) };
}

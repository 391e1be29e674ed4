// Why: everything a server needs to reach its broker is one Secret of ours, made from the spec and the Secrets it names. Pods
// mount that one for ever, so that an address, a password or the Secret that holds it changes without a new pod template.
// Pure; it must never put a value of a Secret anywhere but into `data`.
import { canonicalJson, digestOf } from "@nexus/protocol/canonical.ts";
import { REDIS_CONNECTION_KEY, RedisConnection } from "@nexus/protocol/redis-connection.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { Value } from "@sinclair/typebox/value";
import type { SecretReader } from "../bundle/credentials.ts";
import { childMetadata } from "../metadata.ts";
import { childNames } from "../names.ts";

export type External = NonNullable<NexusCluster["spec"]["redis"]["external"]>;
type KeyRef = { readonly name: string; readonly key: string };

/** Beside the password, in the same Secret: what the Sentinels ask for, when they ask for one. */
export const SENTINEL_PASSWORD_KEY = "sentinel-password";

const TOPOLOGIES = { Standalone: "standalone", Sentinel: "sentinel", Cluster: "cluster" } as const;

/** `missing`: `Secret <name>, key <key>` each. `wrong`: a sentence that names the field. */
export type Connected =
  | { readonly kind: "connection"; readonly connection: RedisConnection }
  | { readonly kind: "missing"; readonly missing: readonly string[] }
  | { readonly kind: "wrong"; readonly why: string };

/** Names of the Secrets that `external` refers to, in the cluster's own namespace. */
export function secretsOf({ usernameSecretRef, passwordSecretRef, tls }: External): readonly string[] {
  const refs = [usernameSecretRef, passwordSecretRef, tls?.caSecretRef, tls?.clientSecretRef];
  return [...new Set(refs.flatMap((ref) => (ref ? [ref.name] : [])))].sort();
}

/** `read` answers what {@link secretsOf} named, of the cluster's namespace. */
export function externalConnection(external: External, namespace: string, read: SecretReader): Connected {
  const missing: string[] = [];
  const optional = ({ name, key }: KeyRef) => text(read(namespace, name, key));
  const value = (ref: KeyRef | undefined) => {
    const found = ref && optional(ref);
    if (ref && found === undefined) missing.push(`Secret ${ref.name}, key ${ref.key}`);
    return found;
  };
  const { topology, addresses, masterName, database, usernameSecretRef, passwordSecretRef, tls } = external;
  const username = value(usernameSecretRef);
  const password = value(passwordSecretRef);
  const sentinels = passwordSecretRef && topology === "Sentinel" && optional({ name: passwordSecretRef.name, key: SENTINEL_PASSWORD_KEY });
  const client = (key: string) => value(tls?.clientSecretRef && { name: tls.clientSecretRef.name, key });
  const certificates = tls && defined({ ca: value(tls.caSecretRef), cert: client("tls.crt"), key: client("tls.key") });
  if (missing.length > 0) return { kind: "missing", missing };
  const connection = defined({
    ...{ topology: TOPOLOGIES[topology], addresses: [...addresses], masterName, database },
    ...{ username, password, sentinelPassword: sentinels || undefined, tls: certificates },
  });
  const fault = Value.Errors(RedisConnection, connection).First();
  if (fault) return { kind: "wrong", why: `spec.redis.external${fault.path.replaceAll("/", ".")} is not what a server can use` };
  return { kind: "connection", connection: connection as RedisConnection }; // checked just above
}

/** The Secret that server pods mount; without a connection it is emptied. */
export const connectionSecret = (
  cluster: NexusCluster,
  context: { readonly operatorId: string },
  connection: RedisConnection | undefined,
) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: childMetadata(cluster, childNames(cluster.metadata.name).redisConnection, context),
  type: "Opaque",
  data: connection ? { [REDIS_CONNECTION_KEY]: Buffer.from(canonicalJson(connection)).toString("base64") } : {},
});

const MOST_CHARACTERS = 64;

/** What every key of this cluster begins with, so that clusters can share one Redis. Never changes. */
export function keyPrefix({ metadata }: NexusCluster): string {
  const whole = `${metadata.namespace ?? "default"}.${metadata.name}`;
  return whole.length <= MOST_CHARACTERS ? whole : `${whole.slice(0, 47)}-${digestOf(whole).slice(0, 16)}`;
}

/** A Secret's text without the line end that editors leave; empty says nothing. */
function text(bytes: Uint8Array | undefined): string | undefined {
  const found =
    bytes &&
    Buffer.from(bytes)
      .toString()
      .replace(/\r?\n$/, "");
  return found === "" ? undefined : found;
}

const defined = <T extends object>(fields: T): Partial<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>; // the same fields, less those

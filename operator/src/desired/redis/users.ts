// Why: a password is replaced in three steps, so that at no time somebody holds one that Redis does not take: Redis learns the
// new one beside the old, then servers are given the new one, then Redis forgets the old. Files of Secrets reach pods late,
// which is what the times are for. Pure: time comes in.
import { sha256 } from "@nexus/protocol/canonical.ts";
import type { NexusCluster } from "@nexus/protocol/resources/nexus-cluster.ts";
import { childMetadata } from "../metadata.ts";
import { childNames } from "../names.ts";
import { USERS_KEYS } from "./scripts.ts";

/** When the password of now was given to Redis, RFC 3339. */
export const SINCE_ANNOTATION = "nexus.dev/password-since";

/** Longest time a kubelet usually takes to bring a Secret to a running pod, and a probe after it. */
export const LEARN_MS = 120_000;
/** How long both passwords open. */
export const FORGET_MS = 600_000;

/** What Redis is told. `sinceMs`: since when, milliseconds since 1970. */
export type Users = { readonly password: string; readonly previous?: string; readonly sinceMs: number };
/** `served`: what servers are given. `againMs`: when the next step is due. */
export type UsersPlan = { readonly users: Users; readonly served: string; readonly againMs?: number };

/** `now`: what Redis is told so far; undefined: nothing. `wanted`: what the Secret with the password says. */
export function planUsers(now: Users | undefined, wanted: string, nowMs: number): UsersPlan {
  if (!now) return { users: { password: wanted, sinceMs: nowMs }, served: wanted };
  const ageMs = nowMs - now.sinceMs;
  const isLearnt = now.previous === undefined || ageMs >= LEARN_MS;
  const served = isLearnt ? now.password : now.previous;
  if (now.password !== wanted) {
    // Servers go on with what they have; one that came and went meanwhile was given to nobody.
    if (served === wanted) return { users: { password: wanted, sinceMs: now.sinceMs }, served };
    return { users: { password: wanted, previous: served, sinceMs: nowMs }, served, againMs: LEARN_MS };
  }
  if (now.previous === undefined) return { users: now, served };
  if (!isLearnt) return { users: now, served, againMs: LEARN_MS - ageMs };
  if (ageMs < FORGET_MS) return { users: now, served, againMs: FORGET_MS - ageMs };
  return { users: { password: now.password, sinceMs: now.sinceMs }, served };
}

/** Text that can stand in an AUTH command without quotes. */
export const isUsablePassword = (text: string): boolean => /^[!#-&(-[\]-~]{1,512}$/.test(text);

/** What the container of Redis mounts: its users, and the passwords its probes ask with. */
export function usersSecret(cluster: NexusCluster, context: { readonly operatorId: string }, { password, previous, sinceMs }: Users) {
  const annotations = { [SINCE_ANNOTATION]: new Date(sinceMs).toISOString() };
  const hashes = [password, ...(previous === undefined ? [] : [previous])].map((text) => `#${sha256(text)}`);
  const data = {
    [USERS_KEYS.acl]: `user default on ${hashes.join(" ")} ~* &* +@all\n`,
    [USERS_KEYS.password]: password,
    ...(previous === undefined ? {} : { [USERS_KEYS.previous]: previous }),
  };
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: childMetadata(cluster, childNames(cluster.metadata.name).redisUsers, context, { component: "redis", annotations }),
    type: "Opaque",
    data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString("base64")])),
  };
}

type LiveSecret = {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
};

/** What a live Secret says; undefined when it says nothing usable, as after somebody emptied it. */
export function usersOf(live: LiveSecret | undefined): Users | undefined {
  const text = (key: string) => Buffer.from(live?.data?.[key] ?? "", "base64").toString();
  const password = text(USERS_KEYS.password);
  const previous = text(USERS_KEYS.previous);
  const sinceMs = Date.parse(live?.metadata.annotations?.[SINCE_ANNOTATION] ?? "");
  if (password === "" || Number.isNaN(sinceMs)) return undefined;
  return { password, ...(previous === "" ? {} : { previous }), sinceMs };
}

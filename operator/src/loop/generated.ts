// Why: random content (keys, tokens, certificates) is made once and written by POST only, so that two operators or a lagging
// store can never replace a key that somebody uses already. It must never log or put into an error what it made.
import { randomBytes } from "node:crypto";
import { PREVIOUS_KEY, PREVIOUS_UNTIL } from "../desired/bundle/credentials.ts";
import { ROTATION_ANNOTATION } from "../desired/names.ts";
import type { OwnerReference } from "../plan/object.ts";
import { foreignReason, type Identity } from "../plan/ownership.ts";
import type { Clock } from "./clock.ts";
import { KINDS } from "./kinds.ts";
import { isAlreadyExists } from "./kube-error.ts";
import type { KubeApi } from "./ports.ts";
import type { Secret, SecretCache } from "./secrets.ts";

const MANAGER = "nexus-operator";
/** Both keys are valid so long after a rotation. */
export const OVERLAP_MS = 24 * 3600 * 1000;
/** Has us told at once when somebody changes or deletes it. */
export const WATCH_LABEL = "nexus.dev/watch";

/** Where a Secret goes and whose it is. */
export type SecretPlace = {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly owner: readonly OwnerReference[];
  readonly identity: Identity;
};

export type Made = {
  readonly type?: string;
  readonly data: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
};

/** `conflict`: a foreign Secret has the name; its content is not used. */
export type Ensured = { readonly kind: "ok"; readonly secret: Secret } | { readonly kind: "conflict"; readonly message: string };

/** A new API key: 256 bits, recognisable by its prefix when it leaks. */
export const newApiKey = (): string => `nxk_${randomBytes(32).toString("base64url")}`;

export const base64 = (text: string): string => Buffer.from(text).toString("base64");
/** A field of a Secret as text; undefined when it is not there. */
export const textOf = (secret: Secret, field: string): string | undefined => {
  const value = secret.data?.[field];
  return value === undefined ? undefined : Buffer.from(value, "base64").toString();
};

export class GeneratedSecrets {
  readonly #api: Pick<KubeApi, "create" | "update">;
  readonly #secrets: SecretCache;
  readonly #clock: Clock;

  constructor(api: Pick<KubeApi, "create" | "update">, secrets: SecretCache, clock: Clock) {
    this.#api = api;
    this.#secrets = secrets;
    this.#clock = clock;
  }

  /** The Secret as it is, or made by `make` when there is none. Rejects with `KubeError`. */
  async ensure(place: SecretPlace, make: () => Promise<Made> | Made): Promise<Ensured> {
    const live = (await this.#secrets.read(place.namespace, place.name)) ?? (await this.#create(place, make));
    const secret = live ?? (await this.#secrets.readLive(place.namespace, place.name));
    if (!secret) throw new Error(`Secret ${place.name} exists and cannot be read`);
    const why = foreignReason(secret, place.identity);
    return why === undefined ? { kind: "ok", secret } : { kind: "conflict", message: `Secret ${place.name} exists and ${why}` };
  }

  /** Replaces content of a Secret of ours; the version that was read is compared. */
  async replace(secret: Secret, made: Made): Promise<Secret> {
    const annotations = { ...secret.metadata.annotations, ...made.annotations };
    const next = { ...secret, metadata: { ...secret.metadata, annotations }, data: made.data };
    const answer = await this.#api.update<Secret>(KINDS.Secret, next, { manager: MANAGER });
    this.#secrets.wrote(answer);
    return answer;
  }

  /**
   * A generated API key in field `key`. A higher `rotation` than the Secret's replaces it; the old one stays valid for 24 h
   * in fields that only servers' hashes are made of.
   */
  async apiKey(place: SecretPlace, rotation: number): Promise<Ensured> {
    const make = () => ({ data: { key: base64(newApiKey()) }, annotations: { [ROTATION_ANNOTATION]: String(rotation) } });
    const ensured = await this.ensure(place, make);
    if (ensured.kind === "conflict") return ensured;
    const { secret } = ensured;
    if (Number(secret.metadata.annotations?.[ROTATION_ANNOTATION] ?? rotation) >= rotation) return ensured;
    const until = new Date(this.#clock.wallMs() + OVERLAP_MS).toISOString();
    const previous = secret.data?.key;
    const overlap = previous === undefined ? {} : { [PREVIOUS_KEY]: previous, [PREVIOUS_UNTIL]: base64(until) };
    const { data, annotations } = make();
    return { kind: "ok", secret: await this.replace(secret, { data: { ...data, ...overlap }, annotations }) };
  }

  /** Undefined when somebody was faster. */
  async #create(place: SecretPlace, make: () => Promise<Made> | Made): Promise<Secret | undefined> {
    const { type = "Opaque", data, annotations } = await make();
    const { name, namespace, labels, owner } = place;
    const body: Secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name,
        namespace,
        labels: { ...labels, [WATCH_LABEL]: "true" },
        ownerReferences: owner,
        ...(annotations ? { annotations } : {}),
      },
      type,
      data,
    };
    try {
      const secret = await this.#api.create<Secret>(KINDS.Secret, body, { manager: MANAGER });
      this.#secrets.wrote(secret);
      return secret;
    } catch (error) {
      if (isAlreadyExists(error)) return undefined;
      throw error;
    }
  }
}

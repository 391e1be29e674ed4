// Why: Secrets of users are read one by one by name, because nothing may watch all Secrets; what our own watches bring is
// used first. It must never hand out a Secret that was seen to be gone, and never keep a value longer than five minutes.

import type { SecretReader } from "../desired/bundle/credentials.ts";
import type { KubeObject } from "../plan/object.ts";
import type { Clock } from "./clock.ts";
import { KINDS } from "./kinds.ts";
import type { KubeApi, Store } from "./ports.ts";

/** `data` in base64, as it travels. */
export type SecretObject = KubeObject & { readonly type?: string; readonly data?: Readonly<Record<string, string>> };

/** How long a Secret that nobody watches is believed, and how long its absence, or one that does not serve. */
export const SECRET_TTL_MS = 300_000;
const ABSENCE_TTL_MS = 5_000;

type Cached = { readonly secret: SecretObject | undefined; readonly untilMs: number };

export class SecretSource {
  readonly #api: Pick<KubeApi, "get">;
  readonly #stores: readonly Store<SecretObject>[];
  readonly #clock: Clock;
  readonly #cache = new Map<string, Cached>();

  constructor(options: { readonly api: Pick<KubeApi, "get">; readonly stores: readonly Store<SecretObject>[]; readonly clock: Clock }) {
    this.#api = options.api;
    this.#stores = options.stores;
    this.#clock = options.clock;
  }

  /** The Secret, from a watch, from the cache, or from the API server. Rejects with `KubeError`. */
  async get(namespace: string, name: string): Promise<SecretObject | undefined> {
    const known = this.#known(namespace, name);
    if (known) return known.secret;
    const secret = await this.#api.get<SecretObject>({ kind: KINDS.Secret, namespace, name });
    this.#remember(`${namespace}/${name}`, secret);
    return secret;
  }

  /** Reads what is not known yet, so that {@link read} answers without waiting. Rejects with `KubeError`. */
  async load(names: Iterable<readonly [namespace: string, name: string]>): Promise<void> {
    for (const [namespace, name] of names) await this.get(namespace, name);
  }

  /** Whether {@link load} would read nothing. */
  has(names: Iterable<readonly [namespace: string, name: string]>): boolean {
    for (const [namespace, name] of names) if (!this.#known(namespace, name)) return false;
    return true;
  }

  /** The Secret as it was seen last, however long ago: to be shown, never to be used. Nothing is read. */
  seen(namespace: string, name: string): SecretObject | undefined {
    const known = this.#known(namespace, name) ?? this.#cache.get(`${namespace}/${name}`);
    return known?.secret;
  }

  /** Of what is known: see {@link load}. */
  readonly read: SecretReader = (namespace, name, key) => {
    const encoded = this.#known(namespace, name)?.secret?.data?.[key];
    return encoded === undefined ? undefined : Buffer.from(encoded, "base64");
  };

  /** A Secret as the API server just answered it; the watch may still lag. */
  put(secret: SecretObject): void {
    this.#remember(`${secret.metadata.namespace}/${secret.metadata.name}`, secret);
  }

  /** Something happened to it: the next look is a new one. */
  invalidate(key: string): void {
    const cached = this.#cache.get(key);
    if (cached) this.#cache.set(key, { ...cached, untilMs: Number.NEGATIVE_INFINITY });
  }

  /** What it holds does not serve: it is believed no longer than an absence, because whoever mends it is waiting. */
  doubt(key: string): void {
    const cached = this.#cache.get(key);
    const untilMs = this.#clock.monotonicMs() + ABSENCE_TTL_MS;
    if (cached && cached.untilMs > untilMs) this.#cache.set(key, { ...cached, untilMs });
  }

  /** Resource versions of one cluster are one sequence: the newer of watch and cache wins. */
  #known(namespace: string, name: string): { readonly secret: SecretObject | undefined } | undefined {
    const key = `${namespace}/${name}`;
    const watched = this.#stores.map((store) => store.get(key)).find((secret) => secret !== undefined);
    const cached = this.#cache.get(key);
    const isFresh = cached !== undefined && cached.untilMs > this.#clock.monotonicMs();
    if (watched) return { secret: isFresh && isNewer(cached.secret, watched) ? cached.secret : watched };
    return isFresh ? cached : undefined;
  }

  #remember(key: string, secret: SecretObject | undefined): void {
    this.#cache.set(key, { secret, untilMs: this.#clock.monotonicMs() + (secret ? SECRET_TTL_MS : ABSENCE_TTL_MS) });
  }
}

const isNewer = (a: SecretObject | undefined, b: SecretObject): boolean =>
  a?.metadata.resourceVersion !== undefined && BigInt(a.metadata.resourceVersion) > BigInt(b.metadata.resourceVersion ?? "0");

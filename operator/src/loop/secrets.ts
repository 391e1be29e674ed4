// Why: users' Secrets are read one by one and kept for five minutes, because nothing may watch all Secrets of a cluster. It
// must never log a value, nor take a Secret for missing when the API server did not say so.
import type { SecretReader } from "../desired/bundle/credentials.ts";
import type { KubeObject } from "../plan/object.ts";
import type { Clock } from "./clock.ts";
import { KINDS } from "./kinds.ts";
import type { KubeApi } from "./ports.ts";

export type Secret = KubeObject & { readonly type?: string; readonly data?: Readonly<Record<string, string>> };

/** How long a Secret that nobody labelled for watching may be out of date. */
export const SECRET_MS = 300_000;
/** A Secret that is missing is asked for sooner: somebody waits for it. */
export const MISSING_MS = 10_000;

type Kept = { readonly secret: Secret | undefined; readonly readMs: number };

export class SecretCache {
  readonly #api: Pick<KubeApi, "get">;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  /** Who reads a Secret, by its key. */
  readonly #readers = new Map<string, Set<string>>();
  /** What each reader reads. */
  readonly #reads = new Map<string, readonly string[]>();

  constructor(api: Pick<KubeApi, "get">, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  /** The Secret, at most five minutes old; undefined when it does not exist. Rejects with `KubeError`. */
  async read(namespace: string, name: string): Promise<Secret | undefined> {
    const key = `${namespace}/${name}`;
    const kept = this.#kept.get(key);
    const nowMs = this.#clock.monotonicMs();
    if (kept && nowMs - kept.readMs < (kept.secret ? SECRET_MS : MISSING_MS / 2)) return kept.secret;
    return await this.readLive(namespace, name);
  }

  async readLive(namespace: string, name: string): Promise<Secret | undefined> {
    const readMs = this.#clock.monotonicMs();
    const secret = await this.#api.get<Secret>({ kind: KINDS.Secret, namespace, name });
    this.#kept.set(`${namespace}/${name}`, { secret, readMs });
    return secret;
  }

  /** What we just wrote. */
  wrote(secret: Secret): void {
    const { namespace = "default", name } = secret.metadata;
    this.#kept.set(`${namespace}/${name}`, { secret, readMs: this.#clock.monotonicMs() });
  }

  /** A watched Secret changed: forgotten, unless it is the version we know. Answers who reads it. */
  changed(key: string, resourceVersion: string | undefined): readonly string[] {
    const version = this.#kept.get(key)?.secret?.metadata.resourceVersion;
    if (version !== undefined && version === resourceVersion) return [];
    this.#kept.delete(key);
    return [...(this.#readers.get(key) ?? [])];
  }

  /** Reads every Secret of `names` for `reader`, and gives a reader over them that needs no I/O. */
  async reader(reader: string, namespace: string, names: ReadonlySet<string>): Promise<SecretReader> {
    this.forget(reader);
    this.#reads.set(
      reader,
      [...names].map((name) => `${namespace}/${name}`),
    );
    const found = new Map<string, Secret | undefined>();
    for (const name of names) {
      const key = `${namespace}/${name}`;
      this.#readers.set(key, (this.#readers.get(key) ?? new Set()).add(reader));
      found.set(key, await this.read(namespace, name));
    }
    return (ofNamespace, name, field) => {
      const text = found.get(`${ofNamespace}/${name}`)?.data?.[field];
      return text === undefined ? undefined : Buffer.from(text, "base64");
    };
  }

  /** `reader` reads nothing any more. */
  forget(reader: string): void {
    for (const key of this.#reads.get(reader) ?? []) {
      const readers = this.#readers.get(key);
      readers?.delete(reader);
      if (readers?.size === 0) this.#readers.delete(key);
    }
    this.#reads.delete(reader);
  }
}
